// onnxruntime, in WebAssembly (onnxruntime-web) and native (onnxruntime-node): one API, one model.

import { convModel } from "../onnx.ts";
import { peerPath, peerVersion, requirePeer } from "../peers.ts";
import type { Engine } from "../task.ts";

interface Ort {
  readonly env: { readonly wasm: { numThreads?: number; wasmPaths?: string } };
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
});
