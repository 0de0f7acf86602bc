// How a product is cut into the work of a workgroup and of its threads (tiled.ts), and what that
// takes.

import { remembered } from "@conv/compiler";
import { createCache, type Cache } from "@conv/tensor";
import type { Caps, Matrices } from "../../compile/caps.ts";

export interface Tile {
  /** Of a workgroup. */
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  /** Of a thread; multiples of 4. */
  readonly threadRows: number;
  readonly threadColumns: number;
  /** Slices that are in workgroup memory at a time. */
  readonly buffers: 1 | 2;
  readonly splits: number;
  /**
   * Slices lie in memory, and are multiplied and summed, in float16; what they come to is added in
   * float32.
   */
  readonly half?: boolean | undefined;
  /**
   * Slices of float16 are multiplied by subgroups, as matrices of this size: a thread's rows and
   * columns are those of a subgroup then.
   */
  readonly matrices?: Matrices | undefined;
}

export const threadsOf = (t: Tile): number =>
  (t.rows / t.threadRows) * (t.columns / t.threadColumns) * (t.matrices?.lanes ?? 1);
/**
 * Vectors between neighboring taps of a slice: one more than needed, so that a tap's neighbors
 * lie in different banks; matrices begin at 16 bytes.
 */
export const pitchOf = (t: Tile) => (rows: number) => rows / 4 + (t.matrices ? 2 : 1);
/** Subgroups that multiply, where they do. */
export const subgroupsOf = (t: Tile): number =>
  (t.rows / t.threadRows) * (t.columns / t.threadColumns);

/** Floats of workgroup memory through which sums go: a matrix of each subgroup. */
const patchFloats = (t: Tile): number =>
  t.matrices ? subgroupsOf(t) * t.matrices.rows * t.matrices.columns : 0;

export const workgroupBytes = (t: Tile): number =>
  (t.half ? 8 : 16) * t.buffers * t.depth * (pitchOf(t)(t.rows) + pitchOf(t)(t.columns)) +
  4 * patchFloats(t);

/** A tile with its predicted time. */
export interface Timed<T> {
  readonly tile: T;
  readonly seconds: number;
}

export const fastest = <T>(all: readonly Timed<T>[]): Timed<T> =>
  all.reduce((best, own) => (own.seconds < best.seconds ? own : best));

/**
 * Choices that a device remembers: kernels are asked for an estimate and for code, and networks
 * repeat their layers.
 */
export const choices = <T>() => remembered<Caps, Cache<Timed<T>>>(() => createCache(500, () => {}));
