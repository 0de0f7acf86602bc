// What the page and its worker say to each other.

import type { Failure } from "../failure.ts";
import type { Recipe } from "./recipe.ts";
import type { Beginning } from "./weights.ts";

export const DEVICE_NAMES = ["cpu", "gpu"] as const;
export type DeviceName = (typeof DEVICE_NAMES)[number];

/** What a reader asks for: one of them, or the better one. */
export type DeviceChoice = DeviceName | "best";

/** What the network computes on. */
export interface DeviceInfo {
  readonly name: DeviceName;
  /** Of the CPU; 0 for the GPU. */
  readonly threads: number;
  /** The GPU in words; "" for the CPU. */
  readonly adapter: string;
  /** Whether that GPU is emulated by the CPU. */
  readonly software: boolean;
}

/** Why the network does not run on the GPU: a known reason, or the error that opening it threw. */
export type NotGpu = "software" | "noWebGpu" | "noAdapter" | Failure;

/** To the worker. */
export type Request =
  | {
      readonly type: "start";
      readonly model: string;
      /** The folder of the page, where the digits and the trained weights are. */
      readonly folder: string;
      readonly device: DeviceChoice;
      readonly beginning: Beginning;
      readonly rate: number;
      readonly recipe: Recipe;
    }
  /** Compute there from now on; what was learned, and a training under way, go on. */
  | { readonly type: "device"; readonly device: DeviceName }
  /** Show this picture: 28×28, 0 to 1. */
  | { readonly type: "look"; readonly pixels: Float32Array }
  /** The picture last sent is on the screen: while learning, the next one waits for that. */
  | { readonly type: "shown" }
  | { readonly type: "samples"; readonly indices: readonly number[] }
  | { readonly type: "train"; readonly epochs: number }
  | { readonly type: "pause" }
  /** Other weights: trained ones that come with the page, or random ones. */
  | { readonly type: "begin"; readonly beginning: Beginning }
  | { readonly type: "rate"; readonly value: number }
  /** The weights stay, and a training under way goes on. */
  | { readonly type: "recipe"; readonly recipe: Recipe }
  | { readonly type: "save" }
  | { readonly type: "load"; readonly name: string; readonly bytes: Uint8Array };

/** A held-out digit. */
export interface Sample {
  readonly index: number;
  readonly label: number;
  readonly pixels: Float32Array;
}

/** From the worker. */
export type Reply =
  | { readonly type: "ready"; readonly testCount: number; readonly trainCount: number }
  /**
   * Where it computes from now on. `notGpu`: why not on the GPU, which was asked for or would be
   * preferred; `lost`: why the device before was lost.
   */
  | {
      readonly type: "device";
      readonly device: DeviceInfo;
      readonly notGpu: NotGpu | null;
      readonly lost: string | null;
    }
  /** Shaders compiled, of those asked for so far. */
  | { readonly type: "compiling"; readonly ready: number; readonly total: number }
  | { readonly type: "samples"; readonly samples: readonly Sample[] }
  /**
   * All values of one pass: what the network was shown, its parameters, the probes in their order.
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
   * What an image takes in training on this device, measured: all else that training does counted
   * in.
   */
  | { readonly type: "pace"; readonly secondsPerImage: number }
  | { readonly type: "accuracy"; readonly images: number; readonly accuracy: number }
  | {
      readonly type: "training";
      readonly running: boolean;
      readonly weights: Weights;
      /** These weights are new. */ readonly fresh: boolean;
    }
  | { readonly type: "weights"; readonly bytes: Uint8Array }
  | { readonly type: "loaded"; readonly name: string }
  | { readonly type: "refused"; readonly refusal: Refusal }
  | { readonly type: "failed"; readonly failure: Failure };

/**
 * Where the weights at hand come from, and how many images they were trained on here since then.
 */
export interface Weights {
  readonly from: Beginning["from"] | "file";
  readonly images: number;
}

/** Why weights are not taken. */
export type Refusal =
  | { readonly kind: "notSafetensors" | "damaged" }
  /** A type of number that cannot be read. */
  | { readonly kind: "unsupported"; readonly failure: Failure }
  /**
   * A tensor that the network has and the file has not, or one of another shape; and how many more
   * such.
   */
  | { readonly kind: "otherNetwork"; readonly missing: string; readonly more: number }
  | { readonly kind: "notFinite"; readonly name: string }
  /** Trained weights of the page that could not be fetched. */
  | { readonly kind: "notFetched"; readonly failure: Failure };

/** Loss of one step, after so many images. */
export interface Point {
  readonly images: number;
  readonly loss: number;
}
