// The competitors that run in Node, by name. Each is loaded in its own process and only there.

import type { Engine } from "../task.ts";

export type EngineName = "conv" | "ort-web" | "ort-node" | "tfjs-wasm" | "jax-js";

/** Sets an engine up for so many threads; `simd256` is for Conv alone. */
export const engines: Record<EngineName, (threads: number, simd256: boolean) => Promise<Engine>> = {
  conv: async (threads, simd256) => (await import("./conv.ts")).createEngine(threads, simd256),
  "ort-web": async (threads) => (await import("./ort.ts")).createWebEngine(threads),
  "ort-node": async (threads) => (await import("./ort.ts")).createNodeEngine(threads),
  "tfjs-wasm": async (threads) => (await import("./tfjs.ts")).createEngine(threads),
  "jax-js": async (threads) => (await import("./jax.ts")).createEngine(threads),
};
