// onnxruntime: in WebAssembly and on WebGPU (onnxruntime-web), and native (onnxruntime-node), on
// the CPU or its own WebGPU. One API, one model.

import { convGeometry } from "@conv/ops";
import { spec } from "@conv/tensor";
import { convModel, networkModel } from "../onnx.ts";
import type { Engine } from "../task.ts";
import type { Context } from "./context.ts";

interface Ort {
  readonly env: {
    readonly wasm: { numThreads?: number; wasmPaths?: string };
    readonly webgpu: { readonly device: Promise<GPUDevice> };
  };
  readonly Tensor: {
    new (type: "float32", data: Float32Array, shape: readonly number[]): Value;
    fromGpuBuffer(
      buffer: GPUBuffer,
      options: { dataType: "float32"; dims: readonly number[] },
    ): Value;
  };
  readonly InferenceSession: { create(model: Uint8Array, options: object): Promise<Session> };
}
interface Value {
  readonly data: Float32Array;
  getData(): Promise<Float32Array>;
  dispose(): void;
}
interface Session {
  run(feeds: object, fetches: readonly string[]): Promise<Record<string, Value>>;
  release(): Promise<void>;
}

export async function createWebEngine({ device, threads, peers }: Context): Promise<Engine> {
  const ort = await peers.load<Ort>(
    device === "gpu" ? "onnxruntime-web/webgpu" : "onnxruntime-web",
  );
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = peers.folder("onnxruntime-web/dist/");
  const version = await peers.version("onnxruntime-web");
  if (device === "cpu") return engine(ort, version, { executionProviders: ["wasm"] });
  return engine(
    ort,
    version,
    { executionProviders: ["webgpu"], preferredOutputLocation: "gpu-buffer" },
    () => ort.env.webgpu.device,
  );
}

/**
 * On its WebGPU results are not to be had without a copy to the host, so that runs are timed with
 * that of one element.
 */
export async function createNodeEngine({ device, threads, peers }: Context): Promise<Engine> {
  const options = {
    executionProviders: [device === "gpu" ? "webgpu" : "cpu"],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
  };
  return engine(
    await peers.load<Ort>("onnxruntime-node"),
    await peers.version("onnxruntime-node"),
    options,
  );
}

// Both operands are constants of the model, so constant folding would compute the whole
// convolution when the model is loaded. It stays off.
const noFolding = { extra: { optimization: { disable_specified_optimizers: "ConstantFolding" } } };

/**
 * `gpu` is given where results stay on a device of WebGPU: runs are then over once its queue is
 * done.
 */
const engine = (
  ort: Ort,
  version: string,
  options: object,
  gpu?: () => Promise<GPUDevice>,
): Engine => ({
  version,
  async layer({ direction, geometry }, operands) {
    const session = await ort.InferenceSession.create(convModel(direction, geometry, operands), {
      ...options,
      ...noFolding,
      logSeverityLevel: 3,
    });
    if (gpu) return onDevice(session, {}, "y", await gpu());
    return {
      async run() {
        await session.run({}, ["first"]);
      },
      read: async () => (await session.run({}, ["y"])).y.data,
      dispose: () => session.release(),
    };
  },
  async network({ graph }, images, weights) {
    const model = networkModel(graph, weights);
    await warmUp(ort, options);
    const started = performance.now();
    const session = await ort.InferenceSession.create(model, { ...options, logSeverityLevel: 3 });
    const { input, output } = graph;
    if (gpu) {
      const device = await gpu();
      const buffer = device.createBuffer({
        size: images.byteLength,
        usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
      });
      device.queue.writeBuffer(buffer, 0, Float32Array.from(images));
      const feeds = {
        [input.name]: ort.Tensor.fromGpuBuffer(buffer, { dataType: "float32", dims: input.shape }),
      };
      const prepared = onDevice(session, feeds, output.name, device, () => buffer.destroy());
      await prepared.run();
      await prepared.read();
      return { startMs: performance.now() - started, ...prepared };
    }
    let y: Float32Array = new Float32Array();
    const run = async () => {
      y = (
        await session.run({ [input.name]: new ort.Tensor("float32", images, input.shape) }, [
          output.name,
        ])
      )[output.name].data;
    };
    await run();
    return {
      startMs: performance.now() - started,
      run,
      read: async () => y,
      dispose: () => session.release(),
    };
  },
});

/** Runs whose result stays on the device. */
function onDevice(
  session: Session,
  feeds: object,
  name: string,
  { queue }: GPUDevice,
  disposed = () => {},
) {
  let y: Value | undefined;
  return {
    async run() {
      y?.dispose();
      y = (await session.run(feeds, [name]))[name];
    },
    finish: async () => void (await queue.onSubmittedWorkDone()),
    read: () => y!.getData(),
    async dispose() {
      y?.dispose();
      await session.release();
      disposed();
    },
  };
}

/**
 * The runtime itself loads with the first session; what a network takes to start should not hold
 * that.
 */
async function warmUp(ort: Ort, options: object): Promise<void> {
  const g = convGeometry(spec([1, 1, 1, 1]), spec([1, 1, 1, 1]));
  const session = await ort.InferenceSession.create(
    convModel("forward", g, [new Float32Array(1), new Float32Array(1)]),
    options,
  );
  await session.release();
}
