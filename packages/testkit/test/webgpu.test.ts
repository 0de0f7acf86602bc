// WebGPU in Node for other tests: it computes on any machine, in this process and in its children,
// and validates where there is no driver at all.

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { softwareEnv, softwareGpu, useSoftwareDriver, validatingGpu } from "../src/webgpu.ts";

/** Doubles four numbers. */
async function doubled(gpu: GPU): Promise<number[]> {
  const device = await (await gpu.requestAdapter())!.requestDevice();
  const code =
    "@group(0) @binding(0) var<storage, read_write> x: array<f32>; @compute @workgroup_size(4) fn main(@builtin(local_invocation_index) i: u32) { x[i] *= 2; }";
  const pipeline = device.createComputePipeline({
    layout: "auto",
    compute: { module: device.createShaderModule({ code }) },
  });
  const buffer = device.createBuffer({
    size: 16,
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
  });
  const staging = device.createBuffer({
    size: 16,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  device.queue.writeBuffer(buffer, 0, Float32Array.of(1, 2, 3, 4));
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(
    0,
    device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [{ binding: 0, resource: { buffer } }],
    }),
  );
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, 16);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const values = [...new Float32Array(staging.getMappedRange())];
  device.destroy();
  return values;
}

test("the software driver computes, and there is one object a process", async () => {
  expect(await doubled(await softwareGpu())).toEqual([2, 4, 6, 8]);
  expect(await softwareGpu()).toBe(await softwareGpu());
}, 120_000);

test("others are called soon, as ever", async () => {
  await softwareGpu();
  expect(await new Promise((resolve) => setImmediate(resolve, "with an argument"))).toBe(
    "with an argument",
  );
  expect(await promisify(setImmediate)("a promise")).toBe("a promise");
});

test("the null back end takes the same calls, computes nothing, and refuses a wrong shader", async () => {
  expect(await doubled(validatingGpu())).toHaveLength(4);
  const device = await (await validatingGpu().requestAdapter())!.requestDevice();
  device.pushErrorScope("validation");
  device.createShaderModule({ code: "fn main() { let x: i32 = 1.5; }" });
  expect((await device.popErrorScope())?.message).toContain(
    "cannot convert value of type 'abstract-float' to type 'i32'",
  );
  device.destroy();
});

test("a process started with the variables finds the driver", async () => {
  const script =
    'import { create } from "webgpu"; const gpu = create([]); const adapter = await gpu.requestAdapter(); console.log(adapter !== null, gpu !== null); process.exit();';
  const env = { ...process.env, ...(await softwareEnv()) };
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--input-type=module", "--eval", script],
    { cwd: import.meta.dirname, env },
  );
  expect(stdout.trim()).toBe("true true");
});

test("a worker is told that it cannot", async () => {
  await useSoftwareDriver();
  const script = `import(${JSON.stringify(new URL("../src/webgpu.ts", import.meta.url).href)}).then(({ useSoftwareDriver }) => useSoftwareDriver()).catch((error) => require("node:worker_threads").parentPort.postMessage(error.message))`;
  const worker = new Worker(script, { eval: true, env: {} });
  const message = await new Promise((resolve, reject) =>
    worker.once("message", resolve).once("error", reject),
  );
  expect(message).toBe("useSoftwareDriver: a worker cannot change the environment of its process");
  await worker.terminate();
});
