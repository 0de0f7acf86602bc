// What the page and its worker say to each other.

import type { Recipe } from "./recipe.ts";

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
  /** Whether that GPU is imitated by the processor. */
  readonly software: boolean;
}

/** To the worker. */
export type Request =
  | { readonly type: "start"; readonly model: string; readonly digits: string; readonly device: DeviceChoice }
  /** Compute there from now on; what was learned, and a training under way, go on. */
  | { readonly type: "device"; readonly device: DeviceName }
  /** Show this picture: 28×28, 0 to 1. */
  | { readonly type: "look"; readonly pixels: Float32Array }
  | { readonly type: "samples"; readonly indices: readonly number[] }
  | { readonly type: "train"; readonly epochs: number }
  | { readonly type: "pause" }
  | { readonly type: "reset" }
  | { readonly type: "rate"; readonly value: number }
  /** Pauses; the weights stay. */
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
  | { readonly type: "ready"; readonly heldOut: number; readonly trainCount: number }
  /** Where it computes from now on. `notGpu`: why not on the GPU, which was asked for or would be preferred; `lost`: why the device before was lost. */
  | { readonly type: "device"; readonly device: DeviceInfo; readonly notGpu: string | null; readonly lost: string | null }
  /** Shaders compiled, of those asked for so far. */
  | { readonly type: "compiling"; readonly ready: number; readonly total: number }
  | { readonly type: "samples"; readonly samples: readonly Sample[] }
  /** All values of one pass: what the network was shown, its parameters, the probes in their order. */
  | {
      readonly type: "seen";
      readonly pixels: Float32Array;
      readonly x: Float32Array;
      readonly parameters: readonly Float32Array[];
      readonly probes: readonly Float32Array[];
    }
  | { readonly type: "progress"; readonly points: readonly Point[]; readonly imagesPerSecond: number }
  | { readonly type: "accuracy"; readonly images: number; readonly accuracy: number }
  /** `images` of the training behind these weights; 0 where they are random, null where they came from a file. */
  | { readonly type: "training"; readonly running: boolean; readonly images: number | null; /** These weights are new. */ readonly fresh: boolean }
  | { readonly type: "weights"; readonly bytes: Uint8Array }
  | { readonly type: "loaded"; readonly name: string }
  | { readonly type: "refused"; readonly message: string }
  | { readonly type: "failed"; readonly message: string };

/** Loss of one step, after so many images. */
export interface Point {
  readonly images: number;
  readonly loss: number;
}
