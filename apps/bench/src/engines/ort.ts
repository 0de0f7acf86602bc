// onnxruntime, in WebAssembly (onnxruntime-web) and native (onnxruntime-node): one API, one model.

import { convGeometry } from "@conv/ops";
import { spec } from "@conv/tensor";
import { convModel, networkModel } from "../onnx.ts";
import { peerPath, peerVersion, requirePeer } from "../peers.ts";
import type { Engine } from "../task.ts";

interface Ort {
  readonly env: { readonly wasm: { numThreads?: number; wasmPaths?: string } };
  readonly Tensor: new (type: "float32", data: Float32Array, shape: readonly number[]) => object;
  readonly InferenceSession: { create(model: Uint8Array, options: object): Promise<Session> };
}
interface Session {
  run(feeds: object, fetches: readonly string[]): Promise<Record<string, { readonly data: Float32Array }>>;
  release(): Promise<void>;
}

export async function createWebEngine(threads: number): Promise<Engine> {
  const ort = requirePeer<Ort>("onnxruntime-web");
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = peerPath("onnxruntime-web/dist/");
  return engine(ort, await peerVersion("onnxruntime-web"), { executionProviders: ["wasm"] });
}

export async function createNodeEngine(threads: number): Promise<Engine> {
  const options = { executionProviders: ["cpu"], intraOpNumThreads: threads, interOpNumThreads: 1 };
  return engine(requirePeer<Ort>("onnxruntime-node"), await peerVersion("onnxruntime-node"), options);
}

// Both operands are constants of the model, so folding constants, which would compute the whole convolution beforehand, stays off.
const noFolding = { extra: { optimization: { disable_specified_optimizers: "ConstantFolding" } } };

const engine = (ort: Ort, version: string, options: object): Engine => ({
  version,
  async layer({ direction, geometry }, operands) {
    const session = await ort.InferenceSession.create(convModel(direction, geometry, operands), { ...options, ...noFolding, logSeverityLevel: 3 });
    return {
      async run() {
        await session.run({}, ["first"]);
      },
      read: async () => (await session.run({}, ["y"])).y!.data,
      dispose: () => session.release(),
    };
  },
  async network({ graph }, images, weights) {
    const model = networkModel(graph, weights);
    await warmUp(ort, options);
    const started = performance.now();
    const session = await ort.InferenceSession.create(model, { ...options, logSeverityLevel: 3 });
    const { name } = graph.output;
    let y: Float32Array = new Float32Array();
    const run = async () => {
      y = (await session.run({ [graph.input.name]: new ort.Tensor("float32", images, graph.input.shape) }, [name]))[name].data;
    };
    await run();
    return { startMs: performance.now() - started, run, read: async () => y, dispose: () => session.release() };
  },
});

/** The runtime itself loads with the first session; what a network takes to start should not hold that. */
async function warmUp(ort: Ort, options: object): Promise<void> {
  const g = convGeometry(spec([1, 1, 1, 1]), spec([1, 1, 1, 1]));
  const session = await ort.InferenceSession.create(convModel("forward", g, [new Float32Array(1), new Float32Array(1)]), options);
  await session.release();
}
