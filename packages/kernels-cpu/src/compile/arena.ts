// Packing values with known lifetimes into one block of memory: the largest first, each at the
// lowest address that is free while it lives.

export interface Lifetime {
  readonly bytes: number;
  /** First and last step during which it is needed, both included. */
  readonly from: number;
  readonly to: number;
}

/**
 * An offset for each, 64-byte aligned, and the size of the whole. Values whose lifetimes meet never
 * overlap.
 */
export function packArena(values: readonly Lifetime[]): { offsets: number[]; bytes: number } {
  const round = (n: number) => Math.max(64, Math.ceil(n / 64) * 64);
  const offsets = values.map(() => 0);
  const placed: number[] = []; // by offset
  let total = 0;
  const order = values.map((_, i) => i).sort((a, b) => values[b].bytes - values[a].bytes || a - b);
  for (const i of order) {
    const v = values[i];
    const size = round(v.bytes);
    let at = 0;
    for (const j of placed) {
      if (offsets[j] >= at + size) break;
      if (values[j].from <= v.to && v.from <= values[j].to)
        at = Math.max(at, offsets[j] + round(values[j].bytes));
    }
    offsets[i] = at;
    const after = placed.findIndex((j) => offsets[j] > at);
    placed.splice(after < 0 ? placed.length : after, 0, i);
    total = Math.max(total, at + size);
  }
  return { offsets, bytes: total };
}
