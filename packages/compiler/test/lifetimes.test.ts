// Memory for blocks of known lifetimes: blocks that live at the same time never share a byte, and no
// more memory is used than all of them take side by side.

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { align, packBlocks, shareBuffers, type Lifetime } from "../src/index.ts";

const SEED = 19980511;

const lifetimesOf = (bytes: { min: number; max: number }) =>
  fc.array(
    fc
      .record({ bytes: fc.integer(bytes), from: fc.nat(20), length: fc.nat(8) })
      .map(({ bytes, from, length }) => ({ bytes, from, to: from + length })),
    { maxLength: 40 },
  );
const liveTogether = (a: Lifetime, b: Lifetime) => a.from <= b.to && b.from <= a.to;
const overlap = (a: number, aBytes: number, b: number, bBytes: number) =>
  a < b + bBytes && b < a + aBytes;

describe.each([16, 64])("one range of memory, aligned to %d bytes", (alignment) => {
  const lifetimes = lifetimesOf({ min: 0, max: 5000 });

  it("never lets blocks overlap that live at the same time, and aligns them", () => {
    fc.assert(
      fc.property(lifetimes, (blocks) => {
        const { offsets, bytes } = packBlocks(blocks, alignment);
        blocks.forEach((v, i) => {
          expect(offsets[i] % alignment).toBe(0);
          expect(offsets[i] + v.bytes).toBeLessThanOrEqual(bytes);
          blocks.slice(0, i).forEach((other, j) => {
            // Each has its last cache line to itself: vectors may be stored up to there.
            if (liveTogether(v, other))
              expect(
                overlap(
                  offsets[i],
                  Math.max(alignment, v.bytes),
                  offsets[j],
                  Math.max(alignment, other.bytes),
                ),
                `${i} and ${j}`,
              ).toBe(false);
          });
        });
      }),
      { seed: SEED, numRuns: 300 },
    );
  });

  it("takes no more than all blocks side by side", () => {
    fc.assert(
      fc.property(lifetimes, (blocks) => {
        const all = blocks.reduce((sum, v) => sum + align(v.bytes, alignment), 0);
        expect(packBlocks(blocks, alignment).bytes).toBeLessThanOrEqual(all);
      }),
      { seed: SEED },
    );
  });

  it("reuses the memory of blocks that are no longer used", () => {
    const chain = Array.from({ length: 10 }, (_, i) => ({ bytes: 1000, from: i, to: i + 1 }));
    expect(packBlocks(chain, alignment).bytes).toBe(2 * align(1000, alignment));
    expect(packBlocks([], alignment)).toEqual({ offsets: [], bytes: 0 });
  });
});

it("aligns to the next multiple, at least one", () => {
  expect([0, 1, 64, 65].map((bytes) => align(bytes, 64))).toEqual([64, 64, 64, 128]);
});

describe("separate buffers", () => {
  it("are never shared by blocks that live at the same time, and each block fits", () =>
    fc.assert(
      fc.property(lifetimesOf({ min: 16, max: 1000 }), (blocks) => {
        const { bufferOf, bytes } = shareBuffers(blocks);
        blocks.forEach((v, i) => {
          expect(bytes[bufferOf[i]]).toBeGreaterThanOrEqual(v.bytes);
          for (let j = 0; j < i; j++)
            if (bufferOf[j] === bufferOf[i]) expect(liveTogether(v, blocks[j])).toBe(false);
        });
        const total = bytes.reduce((a, b) => a + b, 0);
        const alive = Array.from({ length: 30 }, (_, t) =>
          blocks.reduce((sum, v) => (v.from <= t && t <= v.to ? sum + v.bytes : sum), 0),
        );
        expect(total).toBeGreaterThanOrEqual(Math.max(0, ...alive));
        expect(total).toBeLessThanOrEqual(blocks.reduce((sum, v) => sum + v.bytes, 0));
      }),
    ));

  it("are two for a chain of equal blocks", () => {
    const chain = Array.from({ length: 10 }, (_, i) => ({ bytes: 64, from: i, to: i + 1 }));
    expect(shareBuffers(chain).bytes).toEqual([64, 64]);
  });
});
