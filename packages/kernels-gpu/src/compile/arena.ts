// Memory that the programs of one back end work in. The device runs one after the other and nothing
// in it outlasts a run, so they share it: the k-th buffer is as large as the k-th largest that any
// program needs.

import type { GpuTensorBuffer, Runtime } from "../runtime/runtime.ts";

export interface Arena {
  /**
   * Adds the sizes of a program, the largest first. Throws, and counts them not, where a buffer
   * cannot be made.
   */
  claim(sizes: readonly number[]): void;
  /** Ends a claim, of the same array. */
  release(sizes: readonly number[]): void;
  /** A buffer for each of the sizes. Those that the device had no room for are made again. */
  buffers(sizes: readonly number[]): readonly GpuTensorBuffer[];
  /** Bytes that the claims need. */
  bytes(): number;
}

export function createArena(runtime: Runtime): Arena {
  const make = (bytes: number) => runtime.buffer(bytes, "the working memory of a program");
  const claims = new Set<readonly number[]>();
  const held: (GpuTensorBuffer | undefined)[] = [];
  const needs = () => {
    const sizes: number[] = [];
    for (const claim of claims)
      claim.forEach((bytes, k) => (sizes[k] = Math.max(sizes[k] ?? 0, bytes)));
    return sizes;
  };
  /** Frees the buffers that are larger or smaller than what is needed now, then makes those. */
  const fit = () => {
    const sizes = needs();
    held.forEach((buffer, k) => {
      if (!buffer || buffer.bytes === sizes[k]) return;
      runtime.destroy([buffer.gpu]);
      delete held[k];
    });
    sizes.forEach((bytes, k) => (held[k] ??= make(bytes)));
  };
  return {
    claim(sizes) {
      claims.add(sizes);
      try {
        fit();
      } catch (error) {
        claims.delete(sizes);
        throw error;
      }
    },
    release(sizes) {
      claims.delete(sizes);
      try {
        fit();
      } catch {
        // The next run makes what it needs.
      }
    },
    buffers: (sizes) =>
      sizes.map((bytes, k) => {
        const buffer = held[k];
        if (buffer && buffer.bytes >= bytes && runtime.lives(buffer.gpu)) return buffer;
        if (buffer) runtime.destroy([buffer.gpu]);
        return (held[k] = make(bytes));
      }),
    bytes: () => needs().reduce((a, b) => a + b, 0),
  };
}
