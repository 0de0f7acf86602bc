// The messages between the page and its worker.

import type { Failure } from "../failure.ts";
import type { Recipe } from "./recipe.ts";
import type { Beginning } from "./weights.ts";

export const DEVICE_NAMES = ["cpu", "gpu"] as const;
export type DeviceName = (typeof DEVICE_NAMES)[number];

/** The choice of the reader: a device, or the better one. */
export type DeviceChoice = DeviceName | "best";

/** The device that the network runs on. */
export interface DeviceInfo {
  readonly name: DeviceName;
  /** Threads of the CPU; 0 for the GPU. */
  readonly threads: number;
  /** The name of the GPU; "" for the CPU. */
  readonly adapter: string;
  /** Whether the GPU is emulated in software. */
  readonly software: boolean;
}

/** Why the network does not run on the GPU: a known reason, or the error that opening it threw. */
export type NotGpu = "software" | "noWebGpu" | "noAdapter" | Failure;

/** To the worker. */
export type Request =
  | {
      readonly type: "start";
      readonly model: string;
      /** The folder of the page, with the digits and the pretrained weights. */
      readonly folder: string;
      readonly device: DeviceChoice;
      readonly beginning: Beginning;
      readonly rate: number;
      readonly recipe: Recipe;
    }
  /** Move to this device; a running training continues. */
  | { readonly type: "device"; readonly device: DeviceName }
  /** Predict this digit: 28×28, 0 to 1. */
  | { readonly type: "look"; readonly pixels: Float32Array }
  /** The last picture is on the screen; during training, the next one waits for this. */
  | { readonly type: "shown" }
  | { readonly type: "samples"; readonly indices: readonly number[] }
  | { readonly type: "train"; readonly epochs: number }
  | { readonly type: "pause" }
  /** Replace the weights by pretrained or random ones. */
  | { readonly type: "begin"; readonly beginning: Beginning }
  | { readonly type: "rate"; readonly value: number }
  /** Keep the weights; a running training continues. */
  | { readonly type: "recipe"; readonly recipe: Recipe }
  | { readonly type: "save" }
  | { readonly type: "load"; readonly name: string; readonly bytes: Uint8Array };

/** A test digit. */
export interface Sample {
  readonly index: number;
  readonly label: number;
  readonly pixels: Float32Array;
}

/** From the worker. */
export type Reply =
  | { readonly type: "ready"; readonly testCount: number; readonly trainCount: number }
  /**
   * The device from now on. `notGpu`: why it is not the GPU, where that was requested or preferred;
   * `lost`: why the device before was lost.
   */
  | {
      readonly type: "device";
      readonly device: DeviceInfo;
      readonly notGpu: NotGpu | null;
      readonly lost: string | null;
    }
  /** Shaders compiled, of all so far. */
  | { readonly type: "compiling"; readonly ready: number; readonly total: number }
  | { readonly type: "samples"; readonly samples: readonly Sample[] }
  /**
   * All values of one forward pass: digit, input, parameters, and the probes in their order.
   */
  | {
      readonly type: "seen";
      readonly pixels: Float32Array;
      readonly x: Float32Array;
      readonly parameters: readonly Float32Array[];
      readonly probes: readonly Float32Array[];
    }
  | {
      readonly type: "progress";
      readonly points: readonly Point[];
      readonly images: number;
      readonly left: number;
    }
  /**
   * Measured training time per image on this device, including measurements of accuracy.
   */
  | { readonly type: "pace"; readonly secondsPerImage: number }
  | { readonly type: "accuracy"; readonly images: number; readonly accuracy: number }
  | {
      readonly type: "training";
      readonly running: boolean;
      readonly weights: Weights;
      /** Whether the weights were replaced. */ readonly fresh: boolean;
    }
  | { readonly type: "weights"; readonly bytes: Uint8Array }
  | { readonly type: "loaded"; readonly name: string }
  | { readonly type: "refused"; readonly refusal: Refusal }
  | { readonly type: "failed"; readonly failure: Failure };

/**
 * The origin of the weights, and the number of images that they were trained on here since.
 */
export interface Weights {
  readonly from: Beginning["from"] | "file";
  readonly images: number;
}

/** Why weights are refused. */
export type Refusal =
  | { readonly kind: "notSafetensors" | "damaged" }
  /** An unsupported type of numbers. */
  | { readonly kind: "unsupported"; readonly failure: Failure }
  /**
   * A tensor that the file lacks or that has another shape, and the number of further ones.
   */
  | { readonly kind: "otherNetwork"; readonly missing: string; readonly more: number }
  | { readonly kind: "notFinite"; readonly name: string }
  /** Pretrained weights that could not be loaded. */
  | { readonly kind: "notFetched"; readonly failure: Failure };

/** The loss of one step, and the number of images so far. */
export interface Point {
  readonly images: number;
  readonly loss: number;
}
