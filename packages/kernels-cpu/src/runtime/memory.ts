// The heap of a back end: one WebAssembly memory for all buffers and programs, and a free list.

import { align } from "@conv/compiler";
import { message, rangeError } from "@conv/tensor";

const PAGE = 65536;
/** A cache line. Vector code may read and write as much past the end of a buffer. */
export const ALIGNMENT = 64;
/** The first bytes hold the words that threads share (see runtime.ts); address 0 stays unused. */
export const RESERVED = 1024;
/** Vector loads may run past the end of the last buffer by this much. */
const SLACK = 1024;

/** Initial pages of the memory. */
export const INITIAL = 16;

export interface Heap {
  /**
   * The address of at least `bytes` bytes, 64-byte aligned. Throws RangeError if they do not fit.
   */
  alloc(bytes: number): number;
  /** Throws where nothing is allocated. */
  free(address: number): void;
}

/** The bytes that an allocation of so many bytes takes in the heap. */
export const allocated = (bytes: number): number => align(bytes, ALIGNMENT);

/** A heap in a memory that `grow` enlarges, to at most `maximum` pages. */
export function createHeap(maximum: number, grow: (pages: number) => void): Heap {
  // Free ranges by address, never adjacent; first fit keeps long-lived buffers low.
  const free: { address: number; size: number }[] = [];
  const sizes = new Map<number, number>();
  let top = RESERVED;
  let total = INITIAL * PAGE;
  return {
    alloc(bytes) {
      const size = allocated(bytes);
      let address: number;
      const i = free.findIndex((r) => r.size >= size);
      if (i >= 0) {
        const range = free[i];
        address = range.address;
        if (range.size === size) free.splice(i, 1);
        else free[i] = { address: address + size, size: range.size - size };
      } else {
        const needed = top + size + SLACK - total;
        if (needed > 0) {
          const limit = maximum * PAGE;
          if (top + size + SLACK > limit)
            throw rangeError(
              "cpu",
              "out-of-memory",
              message`${{ bytes }} bytes do not fit: ${{ used: top }} of ${{ limit }} bytes are in use`,
            );
          // It grows by an eighth at least, so that it grows seldom.
          const pages = Math.min(
            maximum - total / PAGE,
            Math.ceil(Math.max(needed, total / 8) / PAGE),
          );
          try {
            grow(pages);
          } catch {
            throw rangeError(
              "cpu",
              "memory-not-granted",
              message`${{ bytes }} bytes do not fit: the engine refuses to grow the memory from ${{ total }} by ${{ more: pages * PAGE }} bytes`,
            );
          }
          total += pages * PAGE;
        }
        address = top;
        top += size;
      }
      sizes.set(address, size);
      return address;
    },
    free(address) {
      const size = sizes.get(address);
      if (size === undefined) throw new Error(`cpu: nothing is allocated at ${address}`);
      sizes.delete(address);
      // Merged with adjacent free ranges.
      const after = free.findIndex((r) => r.address > address);
      const at = after < 0 ? free.length : after;
      const [before, next] = [free[at - 1], free[at]];
      const [joins, joined] = [
        at > 0 && before.address + before.size === address,
        next?.address === address + size,
      ];
      const range = {
        address: joins ? before.address : address,
        size: size + (joins ? before.size : 0) + (joined ? next.size : 0),
      };
      free.splice(joins ? at - 1 : at, Number(joins) + Number(joined), range);
      if (range.address + range.size === top) {
        top = range.address;
        free.pop();
      }
    },
  };
}
