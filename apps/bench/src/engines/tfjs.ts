// TensorFlow.js on its WebAssembly back end (XNNPACK) or on WebGPU, in its own layout, channels-last; results stay where they are computed.

import type { ConvGeometry } from "@conv/ops";
import { shapesOf } from "../layers.ts";
import { permute } from "../permute.ts";
import type { Engine } from "../task.ts";
import type { Context } from "./context.ts";

interface Tensor {
  dispose(): void;
  data(): Promise<Float32Array>;
}
type Pads = readonly (readonly [number, number])[];
export interface Tf {
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  backend(): GpuBackend;
  tensor4d(data: Float32Array, shape: readonly number[]): Tensor;
  conv2d(x: Tensor, w: Tensor, strides: readonly number[], pad: Pads, format: "NHWC", dilations: readonly number[]): Tensor;
  depthwiseConv2d(x: Tensor, w: Tensor, strides: readonly number[], pad: Pads, format: "NHWC", dilations: readonly number[]): Tensor;
  conv2dTranspose(dy: Tensor, w: Tensor, shape: readonly number[], strides: readonly number[], pad: Pads): Tensor;
}
interface TfWasm {
  setWasmPaths(folder: string): void;
  setThreadsCount(threads: number): void;
}
/** What the WebGPU back end has recorded is handed over by these. */
interface GpuBackend {
  endComputePassEncoder(): void;
  submitQueue(): void;
  readonly queue: GPUQueue;
}

/** From our channels-first layouts to NHWC and HWIO (depthwise: HWC1), and back. */
const toNhwc = [0, 2, 3, 1];
const fromNhwc = [0, 3, 1, 2];
const toHwio = [2, 3, 1, 0];
const toHwc1 = [2, 3, 0, 1];

export async function createWasmEngine({ threads, peers }: Context): Promise<Engine> {
  const tf = await peers.load<Tf>("@tensorflow/tfjs-core");
  const wasm = await peers.load<TfWasm>("@tensorflow/tfjs-backend-wasm");
  wasm.setWasmPaths(peers.folder("@tensorflow/tfjs-backend-wasm/dist/"));
  wasm.setThreadsCount(threads);
  await begin(tf, "wasm");
  return engine(tf, await peers.version("@tensorflow/tfjs-backend-wasm"));
}

export async function createGpuEngine({ peers }: Context): Promise<Engine> {
  const tf = await peers.load<Tf>("@tensorflow/tfjs-core");
  await peers.load("@tensorflow/tfjs-backend-webgpu");
  await begin(tf, "webgpu");
  const finish = async () => {
    const backend = tf.backend();
    backend.endComputePassEncoder();
    backend.submitQueue();
    await backend.queue.onSubmittedWorkDone();
  };
  return engine(tf, await peers.version("@tensorflow/tfjs-backend-webgpu"), finish);
}

async function begin(tf: Tf, name: string): Promise<void> {
  if (!(await tf.setBackend(name))) throw new Error(`tfjs: the ${name} back end did not start`);
  await tf.ready();
}

function engine(tf: Tf, version: string, finish?: () => Promise<void>): Engine {
  return {
    version,
    async layer({ direction, geometry: g }, operands) {
      const depthwise = g.groups === g.ic && g.groups > 1;
      if (g.groups > 1 && !depthwise) throw new Error("tfjs has no grouped convolution");
      if (direction === "gradWeight") throw new Error("tfjs has no call for the gradient to the weight");
      if (direction === "gradInput" && depthwise) throw new Error("tfjs has no call for the gradient of depthwise convolution");
      const { operands: shapes, result } = shapesOf(direction, g);
      const put = (i: number, order: readonly number[]) =>
        tf.tensor4d(
          permute(operands[i], shapes[i], order),
          order.map((axis) => shapes[i][axis]),
        );
      const a = put(0, toNhwc);
      const b = put(1, depthwise ? toHwc1 : toHwio);
      const call = direction === "gradInput" ? gradInput(tf, g) : depthwise ? tf.depthwiseConv2d : tf.conv2d;
      let y: Tensor | undefined;
      const clear = () => {
        y?.dispose();
        y = undefined;
      };
      return {
        run() {
          clear();
          y = call(a, b, g.stride, pads(g), "NHWC", g.dilation);
        },
        finish,
        read: async () =>
          permute(
            await y!.data(),
            toNhwc.map((axis) => result[axis]),
            fromNhwc,
          ),
        dispose() {
          clear();
          a.dispose();
          b.dispose();
        },
      };
    },
  };
}

const pads = (g: ConvGeometry): Pads => [
  [0, 0],
  [g.padLo[0], g.padHi[0]],
  [g.padLo[1], g.padHi[1]],
  [0, 0],
];

function gradInput(tf: Tf, g: ConvGeometry): (dy: Tensor, w: Tensor) => Tensor {
  if (g.dilation.some((d) => d > 1)) throw new Error("tfjs has no dilated transposed convolution");
  return (dy, w) => tf.conv2dTranspose(dy, w, [g.n, ...g.input, g.ic], g.stride, pads(g));
}
