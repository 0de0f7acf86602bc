// The CPU back end: one WebAssembly memory, a pool of threads, and programs compiled for the shapes
// at hand.

import { MOST_ROUNDOFF, mustBePrecision, type Precision } from "@conv/ops";
import {
  checkOptions,
  manageBackend,
  rangeError,
  unsupported,
  type Backend,
  type Driver,
  type Graph,
} from "@conv/tensor";
import { capsOf, probe, unsupportedReason, type Caps } from "./compile/caps.ts";
import type { CpuKernel } from "./compile/code.ts";
import { compileProgram, type CpuBuffer, type CpuProgram } from "./compile/program.ts";
import { createEngine, type Engine } from "./runtime/engine.ts";
import { createHeap, type Heap } from "./runtime/memory.ts";
import { createShared } from "./runtime/shared.ts";
import { requestPairs, tryPairs } from "./runtime/simd256.ts";
import { availableThreads, type WorkerLike } from "./runtime/threads.ts";

export interface CpuOptions {
  /**
   * Threads, the calling one included unless `offThread`; as many as the machine has cores unless
   * given, and at most twice as many (or 8).
   */
  readonly threads?: number | undefined;
  /**
   * A worker runs the programs, with the other threads, so that `run` does not block the caller.
   * What fails there is reported by the next call or `read`. Without shared memory it has one
   * thread.
   */
  readonly offThread?: boolean | undefined;
  /**
   * Makes a worker whose script is `@conv/kernels-cpu/worker`, where a content security policy
   * forbids workers made from text:
   * `() => new Worker(new URL(…), { type: "module" })`.
   */
  readonly worker?: (() => WorkerLike) | undefined;
  /**
   * Makes code for engines that join pairs of 128-bit vectors into registers of 256 bits, some 1.5
   * times as fast. An experiment of V8's: in Node it is switched on here, for the whole process;
   * Chrome must be started with --js-flags=--experimental-wasm-revectorize. A trial at the start
   * makes sure that it works; if not, `simd256Reason` says why, and code is made as without.
   */
  readonly simd256?: boolean | undefined;
  /**
   * How convolutions may be computed: "exact", "balanced" (the default) or "fast", which is the
   * same here. The README has the bounds.
   */
  readonly precision?: Precision | undefined;
  /**
   * Names of kernels that are taken wherever they can be, whatever they estimate: to measure one
   * against another.
   */
  readonly prefer?: readonly string[] | undefined;
}

export interface CpuBackend extends Backend {
  readonly kind: "cpu";
  readonly caps: Caps;
  /** Why it runs on one thread although more were asked for; null if it does not. */
  readonly singleThreadReason: string | null;
  /** Why it does without 256-bit registers although they were asked for; null if it does not. */
  readonly simd256Reason: string | null;
  /** `prefer` stands for that of the back end, in this program alone. */
  compile(graph: Graph, options?: CompileOptions): CpuProgram;
}

let warned = false;

/** Starts the back end with the kernels of a list. */
export async function createCpuWith(
  kernels: readonly CpuKernel[],
  options: CpuOptions = {},
): Promise<CpuBackend> {
  checkOptions("cpu", options, "threads offThread worker simd256 precision prefer");
  const {
    threads = availableThreads(),
    offThread = false,
    worker,
    simd256 = false,
    precision = "balanced",
    prefer = [],
  } = options;
  if (!Number.isInteger(threads) || threads < 1)
    throw rangeError("cpu", `threads ${threads} is not a whole number ≥ 1`);
  mustBePrecision("cpu", precision);
  const reason = await unsupportedReason();
  if (reason) throw unsupported("cpu", reason);
  const most = Math.max(8, 2 * availableThreads());
  if (threads > most)
    console.warn(
      `@conv/kernels-cpu: ${threads} threads are more than ${availableThreads()} cores can use: running on ${most}`,
    );

  const managed = manage();
  const start = (count: number) =>
    createEngine({ threads: count, offThread, worker, probe: probe(), fail: managed.fail });
  let singleThreadReason: string | null = null;
  let engine: Engine | null = null;
  if (threads > 1) {
    try {
      if (globalThis.crossOriginIsolated === false)
        throw new Error("the page is not cross-origin isolated, so memory cannot be shared");
      engine = await start(Math.min(threads, most));
    } catch (error) {
      singleThreadReason = messageOf(error);
      if (!warned) console.warn(`@conv/kernels-cpu: running on one thread (${singleThreadReason})`);
      warned = true;
    }
  }
  try {
    engine ??= await start(1);
  } catch (error) {
    throw offThread ? unsupported("cpu", `offThread needs a worker: ${messageOf(error)}`) : error;
  }
  try {
    if (simd256) requestPairs();
    const caps = capsOf({
      threads: engine.threads,
      simd256,
      roundoff: MOST_ROUNDOFF[precision],
      prefer,
    });
    const narrow = { ...caps, simd256: false };
    const heap = createHeap(engine.maximum, engine.grow);
    let last = 0;
    const backendOf = (own: Caps, by = manage()) =>
      by.backend(
        "cpu",
        driverOf(heap, engine, own, kernels, () => ++last),
      );
    const simd256Reason = simd256 ? await tryPairs(backendOf(caps), backendOf(narrow)) : null;
    const used = simd256Reason ? narrow : caps;
    return Object.assign(backendOf(used, managed), {
      caps: used,
      singleThreadReason,
      simd256Reason,
    });
  } catch (error) {
    engine.dispose();
    throw error;
  }
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

type CompileOptions = Pick<CpuOptions, "prefer">;

const manage = () => manageBackend<CpuBuffer, CpuProgram, CompileOptions>("cpu");

function driverOf(
  heap: Heap,
  engine: Engine,
  caps: Caps,
  kernels: readonly CpuKernel[],
  next: () => number,
): Driver<CpuBuffer, CpuProgram, CompileOptions> {
  const shared = createShared(heap);
  return {
    alloc: (bytes) => ({ bytes, address: heap.alloc(bytes), version: next() }),
    free(buffer) {
      shared.packs.forget(buffer);
      heap.free(buffer.address);
    },
    write(buffer, data) {
      engine.write(buffer.address, data);
      buffer.version = next();
    },
    read: async ({ address, bytes }) => engine.read(address, bytes),
    compile: (graph, options) =>
      compileProgram(
        graph,
        { ...caps, prefer: options?.prefer ?? caps.prefer },
        kernels,
        heap,
        shared,
        engine,
        next,
      ),
    programBytes: (programs) => [...programs].reduce((sum, p) => sum + p.ownBytes, shared.bytes()),
    close: engine.dispose,
  };
}
