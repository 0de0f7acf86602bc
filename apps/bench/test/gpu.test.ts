// The bench on WebGPU: what a competitor does when it is asked, the measured peak, refusals in one
// line, and short real runs on SwiftShader, in processes of Node and in a page of Chromium.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createHost } from "@conv/tensor";
import { validatingGpu } from "@conv/testkit/webgpu";
import { afterAll, expect, test, vi } from "vitest";
import { answerer } from "../src/answer.ts";
import { createEngine } from "../src/engines/conv.ts";
import { measureGpuPeak, peakShader } from "../src/gpu-peak.ts";
import { layerCases, shapesOf } from "../src/layers.ts";
import { operand } from "../src/random.ts";
import type { Result } from "../src/report/result.ts";
import { judge, reference } from "../src/verify.ts";

// processes that start processes, on a machine that does other things
vi.setConfig({ testTimeout: 240_000 });

const script = (name: string) => fileURLToPath(new URL(`../src/${name}.ts`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "conv-bench-gpu-"));
afterAll(() => rmSync(folder, { recursive: true }));
const run = (name: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) =>
  spawnSync(process.execPath, [script(name), ...args], {
    encoding: "utf8",
    env: { ...process.env, COLUMNS: "100", CONV_BENCH_SHARE: "0.1", ...env },
  });

test("a competitor prepares, is timed, tells its clock and its result, and says why it declines", async () => {
  const [{ geometry }] = layerCases("resnet", { filter: "depthwise 3x3 512" });
  const small = { ...geometry, ic: 4, oc: 4, groups: 4 };
  const operands = shapesOf("forward", small).operands.map((shape, i) =>
    operand(
      i,
      shape.reduce((a, b) => a * b),
    ),
  );
  const task = { kind: "layer", direction: "forward", geometry: small, threads: 1 } as const;
  const answer = answerer(createEngine(createHost(), "gpu"));
  expect(await answer({ ask: "read" }, [])).toEqual({
    reply: { say: "declined", reason: "read before prepare" },
  });
  const bytes = operands.map((o) => new Uint8Array(o.buffer).slice().buffer);
  expect(await answer({ ask: "prepare", task }, bytes)).toMatchObject({
    reply: { say: "ready", kernels: ["reference"] },
  });
  const { reply, arrays } = await answer({ ask: "run", minMs: 0, minCalls: 3 }, []);
  expect(reply).toEqual({ say: "times" });
  const times = arrays![0];
  expect(times).toBeInstanceOf(Float64Array);
  expect(times.byteLength).toBe(24);
  expect(await answer({ ask: "clock" }, [])).toEqual({ reply: { say: "clock", deviceMs: null } });
  const [result] = (await answer({ ask: "read" }, [])).arrays!;
  expect(
    judge(reference("forward", small, operands[0], operands[1]), result as Float32Array).verified,
  ).toBe(true);
  const network = {
    kind: "network",
    model: "none",
    batch: 1,
    threads: 1,
    graph: {
      input: { name: "x", shape: [] },
      output: { name: "y", shape: [] },
      weights: [],
      nodes: [],
    },
  } as const;
  expect((await answer({ ask: "prepare", task: network }, [])).reply.say).toBe("declined");
});

test("the shader of the peak is chains of multiply-adds, in float16 where asked", () => {
  expect(peakShader({ scalar: "f16", lanes: 2, accumulators: 2, fused: true })).toMatchSnapshot();
  expect(peakShader({ scalar: "f32", lanes: 1, accumulators: 1, fused: false })).toContain(
    "acc0 = acc0 * scale + shift;",
  );
});

test("no WebGPU, or one that computes nothing, is said", async () => {
  await expect(measureGpuPeak(undefined)).rejects.toThrow(
    "no WebGPU here: there is no adapter (a GPU and its driver of Vulkan, Metal or Direct3D 12)",
  );
  await expect(measureGpuPeak(validatingGpu())).rejects.toThrow(
    "this WebGPU computes nothing: it is done in no time, however much it is given",
  );
});

test("a machine without a GPU is refused in one line", () => {
  const { status, stdout, stderr } = run(
    "main",
    ["layers", "--device", "gpu", "--adapter", "machine"],
    {
      VK_DRIVER_FILES: join(folder, "none.json"),
    },
  );
  expect(stderr).toBe(
    "no WebGPU here: there is no adapter (a GPU and its driver of Vulkan, Metal or Direct3D 12)\n",
  );
  expect(stdout).toBe("");
  expect(status).toBe(2);
});

test.each([
  ["node", "Dawn in Node "],
  ["browser", "Chromium "],
])("a real run in %s: verified, with the adapter, its peak and its clock", (where, through) => {
  const [json, html] = [join(folder, `${where}.json`), join(folder, `${where}.html`)];
  const args = [
    "layers",
    "--device",
    "gpu",
    "--in",
    where,
    "--adapter",
    "swiftshader",
    "--filter",
    "depthwise 3x3 512@14",
    "--rounds",
    "1",
  ];
  const { status, stdout, stderr } = run("main", [...args, "--json", json, "--html", html]);
  expect(stderr).toBe("");
  expect(status).toBe(0);
  expect(stdout).toContain("GB/s copied");
  const { machine, rows, declined }: Result = JSON.parse(readFileSync(json, "utf8"));
  expect(machine.gpu).toEqual({
    adapter: expect.stringMatching(/swiftshader/i),
    through: expect.stringContaining(through),
  });
  expect(machine.peak).toEqual({
    gflops: expect.any(Number),
    bandwidth: expect.any(Number),
    of: expect.stringContaining("in registers, f32"),
  });
  expect(declined).toEqual([]);
  expect(rows).toMatchObject([
    {
      case: "depthwise 3×3 512@14",
      competitor: "conv",
      verified: true,
      kernels: [expect.any(String)],
    },
  ]);
  expect(rows[0].percentOfPeak).toBeCloseTo((100 * rows[0].gflops) / machine.peak.gflops, 9);
  expect(readFileSync(html, "utf8")).toContain(through);
});

test("a run on a real GPU names the parts that have no time left", () => {
  const { status, stdout } = run("real-gpu", [
    "--minutes",
    "0.01",
    "--tiny",
    "--out",
    join(folder, "real"),
  ]);
  expect(status).toBe(1);
  expect(stdout.trim().split("\n")).toEqual([
    "Nothing was measured.",
    "",
    "Failed:",
    "  layers: no time was left",
    "  network: no time was left",
    "  training: no time was left",
  ]);
});
