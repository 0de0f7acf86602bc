// The CPU back end: one WebAssembly memory, a pool of threads, and programs compiled for the shapes
// at hand.

import { MOST_ROUNDOFF, mustBePrecision, type Precision } from "@conv/ops";
import {
  checkOptions,
  kindOf,
  manageBackend,
  message,
  rangeError,
  unsupported,
  type Backend,
  type Graph,
} from "@conv/tensor";
import { capsOf, probe, unsupportedReason, type Caps } from "./compile/caps.ts";
import type { CpuKernel } from "./compile/code.ts";
import { createDriver, type CompileOptions, type CpuProgram } from "./compile/program.ts";
import { selectionOf } from "./compile/selection.ts";
import { createEngine, type Engine } from "./runtime/engine.ts";
import { createHeap } from "./runtime/memory.ts";
import type { CpuBuffer } from "./runtime/shared.ts";
import type { Simd256 } from "./runtime/simd256.ts";
import { availableThreads, type WorkerLike } from "./runtime/threads.ts";

export interface CpuOptions {
  /**
   * Number of threads, including the calling thread unless `offThread`. By default one for each
   * core of the machine; at most twice as many (or 8).
   */
  readonly threads?: number | undefined;
  /**
   * A worker runs the programs, together with the other threads, so that `run` does not block the
   * caller. The next call or `read` reports its errors. Without shared memory it has one thread.
   */
  readonly offThread?: boolean | undefined;
  /**
   * Makes a worker whose script is `@conv/kernels-cpu/worker`, where a content security policy
   * forbids workers made from text:
   * `() => new Worker(new URL(…), { type: "module" })`.
   */
  readonly worker?: (() => WorkerLike) | undefined;
  /**
   * Generates code for engines that join pairs of 128-bit vectors in 256-bit registers, which is
   * about 1.5 times as fast. This is an experiment of V8: in Node this option sets the flag for the
   * whole process; Chrome must be started with --js-flags=--experimental-wasm-revectorize. A trial
   * at the start checks that it works; if it does not, the usual code is generated and
   * `simd256Reason` tells why.
   */
  readonly simd256?: boolean | undefined;
  /**
   * How convolutions may be computed: "exact", "balanced" (the default) or "fast", which is the
   * same as "balanced" here. The README has the error bounds.
   */
  readonly precision?: Precision | undefined;
  /**
   * The kernels that programs are made of; all kernels by default. The `createCpu` of
   * `@conv/kernels-cpu/core` takes the same option, and lets bundlers leave out all other kernels.
   */
  readonly kernels?: readonly CpuKernel[] | undefined;
  /**
   * Names of kernels that are chosen wherever they can compute a task, the first name first,
   * whatever their estimates: to compare kernels.
   */
  readonly prefer?: readonly string[] | undefined;
}

/** Options of the `createCpu` that has no kernels and no trial of 256-bit registers by itself. */
export interface CoreOptions extends Omit<CpuOptions, "kernels" | "simd256"> {
  readonly kernels: readonly CpuKernel[];
  /** `simd256` of this module, for what the option `simd256: true` does in {@link CpuOptions}. */
  readonly simd256?: Simd256 | undefined;
}

export interface CpuBackend extends Backend {
  readonly kind: "cpu";
  readonly caps: Caps;
  /** Why it has one thread although more were requested; null if it has as many as requested. */
  readonly singleThreadReason: string | null;
  /** Why it uses no 256-bit registers although they were requested; null otherwise. */
  readonly simd256Reason: string | null;
  /** `prefer` replaces that of the back end for this program. */
  compile(graph: Graph, options?: CompileOptions): CpuProgram;
}

/** The end of errors about tasks that no kernel of a given list computes. */
const REMEDY = "; other kernels are in @conv/kernels-cpu/core, all of them in its list kernels";

