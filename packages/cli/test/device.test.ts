// The device of the commands that compute: which one is chosen, what they print about it, and that
// all of them run on the GPU.

import { softwareEnv } from "@conv/testkit/webgpu";
import { describe, expect, it } from "vitest";
import { conv, folder, inOneProcess, onCpu } from "./run.ts";

const cwd = folder();
const software = await softwareEnv();
const run = (args: string, env: NodeJS.ProcessEnv) => conv(args.split(" "), cwd, undefined, env);
const gpu = inOneProcess({ ...software, CONV_DEVICE: "gpu" });
const runOnGpu = (args: string) => gpu(args.split(" "), cwd);
const onGpu = /^on the GPU: .+\n$/;

describe("the device", { timeout: 240_000 }, () => {
  it("is the CPU where a number of threads is given, or CONV_DEVICE says so", async () => {
    const command = "receptive lenet5 --at c1 --effective --json";
    expect((await run(`${command} --threads 1`, {})).stderr).toBe(onCpu(1));
    expect((await run(command, { CONV_DEVICE: "cpu" })).stderr).toBe(onCpu());
  });

  it.runIf(software.VK_DRIVER_FILES)(
    "is not a GPU that is only emulated, and the reason is given",
    async () => {
      const { code, stderr } = await run("receptive lenet5 --at c1 --effective --json", software);
      expect({ code, stderr }).toEqual({
        code: 0,
        stderr: onCpu().replace("\n", "; GPU not used: it is emulated in software\n"),
      });
    },
  );

  it.runIf(process.platform === "linux")(
    "fails in one line where the GPU is requested and there is no driver",
    async () => {
      const { code, stdout, stderr } = await run("soak --device gpu", {
        VK_DRIVER_FILES: "/none.json",
        VK_ICD_FILENAMES: "/none.json",
      });
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      // the loader of Vulkan prints that it has no driver
      const last = stderr.trimEnd().split("\n").at(-1);
      expect(last).toMatch(
        /^error: gpu: (Vulkan not found \(libvulkan\.so\.1\)$|WebGPU offers no adapter: )/,
      );
    },
  );

  it("may be the GPU: the gradient there is that of the CPU, which --device cpu takes whatever CONV_DEVICE says", async () => {
    const command = "receptive lenet5 --at s4 --effective --json";
    const [there, here] = [
      await runOnGpu(command),
      await run(`${command} --device cpu`, { CONV_DEVICE: "gpu" }),
    ];
    expect([there.code, here.code, here.stderr]).toEqual([0, 0, onCpu()]);
    expect(there.stderr).toMatch(onGpu);
    const [want, got]: number[][] = [here, there].map(
      ({ stdout }) => JSON.parse(stdout).effective.map,
    );
    const largest = Math.max(...want);
    got.forEach((v, i) => expect(Math.abs(v - want[i])).toBeLessThan(1e-4 * largest));
  });

  it("trains on the GPU, whose memory does not grow", async () => {
    const { code, stdout, stderr } = await run("soak --steps 20 --device gpu --json", software);
    expect(code).toBe(0);
    expect(stderr).toMatch(onGpu);
    const { steps, growth, samples } = JSON.parse(stdout);
    expect(steps).toBe(20);
    expect(growth.backend).toBe(0);
    expect(samples.at(-1).backend.programs).toBe(samples[0].backend.programs);
  });

  it("is measured layer by layer", async () => {
    const { code, stdout, stderr } = await runOnGpu(
      "summary lenet5 --measure --device gpu --format json",
    );
    expect(code).toBe(0);
    expect(stderr).toMatch(onGpu);
    const { timing } = JSON.parse(stdout);
    expect(`on the ${timing.on}\n`).toBe(stderr);
    expect(timing.layers.map((l: { path: string }) => l.path)).toEqual([
      "c1",
      "s2",
      "c3",
      "s4",
      "c5",
      "f6",
      "output",
    ]);
    for (const { predicted, measured } of timing.layers) {
      expect(predicted).toBeGreaterThan(0);
      expect(measured).toBeGreaterThan(0);
    }
    expect(timing.measured).toBeGreaterThan(0);
    expect(timing.programBytes).toBeGreaterThan(0);
  });
});
