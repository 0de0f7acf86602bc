// The heap, whose allocations may end at any time.

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createHeap, INITIAL, RESERVED } from "../src/runtime/memory.ts";

const SEED = 19980511;
const PAGE = 65536;
const overlap = (a: number, aBytes: number, b: number, bBytes: number) =>
  a < b + bBytes && b < a + aBytes;

describe("heap", () => {
  /** A heap over a memory that can grow by so many pages. */
  const heapOf = (more: number) => {
    const memory = new WebAssembly.Memory({ initial: INITIAL, maximum: INITIAL + more });
    return { memory, ...createHeap(INITIAL + more, (pages) => void memory.grow(pages)) };
  };

  it("gives out memory that nobody else has, and gets all of it back as one piece", () => {
    const step = fc.oneof(fc.record({ alloc: fc.nat(90_000) }), fc.record({ free: fc.nat(1000) }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const heap = heapOf(256);
        const live = new Map<number, number>();
        for (const s of steps) {
          if ("alloc" in s) {
            const address = heap.alloc(s.alloc);
            expect(address % 64).toBe(0);
            expect(address).toBeGreaterThanOrEqual(RESERVED);
            expect(address + s.alloc).toBeLessThanOrEqual(heap.memory.buffer.byteLength);
            for (const [other, bytes] of live)
              expect(overlap(address, Math.max(1, s.alloc), other, Math.max(1, bytes))).toBe(false);
            live.set(address, s.alloc);
          } else if (live.size) {
            const address = [...live.keys()][s.free % live.size];
            heap.free(address);
            live.delete(address);
          }
        }
        for (const address of live.keys()) heap.free(address);
        // All that the memory holds, but what is reserved at both ends, is one free piece again.
        const all = heap.memory.buffer.byteLength - 2 * RESERVED;
        const before = heap.memory.buffer.byteLength;
        expect(heap.alloc(all)).toBe(RESERVED);
        expect(heap.memory.buffer.byteLength).toBe(before);
      }),
      { seed: SEED, numRuns: 200 },
    );
  });

  it("refuses an address that it has not given, or has got back", () => {
    const heap = heapOf(2);
    const [a, b] = [heap.alloc(100), heap.alloc(100)];
    heap.free(a);
    for (const address of [a, 12345, 0, -1, NaN])
      expect(() => heap.free(address)).toThrow(`cpu: nothing is allocated at ${address}`);
    expect(heap.alloc(128)).toBe(a);
    expect(heap.alloc(1)).toBe(b + 128);
  });

  it("gives pieces of no bytes addresses of their own", () => {
    const heap = heapOf(2);
    const addresses = [0, 0, 0].map((bytes) => heap.alloc(bytes));
    expect(new Set(addresses).size).toBe(3);
    addresses.forEach((address) => heap.free(address));
    expect(heap.alloc(192)).toBe(addresses[0]);
  });

  it("takes the lowest gap that is large enough", () => {
    const heap = heapOf(2);
    const [a, , c] = [heap.alloc(64), heap.alloc(64), heap.alloc(256), heap.alloc(64)];
    heap.free(a);
    heap.free(c);
    expect(heap.alloc(200)).toBe(c);
    expect(heap.alloc(10)).toBe(a);
  });

  it("grows when it must, and says what does not fit", () => {
    const heap = heapOf(4);
    expect(heap.alloc(INITIAL * PAGE)).toBe(RESERVED);
    expect(heap.memory.buffer.byteLength).toBeGreaterThan(INITIAL * PAGE);
    const inUse = `${RESERVED + INITIAL * PAGE} of ${(INITIAL + 4) * PAGE} bytes are in use`;
    expect(() => heap.alloc(4 * PAGE)).toThrow(
      expect.objectContaining({
        name: "RangeError",
        code: "out-of-memory",
        message: `cpu: 262144 bytes do not fit: ${inUse}`,
      }),
    );
    expect(heap.alloc(PAGE)).toBe(RESERVED + INITIAL * PAGE);
  });

  it("says what the engine refuses, and gives what fits after that", () => {
    const heap = createHeap(1000, () => {
      throw new RangeError("no");
    });
    const refused = `the engine refuses to grow the memory from ${INITIAL * PAGE} by ${5 * PAGE} bytes`;
    expect(() => heap.alloc(20 * PAGE)).toThrow(
      expect.objectContaining({
        name: "RangeError",
        code: "memory-not-granted",
        values: { bytes: 1310720, total: INITIAL * PAGE, more: 5 * PAGE },
        message: `cpu: 1310720 bytes do not fit: ${refused}`,
      }),
    );
    expect(heap.alloc(PAGE)).toBe(RESERVED);
  });
});
