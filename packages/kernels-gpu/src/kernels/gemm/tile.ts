// How a product is divided among workgroups and their threads (tiledShader.ts), and the memory that
// takes.

import { remembered } from "@conv/compiler";
import { createCache, type Cache } from "@conv/tensor";
import type { Caps, Matrices } from "../../compile/caps.ts";

export interface Tile {
  /** Rows, columns and taps of a slice, of a workgroup. */
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  /** Rows and columns of a thread; multiples of 4. */
  readonly threadRows: number;
  readonly threadColumns: number;
  /** Slices that workgroup memory holds at a time. */
  readonly buffers: 1 | 2;
  /** Workgroups among which a sum is split. */
  readonly splits: number;
  /** Slices are stored, multiplied and summed in float16; sums of slices are float32. */
  readonly half?: boolean | undefined;
  /**
   * Subgroups multiply slices of float16 as matrices of this size; rows and columns of a thread are
   * those of a subgroup then.
   */
  readonly matrices?: Matrices | undefined;
}

export const threadsOf = (t: Tile): number =>
  (t.rows / t.threadRows) * (t.columns / t.threadColumns) * (t.matrices?.lanes ?? 1);
/**
 * Vectors between neighboring taps of a slice: one more than needed, so that neighboring taps lie
 * in different banks of memory. Matrices begin at multiples of 16 bytes.
 */
export const pitchOf = (t: Tile) => (rows: number) => rows / 4 + (t.matrices ? 2 : 1);
/** Subgroups that multiply matrices. */
export const subgroupsOf = (t: Tile): number =>
  (t.rows / t.threadRows) * (t.columns / t.threadColumns);

/** Floats of workgroup memory that sums of matrices pass through: one matrix of each subgroup. */
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
 * Choices that are remembered for each device: a kernel is asked for an estimate, then for code,
 * and networks repeat their layers.
 */
export const choices = <T>() => remembered<Caps, Cache<Timed<T>>>(() => createCache(500, () => {}));
