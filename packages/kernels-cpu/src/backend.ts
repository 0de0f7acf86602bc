// The CPU back end: one WebAssembly memory, a pool of threads, and programs compiled for the shapes at hand.

import { manageBackend, unsupported, type Backend, type Graph } from "@conv/tensor";
import { capsOf, hasSimd, type Caps } from "./caps.ts";
import { createHeap, createMemory, type Heap } from "./memory.ts";
import { availableThreads, createPool, createSinglePool, type Pool } from "./pool.ts";
import { compileProgram, type CpuBuffer, type CpuProgram } from "./program.ts";
import { requestPairs, tryPairs } from "./simd256.ts";

export interface CpuOptions {
  /** Threads, the calling one included; as many as the machine has cores unless given. */
  readonly threads?: number;
  /**
   * Makes code for engines that join pairs of 128-bit vectors into registers of 256 bits, some 1.5 times as fast. An experiment of V8's: in
   * Node it is switched on here, for the whole process; Chrome must be started with --js-flags=--experimental-wasm-revectorize. A trial at
   * the start makes sure that it works; if not, `simd256Reason` says why, and code is made as without.
   */
  readonly simd256?: boolean;
  /**
   * The largest factor c that a kernel may state for its rounding errors, |Δy| ≤ c·2⁻²³·Σ|x|*·|w| (see `Step.roundoff`). Winograd's
   * F(2×2, 3×3) states 16, F(4×4, 3×3) 64, F(6×6, 3×3) 256, Fourier transforms 16; 0 keeps to plain sums, which are within 8·2⁻²³·Σ|x·w|.
   */
  readonly roundoff?: number;
  /** Names of kernels that are taken wherever they can be, whatever they estimate: to measure one against another. */
  readonly prefer?: readonly string[];
}

export interface CpuBackend extends Backend {
  readonly kind: "cpu";
  readonly caps: Caps;
  /** Why it runs on one thread although more were asked for; null if it does not. */
  readonly singleThreadReason: string | null;
  /** Why it does without 256-bit registers although they were asked for; null if it does not. */
  readonly simd256Reason: string | null;
  /** `prefer` stands for that of the back end, in this program alone. */
  compile(graph: Graph, options?: Pick<CpuOptions, "prefer">): CpuProgram;
}

let warned = false;

/**
 * Starts the CPU back end: WebAssembly SIMD on `threads` threads. Where memory cannot be shared (a page without cross-origin
 * isolation) it runs on one, and says so once on the console. Throws UnsupportedError where the engine has no WebAssembly SIMD.
 */
export async function createCpu({
  threads = availableThreads(),
  simd256 = false,
  roundoff = 256,
  prefer = [],
}: CpuOptions = {}): Promise<CpuBackend> {
  if (!Number.isInteger(threads) || threads < 1) throw new RangeError(`cpu: threads ${threads} is not a whole number ≥ 1`);
  if (!(roundoff >= 0)) throw new RangeError(`cpu: roundoff ${roundoff} is not a number ≥ 0`);
  if (!hasSimd()) throw unsupported("cpu", "this engine has no WebAssembly SIMD");
  let singleThreadReason: string | null = null;
  let heap;
  let pool: Pool | null = null;
  if (threads > 1) {
    try {
      if (globalThis.crossOriginIsolated === false) throw new Error("the page is not cross-origin isolated, so memory cannot be shared");
      const { memory, maximum } = createMemory(true);
      heap = createHeap(memory, maximum);
      pool = await createPool(heap, threads);
    } catch (error) {
      singleThreadReason = error instanceof Error ? error.message : String(error);
      if (!warned) console.warn(`@conv/kernels-cpu: running on one thread (${singleThreadReason})`);
      warned = true;
    }
  }
  if (!pool || !heap) {
    const { memory, maximum } = createMemory(false);
    heap = createHeap(memory, maximum);
    pool = createSinglePool(heap);
  }
  if (simd256) requestPairs();
  const caps = capsOf({ threads: pool.threads, simd256, roundoff, prefer });
  const narrow = { ...caps, simd256: false };
  const simd256Reason = simd256 ? await tryPairs(backendOf(heap, pool, caps), backendOf(heap, pool, narrow)) : null;
  const used = simd256Reason ? narrow : caps;
  return Object.assign(backendOf(heap, pool, used), { caps: used, singleThreadReason, simd256Reason });
}

function backendOf(heap: Heap, pool: Pool, caps: Caps) {
  let version = 0;
  const nextVersion = () => ++version;
  return manageBackend<CpuBuffer, CpuProgram, Pick<CpuOptions, "prefer">>("cpu").backend("cpu", {
    alloc: (bytes) => ({ bytes, address: heap.alloc(bytes), version: nextVersion() }),
    free: ({ address }) => heap.free(address),
    write(buffer, data) {
      heap.bytes(buffer.address, data.length).set(data);
      buffer.version = nextVersion();
    },
    async read({ address, bytes }) {
      const copy = new ArrayBuffer(bytes);
      new Uint8Array(copy).set(heap.bytes(address, bytes));
      return copy;
    },
    compile: (graph, options) => compileProgram(graph, { ...caps, prefer: options?.prefer ?? caps.prefer }, heap, pool, nextVersion),
    close: () => pool.dispose(),
  });
}
