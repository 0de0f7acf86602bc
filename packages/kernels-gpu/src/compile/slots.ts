// Buffers shared by values that never live at the same time: the largest first, each into the first
// buffer that is free while it lives ("greedy by size" of Pisarchyk and Lee, Efficient Memory
// Management for Deep Neural Net Inference, 2020). A kernel may not read and write one buffer, so
// that values of one buffer are never read and written by one stage.

export interface Lifetime {
  readonly bytes: number;
  /** First and last stage that uses it, both included. */
  readonly from: number;
  readonly to: number;
}

/** The buffer of each value, and the bytes of each buffer. */
export function shareSlots(values: readonly Lifetime[]): { slotOf: number[]; bytes: number[] } {
  const slotOf = values.map(() => -1);
  const slots: { bytes: number; held: Lifetime[] }[] = [];
  const order = values.map((_, i) => i).sort((a, b) => values[b].bytes - values[a].bytes || a - b);
  for (const i of order) {
    const v = values[i];
    let at = slots.findIndex(({ held }) => held.every((h) => h.to < v.from || v.to < h.from));
    if (at < 0) at = slots.push({ bytes: v.bytes, held: [] }) - 1;
    slots[at].held.push(v);
    slotOf[i] = at;
  }
  return { slotOf, bytes: slots.map(({ bytes }) => bytes) };
}
