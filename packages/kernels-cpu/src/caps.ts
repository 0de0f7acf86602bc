// What the engine offers: found by validating modules of a few bytes, never by reading version strings.

import { availableThreads } from "./pool.ts";
import { f32x4, i32, Module, v128 } from "./wasm/asm.ts";

/** What kernels may use, and with how many threads. */
export interface Caps {
  /** `f32x4.relaxed_madd`: one fused or unfused multiply-add, whichever is faster. */
  readonly relaxed: boolean;
  /** The engine joins pairs of neighbouring vectors into 256-bit registers: tiles are made for it. */
  readonly simd256: boolean;
  readonly threads: number;
  /** Kernels that state a larger factor for their rounding errors are passed over. */
  readonly roundoff: number;
  /** Names of kernels that are taken wherever they can be, whatever they estimate; the first goes first. */
  readonly prefer: readonly string[];
}

/** The capabilities that a back end of these options has on this engine, told without starting one: 256-bit registers are taken on trust. */
export const capsOf = ({
  threads = globalThis.crossOriginIsolated === false ? 1 : availableThreads(),
  simd256 = false,
  roundoff = 256,
  prefer = [],
}: Partial<Omit<Caps, "relaxed">> = {}): Caps => ({ relaxed: hasRelaxedSimd(), simd256, threads, roundoff, prefer });

function valid(body: (m: Module) => void): boolean {
  const m = new Module();
  body(m);
  return WebAssembly.validate(m.encode({ shared: false, maximum: 1 }));
}

/** WebAssembly SIMD, without which there is no CPU back end. */
export const hasSimd = (): boolean => valid((m) => void m.func("f", [], (f) => f.store(i32.add(0, 0), f32x4.add(v128.load(0), 1))));

export const hasRelaxedSimd = (): boolean => valid((m) => void m.func("f", [], (f) => f.store(0, f32x4.relaxedMadd(1, 2, 3))));
