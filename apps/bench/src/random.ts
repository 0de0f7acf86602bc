// Numbers that are the same in every run: a small seeded generator, and operands drawn from it.

/** Mulberry32: uniform in [0, 1), 32 bits of state. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `size` floats, uniform in [−1, 1). */
export function operand(seed: number, size: number): Float32Array {
  const next = random(seed);
  const values = new Float32Array(size);
  // several times as fast as Float32Array.from, and there are millions
  for (let i = 0; i < size; i++) values[i] = 2 * next() - 1;
  return values;
}