/** Starts the back end. `all` is what options of {@link CpuOptions} choose from. */
export async function createCpuWith(
  options: CpuOptions | CoreOptions | undefined,
  all?: Required<Pick<CoreOptions, "kernels" | "simd256">>,
): Promise<CpuBackend> {
  checkOptions("cpu", options, "threads offThread worker simd256 precision kernels prefer");
  const { kernels = all?.kernels, precision = "balanced", prefer = [] } = options ?? {};
  const simd256 = all && options?.simd256 ? all.simd256 : options?.simd256 || undefined;
  if (!Array.isArray(kernels) || !kernels.every((kernel) => kernel?.build && kernel.ops))
    throw rangeError(
      "cpu",
      "kernels",
      message`kernels is ${{ kernels: kindOf(kernels) }}, must be a list of kernels: convolution, inference or kernels of @conv/kernels-cpu/core, or some kernels of it`,
    );
  if (simd256 === true || (simd256 && !simd256.trial))
    throw rangeError(
      "cpu",
      "simd256",
      message`simd256 is ${{ simd256: kindOf(simd256) }}, must be simd256 of @conv/kernels-cpu/core`,
    );
  mustBePrecision("cpu", precision);
  mustBeThreads(options?.threads);
  const reason = await unsupportedReason();
  if (reason) throw unsupported("cpu", "engine", message`${{ reason }}`);

  const managed = manage();
  const { engine, singleThreadReason } = await startEngine(options ?? {}, managed.fail);
  try {
    simd256?.request();
    const caps = capsOf({
      threads: engine.threads,
      simd256: Boolean(simd256),
      roundoff: MOST_ROUNDOFF[precision],
      prefer,
    });
    const narrow = { ...caps, simd256: false };
    const heap = createHeap(engine.maximum, engine.grow);
    const remedy = all && !options?.kernels ? "" : REMEDY;
    let last = 0;
    const backendOf = (offered: Caps, by = manage()) =>
      by.backend(
        "cpu",
        createDriver(heap, engine, selectionOf(offered, kernels, remedy), () => ++last),
      );
    const simd256Reason = simd256
      ? await simd256.trial(kernels, backendOf(caps), backendOf(narrow))
      : null;
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

let warned = false;

function mustBeThreads(threads = 1): void {
  if (!Number.isInteger(threads) || threads < 1)
    throw rangeError(
      "cpu",
      "threads",
      message`threads is ${{ threads }}, must be a whole number ≥ 1`,
    );
}

/** The engine with the threads that the options request, or with one where there can be no more. */
async function startEngine(
  { threads = availableThreads(), offThread = false, worker }: CpuOptions | CoreOptions,
  fail: (error: Error) => void,
): Promise<{ engine: Engine; singleThreadReason: string | null }> {
  const cores = availableThreads();
  const most = Math.max(8, 2 * cores);
  if (threads > most)
    console.warn(
      `@conv/kernels-cpu: ${threads} threads are more than ${cores} cores can use: running on ${most}`,
    );
  const start = (count: number) =>
    createEngine({ threads: count, offThread, worker, probe: probe(), fail });
  let singleThreadReason: string | null = null;
  if (threads > 1)
    try {
      if (globalThis.crossOriginIsolated === false)
        throw new Error("the page is not cross-origin isolated, so memory cannot be shared");
      return { engine: await start(Math.min(threads, most)), singleThreadReason };
    } catch (error) {
      singleThreadReason = messageOf(error);
      if (!warned) console.warn(`@conv/kernels-cpu: running on one thread (${singleThreadReason})`);
      warned = true;
    }
  try {
    return { engine: await start(1), singleThreadReason };
  } catch (error) {
    const reason = messageOf(error);
    throw offThread
      ? unsupported("cpu", "worker", message`offThread needs a worker: ${{ reason }}`)
      : error;
  }
}

const manage = () => manageBackend<CpuBuffer, CpuProgram, CompileOptions>("cpu");

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
