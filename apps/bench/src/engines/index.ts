// The competitors that run in JavaScript, by name. Each is loaded only where it runs.

import type { CompetitorName } from "../competitor.ts";
import type { Engine } from "../task.ts";
import type { Context } from "./context.ts";

const own = (half: boolean) => async (context: Context) =>
  (await import("./conv.ts")).createEngine(await context.backend(half), context.device);

const engines: Partial<Record<CompetitorName, (context: Context) => Promise<Engine>>> = {
  conv: own(false),
  "one-thread": own(false),
  "conv-f16": own(true),
  "ort-web": async (context) => (await import("./ort.ts")).createWebEngine(context),
  "ort-node": async (context) => (await import("./ort.ts")).createNodeEngine(context),
  "tfjs-wasm": async (context) => (await import("./tfjs.ts")).createWasmEngine(context),
  "tfjs-webgpu": async (context) => (await import("./tfjs.ts")).createGpuEngine(context),
  "jax-js": async (context) => (await import("./jax.ts")).createEngine(context),
};

/** Sets an engine up. Throws an Error of one line where it does not come up. */
export async function createEngine(name: CompetitorName, context: Context): Promise<Engine> {
  const create = engines[name];
  if (!create) throw new Error(`${name} does not run in JavaScript`);
  return create(context);
}
