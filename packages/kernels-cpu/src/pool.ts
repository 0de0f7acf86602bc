// Threads. Every thread runs the same function of a program (SPMD); the calling thread is number 0. Workers sleep on a word of
// the shared memory and get their orders, modules included, through that memory, so that nothing waits for an event loop.

import type { Bytes } from "@conv/tensor";
import type { Heap } from "./memory.ts";

/** Words of the control block, as indices into an Int32Array over the memory; each on a cache line of its own. */
const GENERATION = 16; // counts orders; workers wait for it to change
const ORDER = 17;
const PROGRAM = 18;
const ADDRESS = 19;
const LENGTH = 20;
const SLEEPERS = 32; // workers in Atomics.wait on GENERATION
const DONE = 48; // workers that finished the order (all but RUN, which ends in a barrier)
/** Byte addresses of the barrier's words, used by generated code. */
export const BARRIER = { count: 256, generation: 320, sleepers: 384 };

/** The orders. */
const LOAD = 1;
const RUN = 2;
const DROP = 3;
const EXIT = 4;

/** All of them by name, for workers, which see no constant of this module. */
const words = { GENERATION, ORDER, PROGRAM, ADDRESS, LENGTH, SLEEPERS, DONE, LOAD, RUN, DROP, EXIT };

/** What `run` of a program's module is called with: the thread's number and whether it may sleep in a barrier. */
export type RunFunction = (thread: number, maySleep: number) => void;

interface WorkerStart {
  readonly memory: WebAssembly.Memory;
  readonly thread: number;
  readonly words: Readonly<Record<keyof typeof words, number>>;
}

/**
 * A worker's whole life. It is sent to the worker as text (`toString`), so it uses nothing but its argument and globals.
 */
function work({ memory, thread, words }: WorkerStart): void {
  const programs = new Map<number, (thread: number, maySleep: number) => void>();
  const control = new Int32Array(memory.buffer, 0, 64);
  let seen = 0;
  for (;;) {
    // Orders come in bursts: look for some 50 µs before sleeping, which costs about as much to end.
    for (let spin = 0; spin < 4000 && Atomics.load(control, words.GENERATION) === seen; spin++);
    if (Atomics.load(control, words.GENERATION) === seen) {
      Atomics.add(control, words.SLEEPERS, 1);
      Atomics.wait(control, words.GENERATION, seen);
      Atomics.sub(control, words.SLEEPERS, 1);
      continue;
    }
    seen = Atomics.load(control, words.GENERATION);
    const order = control[words.ORDER];
    const id = control[words.PROGRAM]!;
    if (order === words.RUN) {
      programs.get(id)!(thread, 1);
      continue;
    }
    if (order === words.LOAD) {
      const code = new Uint8Array(memory.buffer, control[words.ADDRESS] >>> 0, control[words.LENGTH]).slice();
      const instance = new WebAssembly.Instance(new WebAssembly.Module(code), { env: { memory } });
      programs.set(id, instance.exports.run as (thread: number, maySleep: number) => void);
    } else if (order === words.DROP) programs.delete(id);
    Atomics.add(control, words.DONE, 1);
    Atomics.notify(control, words.DONE);
    if (order === words.EXIT) return;
  }
}

interface Thread {
  onReady(then: () => void, failed: (error: Error) => void): void;
  terminate(): void;
}

export interface Pool {
  readonly threads: number;
  /** Makes a program known to all threads; `code` must match the heap's memory. */
  load(code: Bytes): LoadedProgram;
  dispose(): void;
}

export interface LoadedProgram {
  run(): void;
  drop(): void;
}

interface NodeWorker {
  on(event: "message" | "error", listener: (value: unknown) => void): void;
  unref(): void;
  terminate(): void;
}
interface NodeModules {
  "node:worker_threads": { Worker: new (code: string, options: { eval: true; workerData: WorkerStart; execArgv: [] }) => NodeWorker };
  "node:os": { availableParallelism(): number };
  "node:v8": { setFlagsFromString(flags: string): void };
}

