// What the engine offers: found by validating modules of a few bytes, never by reading version
// strings.

import { MOST_ROUNDOFF } from "@conv/ops";
import type { Bytes } from "@conv/tensor";
import { availableThreads } from "../runtime/threads.ts";
import { f32x4, i32, v128 } from "../wasm/asm.ts";
import { Module } from "../wasm/module.ts";

/** What kernels may use, and with how many threads. */
export interface Caps {
  /** `f32x4.relaxed_madd`: one fused or unfused multiply-add, whichever is faster. */
  readonly relaxed: boolean;
  /**
   * The engine joins pairs of neighboring vectors into 256-bit registers: tiles are made for it.
   */
  readonly simd256: boolean;
  readonly threads: number;
  /** Kernels that state a larger factor for their rounding errors are passed over. */
  readonly roundoff: number;
  /**
   * Names of kernels that are taken wherever they can be, whatever they estimate; the first goes
   * first.
   */
  readonly prefer: readonly string[];
}

/**
 * The capabilities that a back end of these options has on this engine, told without starting one:
 * 256-bit registers are taken on trust.
 */
export const capsOf = ({
  threads = globalThis.crossOriginIsolated === false ? 1 : availableThreads(),
  simd256 = false,
  roundoff = MOST_ROUNDOFF.balanced,
  prefer = [],
}: Partial<Omit<Caps, "relaxed">> = {}): Caps => ({
  relaxed: hasRelaxedSimd(),
  simd256,
  threads,
  roundoff,
  prefer,
});

const encoded = (body: (m: Module) => void): Bytes => {
  const m = new Module();
  body(m);
  return m.encode({ shared: false, maximum: 1 });
};

/** A module with a vector in it, which must compile wherever programs run. */
export const probe = (): Bytes =>
  encoded((m) => void m.func("f", [], (f) => f.store(i32.add(0, 0), f32x4.add(v128.load(0), 1))));

/** Why this engine cannot run programs; null if it can. */
export async function unsupportedReason(): Promise<string | null> {
  if (typeof WebAssembly === "undefined") return "this engine has no WebAssembly";
  if (!WebAssembly.validate(probe())) return "this engine has no WebAssembly SIMD";
  try {
    await WebAssembly.compile(probe());
    return null;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return `WebAssembly may not be compiled here (${why}); a content security policy must have 'wasm-unsafe-eval' in script-src`;
  }
}

export const hasRelaxedSimd = (): boolean =>
  WebAssembly.validate(
    encoded((m) => void m.func("f", [], (f) => f.store(0, f32x4.relaxedMadd(1, 2, 3)))),
  );
