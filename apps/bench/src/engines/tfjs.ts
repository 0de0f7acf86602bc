// TensorFlow.js on its WebAssembly back end (XNNPACK) or on WebGPU, in its own layout,
// channels-last; results stay where they are computed.

import type { ConvGeometry } from "@conv/ops";
import { shapesOf } from "../layers.ts";
import { permute } from "../permute.ts";
import type { Engine } from "../task.ts";
import type { Context } from "./context.ts";
import { trainLenet, type Pads, type Tensor, type TfTrain } from "./tfjs-train.ts";

interface Tf extends TfTrain {
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  backend(): GpuBackend;
  depthwiseConv2d(
    x: Tensor,
    w: Tensor,
    strides: readonly number[],
    pad: Pads,
    format: "NHWC",
    dilations: readonly number[],
  ): Tensor;
  conv2dTranspose(
    dy: Tensor,
    w: Tensor,
    shape: readonly number[],
    strides: readonly number[],
    pad: Pads,
  ): Tensor;
  engine(): {
    runKernel(name: string, inputs: Readonly<Record<string, Tensor>>, attributes: object): Tensor;
  };
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

/** From our channels-first layouts to NHWC and HWIO (depthwise: HWC1). */
const toNhwc = [0, 2, 3, 1];
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
  await peers.load("@tensorflow/tfjs-gradients");
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
    async train(task, images, labels) {
      if (!finish)
        throw new Error("the wasm back end has no kernels for the gradients of convolutions");
      return trainLenet(tf, task, images, labels);
    },
    async layer({ direction, geometry: g }, operands) {
      const depthwise = g.groups === g.ic && g.groups > 1;
      if (g.groups > 1 && !depthwise) throw new Error("tfjs has no grouped convolution");
      const call =
        direction === "forward"
          ? forward(tf, g, depthwise)
          : gradient(tf, g, direction, depthwise, finish !== undefined);
      const { operands: shapes, result } = shapesOf(direction, g);
      const weights = depthwise ? toHwc1 : toHwio;
      const put = (i: number, order: readonly number[]) =>
        tf.tensor4d(
          permute(operands[i], shapes[i], order),
          order.map((axis) => shapes[i][axis]),
        );
      const a = put(0, toNhwc);
      const b = put(1, direction === "gradWeight" ? toNhwc : weights);
      const made = direction === "gradWeight" ? weights : toNhwc;
      let y: Tensor | undefined;
      const clear = () => {
        y?.dispose();
        y = undefined;
      };
      return {
        run() {
          clear();
          y = call(a, b);
        },
        finish,
        read: async () =>
          permute(
            await y!.data(),
            made.map((axis) => result[axis]),
            made.map((_, axis) => made.indexOf(axis)),
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

type Call = (a: Tensor, b: Tensor) => Tensor;

function forward(tf: Tf, g: ConvGeometry, depthwise: boolean): Call {
  const conv = depthwise ? tf.depthwiseConv2d : tf.conv2d;
  return (x, w) => conv(x, w, g.stride, pads(g), "NHWC", g.dilation);
}

/**
 * The kernels that its own gradients run: the back end on WebGPU has all, that in WebAssembly only
 * one.
 */
function gradient(
  tf: Tf,
  g: ConvGeometry,
  direction: "gradInput" | "gradWeight",
  depthwise: boolean,
  gpu: boolean,
): Call {
  if (g.dilation.some((d) => d > 1))
    throw new Error("tfjs has no gradient of a dilated convolution");
  if (direction === "gradInput" && !depthwise)
    return (dy, w) => tf.conv2dTranspose(dy, w, [g.n, ...g.input, g.ic], g.stride, pads(g));
  if (!gpu)
    throw new Error(
      "the wasm back end has no kernel for the gradient " +
        (direction === "gradWeight" ? "to the weight" : "of depthwise convolution"),
    );
  const runner = tf.engine();
  const attributes = { strides: g.stride, dilations: g.dilation, pad: pads(g), dataFormat: "NHWC" };
  if (direction === "gradInput") {
    const inputShape = [g.n, ...g.input, g.ic];
    return (dy, filter) =>
      runner.runKernel(
        "DepthwiseConv2dNativeBackpropInput",
        { dy, filter },
        { ...attributes, inputShape },
      );
  }
  const filterShape = [...g.kernel, g.ic, g.oc / g.groups];
  return (dy, x) =>
    runner.runKernel(
      depthwise ? "DepthwiseConv2dNativeBackpropFilter" : "Conv2DBackpropFilter",
      { x, dy },
      { ...attributes, filterShape },
    );
}
