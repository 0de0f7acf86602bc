// The most this machine's WebAssembly can compute: independent multiply-adds that stay in
// registers; and how fast memory is copied. Run as a program it prints both; it is its own process
// because whether V8 pairs 128-bit operations into AVX2 is a flag of the process.

import { fileURLToPath } from "node:url";
import { SHARE } from "./pace.ts";

const MADD = [0xfd, 0x85, 0x02]; // f32x4.relaxed_madd: a·b + c, of (a, b, c)
const ADD = [0xfd, 0xe4, 0x01]; // f32x4.add
const MUL = [0xfd, 0xe6, 0x01]; // f32x4.mul
const UNROLL = 8;

const section = (id: number, body: readonly number[]) => [id, ...leb(body.length), ...body];
function leb(value: number): number[] {
  return value < 128 ? [value] : [128 | (value % 128), ...leb(Math.floor(value / 128))];
}

/**
 * A module with `f(iterations)`: `accumulators` vectors, each multiplied-added UNROLL times an
 * iteration, stored at the end side by side (which is how V8 finds pairs). Without relaxed SIMD, a
 * multiplication and an addition.
 */
export function peakModule(accumulators: number, relaxed: boolean): Uint8Array<ArrayBuffer> {
  const [a, b, first] = [1, 2, 3]; // locals: 0 is the counter
  const get = (local: number) => [0x20, ...leb(local)];
  const set = (local: number) => [0x21, ...leb(local)];
  const each = (emit: (acc: number, i: number) => number[]) =>
    Array.from({ length: accumulators }, (_, i) => emit(first + i, i)).flat();
  const multiplyAdd = (acc: number) =>
    relaxed
      ? [...get(a), ...get(b), ...get(acc), ...MADD]
      : [...get(a), ...get(b), ...MUL, ...get(acc), ...ADD];
  const code = [
    [1, 2 + accumulators, 0x7b], // v128 locals
    // from memory, so that nothing is known of them
    [0x41, 0, 0xfd, 0, 4, 0, ...set(a), 0x41, 0, 0xfd, 0, 4, 16, ...set(b)],
    [0x03, 0x40], // loop
    ...Array.from({ length: UNROLL }, () => each((acc) => [...multiplyAdd(acc), ...set(acc)])),
    [...get(0), 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b],
    each((acc, i) => [0x41, 0, ...get(acc), 0xfd, 11, 4, ...leb(64 + 16 * i)]),
    [0x0b],
  ].flat();
  const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  const f = [1, 1, 0x66, 0, 0]; // the only export
  const sections = [
    section(1, [1, 0x60, 1, 0x7f, 0]),
    section(3, [1, 0]),
    section(5, [1, 0, 1]),
    section(7, f),
    section(10, [1, ...leb(code.length), ...code]),
  ];
  return Uint8Array.from([header, ...sections].flat());
}

/** Bytes that are copied, far beyond the caches of one core. */
const COPIED = 64 * 2 ** 20;

/** The best of several copies, in GB/s, read and written. */
function measureBandwidth(milliseconds: number): number {
  const [from, to] = [new Uint8Array(COPIED).fill(1), new Uint8Array(COPIED).fill(2)];
  let best = 0;
  const end = performance.now() + milliseconds;
  do {
    const start = performance.now();
    to.set(from);
    best = Math.max(best, (2 * COPIED) / (performance.now() - start) / 1e6);
  } while (performance.now() < end);
  return best;
}

/**
 * The best of several runs, GFLOP/s of one thread. 12 vectors fill the registers of 128-bit code,
 * 24 those of paired code.
 */
export function measurePeak(milliseconds = 300 * SHARE): {
  gflops: number;
  bandwidth: number;
  fused: boolean;
} {
  const fused = WebAssembly.validate(peakModule(12, true));
  let gflops = 0;
  for (const accumulators of [12, 24]) {
    const { exports } = new WebAssembly.Instance(
      new WebAssembly.Module(peakModule(accumulators, fused)),
    );
    const f = exports.f as (iterations: number) => void;
    const iterations = 20_000;
    const end = performance.now() + milliseconds;
    do {
      const start = performance.now();
      f(iterations);
      gflops = Math.max(
        gflops,
        (iterations * UNROLL * accumulators * 8) / (performance.now() - start) / 1e6,
      );
    } while (performance.now() < end);
  }
  return { gflops, bandwidth: measureBandwidth(milliseconds), fused };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(JSON.stringify(measurePeak()));
