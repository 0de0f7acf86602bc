// What is measured, and what a competitor must offer to be measured.

import type { ConvGeometry } from "@conv/ops";
import type { Direction } from "./layers.ts";
import type { PeerGraph } from "./lower.ts";

/**
 * One convolution of two operands; or a network of @conv/layers/models by name: a training step on
 * a batch of images (float32) and labels (int32), or its answers for a batch of images, with its
 * weights.
 */
export type Task =
  | {
      readonly kind: "layer";
      readonly direction: Direction;
      readonly geometry: ConvGeometry;
      readonly threads: number;
    }
  | {
      readonly kind: "train";
      readonly model: string;
      readonly batch: number;
      readonly threads: number;
    }
  | {
      readonly kind: "network";
      readonly model: string;
      readonly batch: number;
      readonly threads: number;
      readonly graph: PeerGraph;
    };

export type LayerTask = Extract<Task, { kind: "layer" }>;
export type TrainTask = Extract<Task, { kind: "train" }>;
export type NetworkTask = Extract<Task, { kind: "network" }>;

/** A library set up. */
export interface Engine {
  readonly version: string;
  /**
   * Puts operands on the device and compiles; throws an Error whose message says why it declines.
   */
  layer(task: LayerTask, operands: readonly Float32Array[]): Promise<Prepared>;
  train?(task: TrainTask, images: Float32Array, labels: Int32Array): Promise<Prepared>;
  /**
   * Also runs it once, and says how long everything took from graph and weights in memory to the
   * first outputs.
   */
  network?(
    task: NetworkTask,
    images: Float32Array,
    weights: readonly Float32Array[],
  ): Promise<Prepared & { readonly startMs: number }>;
}

/** A task on the device, ready to be timed. */
export interface Prepared {
  /** Kernels that were chosen, where the library says. */
  readonly kernels?: readonly string[];
  readonly startMs?: number;
  /** The timed call. The result stays on the device. */
  run(): void | Promise<void>;
  /**
   * Timed too: waits until the device has done all runs. Absent where a run is over when it
   * returns.
   */
  finish?(): Promise<void>;
  /** Not timed: releases what runs left behind. */
  clear?(): void;
  /** Milliseconds of a run by the clock of the device, where it has one. */
  clock?(): Promise<number>;
  /**
   * The result of the last run: values of a layer or network, [first loss, last loss] of training.
   */
  read(): Promise<Float32Array>;
  dispose(): void | Promise<void>;
}
