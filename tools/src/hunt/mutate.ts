// Random mutations of bytes, as a fuzzer makes them: most results are almost valid files.

export interface Random {
  /** Uniform in [0, 1). */
  (): number;
}

/** A generator of random numbers for a seed (mulberry32). */
export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const upTo = (random: Random, count: number) => Math.floor(random() * count);
const of = <T>(random: Random, list: readonly T[]): T => list[upTo(random, list.length)];

const NUMBERS = [
  0,
  1,
  2,
  7,
  8,
  127,
  128,
  255,
  256,
  2 ** 15,
  2 ** 16 - 1,
  2 ** 24,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
];
const TEXTS = [
  '"',
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  "\\",
  "\\u0000",
  "-",
  "1e9",
  "9007199254740993",
  "null",
  "F32",
  "I64",
  "__metadata__",
  "__proto__",
  "\u001b[2J",
];

const ways: readonly ((bytes: Uint8Array, random: Random) => Uint8Array)[] = [
  // a bit, a byte, or a 32-bit number in either byte order
  (bytes, random) => changed(bytes, random, (b) => b ^ (1 << upTo(random, 8))),
  (bytes, random) => changed(bytes, random, () => upTo(random, 256)),
  (bytes, random) => {
    const at = upTo(random, Math.max(1, bytes.length - 4));
    const copy = new Uint8Array(Math.max(bytes.length, at + 4));
    copy.set(bytes);
    new DataView(copy.buffer).setUint32(at, of(random, NUMBERS), random() < 0.5);
    return copy;
  },
  // a text that overwrites bytes, or is inserted
  (bytes, random) => {
    const text = new TextEncoder().encode(of(random, TEXTS));
    const at = upTo(random, bytes.length + 1);
    return spliced(bytes, at, random() < 0.5 ? text.length : 0, text);
  },
  // a part is removed or repeated, or the end is cut off
  (bytes, random) =>
    spliced(bytes, upTo(random, bytes.length + 1), 1 + upTo(random, 16), new Uint8Array(0)),
  (bytes, random) => {
    const at = upTo(random, bytes.length + 1);
    return spliced(bytes, at, 0, bytes.slice(at, at + 1 + upTo(random, 64)));
  },
  (bytes, random) => bytes.slice(0, upTo(random, bytes.length + 1)),
  (bytes, random) => spliced(bytes, bytes.length, 0, new Uint8Array(1 + upTo(random, 64))),
];

function changed(bytes: Uint8Array, random: Random, change: (byte: number) => number): Uint8Array {
  const at = upTo(random, bytes.length);
  return bytes.map((b, i) => (i === at ? change(b) : b));
}

function spliced(bytes: Uint8Array, at: number, lost: number, put: Uint8Array): Uint8Array {
  const tail = bytes.subarray(Math.min(bytes.length, at + lost));
  const result = new Uint8Array(at + put.length + tail.length);
  result.set(bytes.subarray(0, at));
  result.set(put, at);
  result.set(tail, at + put.length);
  return result;
}

/** The bytes with one to four mutations, most near the beginning, where headers are. */
export function mutated(bytes: Uint8Array, random: Random): Uint8Array {
  let result = bytes;
  for (let left = 1 + upTo(random, 4); left > 0; left--) {
    const head = random() < 0.7 ? Math.min(result.length, 256) : result.length;
    const front = of(random, ways)(result.slice(0, head), random);
    result = spliced(front, front.length, 0, result.subarray(head));
  }
  return result;
}
