// A training step of LeNet-5 in TensorFlow.js: variables, its own gradients and its own Adam,
// images in its layout, channels-last.

import type { Prepared, TrainTask } from "../task.ts";

export interface Tensor {
  dispose(): void;
  data(): Promise<Float32Array>;
}
type Shape = readonly number[];
export type Pads = readonly (readonly [number, number])[];

/** What a training step needs of TensorFlow.js. */
export interface TfTrain {
  tensor4d(data: Float32Array, shape: Shape): Tensor;
  tensor1d(data: Int32Array, dtype: "int32"): Tensor;
  oneHot(labels: Tensor, classes: number): Tensor;
  variable(initial: Tensor): Tensor;
  randomUniform(shape: Shape, low: number, high: number, dtype: "float32", seed: number): Tensor;
  conv2d(
    x: Tensor,
    w: Tensor,
    strides: number | Shape,
    padding: number | "valid" | Pads,
    format?: "NHWC",
    dilations?: Shape,
  ): Tensor;
  maxPool(x: Tensor, size: number, stride: number, padding: "valid"): Tensor;
  matMul(a: Tensor, b: Tensor): Tensor;
  add(a: Tensor, b: Tensor): Tensor;
  relu(x: Tensor): Tensor;
  reshape(x: Tensor, shape: Shape): Tensor;
  dispose(tensors: readonly Tensor[]): void;
  readonly losses: { softmaxCrossEntropy(labels: Tensor, logits: Tensor): Tensor };
  readonly train: {
    adam(rate: number): { minimize(loss: () => Tensor, returnLoss: true): Tensor; dispose(): void };
  };
}

export async function trainLenet(
  tf: TfTrain,
  { model, batch }: TrainTask,
  images: Float32Array,
  labels: Int32Array,
): Promise<Prepared> {
  if (model !== "lenet5") throw new Error(`tfjs has no ${model}`);
  // U(±1/√fan-in), as PyTorch draws weights and biases of layers.
  let seed = 0;
  const parameter = (shape: Shape, fanIn: number) =>
    tf.variable(
      tf.randomUniform(shape, -1 / Math.sqrt(fanIn), 1 / Math.sqrt(fanIn), "float32", ++seed),
    );
  const layer = (shape: Shape) => {
    const fanIn = shape.slice(0, -1).reduce((a, b) => a * b);
    return [parameter(shape, fanIn), parameter([shape.at(-1)!], fanIn)] as const;
  };
  const [c1, c2, f1, f2, f3] = [
    [5, 5, 1, 6],
    [5, 5, 6, 16],
    [400, 120],
    [120, 84],
    [84, 10],
  ].map(layer);
  const x = tf.tensor4d(images, [batch, 28, 28, 1]); // one channel: the same in both layouts
  const y = tf.oneHot(tf.tensor1d(labels, "int32"), 10);
  const conv = (v: Tensor, [w, b]: typeof c1, padding: number | "valid") =>
    tf.maxPool(tf.relu(tf.add(tf.conv2d(v, w, 1, padding), b)), 2, 2, "valid");
  const dense = (v: Tensor, [w, b]: typeof c1) => tf.add(tf.matMul(v, w), b);
  const loss = () => {
    const features = tf.reshape(conv(conv(x, c1, 2), c2, "valid"), [batch, 400]);
    return tf.losses.softmaxCrossEntropy(
      y,
      dense(tf.relu(dense(tf.relu(dense(features, f1)), f2)), f3),
    );
  };
  const optimizer = tf.train.adam(0.001);
  const losses: number[] = [];
  return {
    async run() {
      const value = optimizer.minimize(loss, true);
      losses.push((await value.data())[0]);
      value.dispose();
    },
    read: async () => Float32Array.of(losses[0], losses.at(-1)!),
    dispose() {
      optimizer.dispose();
      tf.dispose([...[c1, c2, f1, f2, f3].flat(), x, y]);
    },
  };
}
