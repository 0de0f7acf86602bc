// Memory for blocks whose lifetimes are known. Both algorithms place the largest block first:
// Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020.

/** A block of memory, and the first and last step that uses it (both included). */
export interface Lifetime {
  readonly bytes: number;
  readonly from: number;
  readonly to: number;
}

const overlap = (a: Lifetime, b: Lifetime): boolean => a.from <= b.to && b.from <= a.to;

const largestFirst = (blocks: readonly Lifetime[]): number[] =>
  blocks.map((_, i) => i).sort((a, b) => blocks[b].bytes - blocks[a].bytes || a - b);

/** `bytes` as a multiple of `alignment`, at least one of them. */
export const align = (bytes: number, alignment: number): number =>
  Math.max(alignment, Math.ceil(bytes / alignment) * alignment);

/**
 * Places all blocks in one range of memory, each at the lowest aligned offset that is free while it
 * lives. Blocks whose lifetimes overlap never share a byte.
 */
export function packBlocks(
  blocks: readonly Lifetime[],
  alignment: number,
): { offsets: number[]; bytes: number } {
  const offsets = blocks.map(() => 0);
  const placed: number[] = []; // by offset
  let total = 0;
  for (const i of largestFirst(blocks)) {
    const size = align(blocks[i].bytes, alignment);
    let at = 0;
    for (const j of placed) {
      if (offsets[j] >= at + size) break;
      if (overlap(blocks[i], blocks[j]))
        at = Math.max(at, offsets[j] + align(blocks[j].bytes, alignment));
    }
    offsets[i] = at;
    const after = placed.findIndex((j) => offsets[j] > at);
    placed.splice(after < 0 ? placed.length : after, 0, i);
    total = Math.max(total, at + size);
  }
  return { offsets, bytes: total };
}

/**
 * Assigns blocks to separate buffers, each to the first buffer that is free while it lives. Returns
 * the buffer of each block, and the bytes of each buffer.
 */
export function shareBuffers(blocks: readonly Lifetime[]): {
  bufferOf: number[];
  bytes: number[];
} {
  const bufferOf = blocks.map(() => -1);
  const buffers: { bytes: number; held: Lifetime[] }[] = [];
  for (const i of largestFirst(blocks)) {
    const block = blocks[i];
    let at = buffers.findIndex(({ held }) => !held.some((h) => overlap(h, block)));
    if (at < 0) at = buffers.push({ bytes: block.bytes, held: [] }) - 1;
    buffers[at].held.push(block);
    bufferOf[i] = at;
  }
  return { bufferOf, bytes: buffers.map(({ bytes }) => bytes) };
}