/** A module of Node without an import, which bundlers for browsers would stumble over; undefined elsewhere. */
export function nodeModule<N extends keyof NodeModules>(name: N): NodeModules[N] | undefined {
  const { process } = globalThis as { process?: { getBuiltinModule?: (name: N) => NodeModules[N] } };
  return process?.getBuiltinModule?.(name);
}

export const availableThreads = (): number => nodeModule("node:os")?.availableParallelism() ?? globalThis.navigator?.hardwareConcurrency ?? 1;

function startThread(start: WorkerStart): Thread {
  const node = nodeModule("node:worker_threads");
  if (node) {
    const source = `const { parentPort, workerData } = require("node:worker_threads"); parentPort.postMessage("ready"); (${work})(workerData);`;
    // Without the options of this process: `--input-type=module` would make a module of the text.
    const worker = new node.Worker(source, { eval: true, workerData: start, execArgv: [] });
    return {
      onReady(then, failed) {
        worker.on("message", () => {
          worker.unref(); // from now on it does not keep the process alive
          then();
        });
        worker.on("error", (e) => failed(e instanceof Error ? e : new Error(String(e))));
      },
      terminate: () => worker.terminate(),
    };
  }
  const source = `onmessage = (event) => { postMessage("ready"); (${work})(event.data); };`;
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const worker = new Worker(url, { type: "module" });
  return {
    onReady(then, failed) {
      worker.onmessage = () => {
        URL.revokeObjectURL(url);
        then();
      };
      worker.onerror = (e) => failed(new Error(e.message || "the worker could not start"));
      worker.postMessage(start);
    },
    terminate: () => worker.terminate(),
  };
}

function instantiate(memory: WebAssembly.Memory, code: Bytes): RunFunction {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(code), { env: { memory } });
  return instance.exports.run as RunFunction;
}

/** One thread: programs run where they are called. */
export const createSinglePool = (heap: Heap): Pool => ({
  threads: 1,
  load(code) {
    const run = instantiate(heap.memory, code);
    return { run: () => run(0, 0), drop() {} };
  },
  dispose() {},
});

/** `threads − 1` workers and the caller. Rejects if a worker cannot start (a content security policy, say). */
export async function createPool(heap: Heap, threads: number): Promise<Pool> {
  const workers: Thread[] = [];
  try {
    const starting = Array.from({ length: threads - 1 }, (_, i) => {
      const worker = startThread({ memory: heap.memory, thread: i + 1, words });
      workers.push(worker);
      return new Promise<void>((resolve, reject) => worker.onReady(resolve, reject));
    });
    await Promise.all(starting);
  } catch (error) {
    for (const w of workers) w.terminate();
    throw error;
  }
  const control = new Int32Array(heap.memory.buffer, 0, 64);
  const maySleep = canSleep(control);
  let nextProgram = 1;

  const send = (order: number, program: number) => {
    control[ORDER] = order;
    control[PROGRAM] = program;
    Atomics.store(control, DONE, 0);
    Atomics.add(control, GENERATION, 1);
    if (Atomics.load(control, SLEEPERS)) Atomics.notify(control, GENERATION);
  };
  const finished = () => {
    for (let done = Atomics.load(control, DONE); done < threads - 1; done = Atomics.load(control, DONE))
      if (maySleep) Atomics.wait(control, DONE, done, 100);
  };
  return {
    threads,
    load(code) {
      const program = nextProgram++;
      const run = instantiate(heap.memory, code);
      const address = heap.alloc(code.length);
      heap.bytes(address, code.length).set(code);
      control[ADDRESS] = address;
      control[LENGTH] = code.length;
      send(LOAD, program);
      finished();
      heap.free(address);
      return {
        run() {
          send(RUN, program);
          run(0, maySleep ? 1 : 0);
        },
        drop() {
          send(DROP, program);
          finished();
        },
      };
    },
    dispose() {
      send(EXIT, 0);
      finished();
      for (const w of workers) w.terminate();
    },
  };
}

/** Whether this thread may block: not the main thread of a page. */
function canSleep(control: Int32Array): boolean {
  try {
    Atomics.wait(control, DONE, control[DONE]! + 1, 0);
    return true;
  } catch {
    return false;
  }
}
