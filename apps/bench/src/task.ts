// What is measured, and what a competitor must offer to be measured.

import type { ConvGeometry } from "@conv/ops";
import type { Direction } from "./layers.ts";

/** One convolution of two operands, or a training step of LeNet-5 on a batch of images (float32, n×1×28×28) and labels (int32). */
export type Task =
  | { readonly kind: "layer"; readonly direction: Direction; readonly geometry: ConvGeometry; readonly threads: number }
  | { readonly kind: "train"; readonly batch: number; readonly threads: number };

export type LayerTask = Extract<Task, { kind: "layer" }>;
export type TrainTask = Extract<Task, { kind: "train" }>;

/** A library set up in its own process. */
export interface Engine {
  readonly version: string;
  /** Puts operands on the device and compiles; throws an Error whose message says why it declines. */
  layer(task: LayerTask, operands: readonly Float32Array[]): Promise<Prepared>;
  train?(task: TrainTask, images: Float32Array, labels: Int32Array): Promise<Prepared>;
}

/** A task on the device, ready to be timed. */
export interface Prepared {
  /** Kernels that were chosen, where the library says. */
  readonly kernels?: readonly string[];
  /** The timed call. The result stays on the device. */
  run(): void | Promise<void>;
  /** Not timed: releases what `run` left behind. */
  clear?(): void;
  /** The result of the last run: values of a layer, [first loss, last loss] of training. */
  read(): Promise<Float32Array>;
  dispose(): void | Promise<void>;
}
