// What runs programs, on the calling thread and in workers. Every thread runs the same function of
// a program (SPMD); thread 0 leads. The others sleep on a word of the shared memory and get their
// orders through that memory, so that nothing waits for an event loop. These functions are sent to
// workers as text (`toString`), so they use nothing but their arguments and globals.

import type { Transfer } from "@conv/compiler";
import type { Bytes } from "@conv/tensor";

/**
 * Words of the control block, as indices into an Int32Array over the memory. Those that threads
 * wait for have a cache line each.
 */
export const WORDS = {
  generation: 16, // counts orders; workers wait for it to change
  order: 17,
  program: 18,
  address: 19,
  length: 20,
  sleepers: 32, // workers in Atomics.wait on `generation`
  done: 48, // workers that finished the order (all but a run, which ends in a barrier)
  barrierCount: 64, // the barrier's three are used by generated code
  barrierGeneration: 80,
  barrierSleepers: 96,
  // 0 while all is well, −1 while the cause is being written, then the length of its text
  failed: 112,
  cause: 128, // that text, to the end of the reserved memory
};

/**
 * What `run` of a program's module is called with: the thread's number and whether it may sleep in
 * a barrier.
 */
type RunFunction = (thread: number, maySleep: number) => void;

/**
 * What a program, and a back end, ask of the memory and the threads, in this order. In a worker
 * these are messages.
 */
export interface Commands {
  grow(pages: number): void;
  write(address: number, data: Uint8Array): void;
  read(address: number, bytes: number): ArrayBuffer | Promise<ArrayBuffer>;
  /** Makes the program whose code is at this address known to all threads. */
  load(id: number, address: number, bytes: number): void;
  /** Copies, writes `head` to the address, runs the program, and copies again. */
  run(
    id: number,
    address: number,
    head: Uint8Array,
    before: readonly Transfer<number>[],
    after: readonly Transfer<number>[],
  ): void;
  drop(id: number): void;
}

/** The first message to a worker. */
export interface Start {
  /** None for a worker that makes its own, because memory cannot be shared. */
  readonly memory?: WebAssembly.Memory | undefined;
  readonly threads: number;
  readonly thread: number;
  readonly words: typeof WORDS;
  /** A module that must compile here. */
  readonly probe: Bytes;
  /** The worker holds this lock for as long as it lives. */
  readonly lock?: string | undefined;
}

/**
 * Tries the largest address space first: 4 GiB, then halves; engines on small devices refuse the
 * large ones.
 */
export function createMemory(shared: boolean): { memory: WebAssembly.Memory; maximum: number } {
  for (let maximum = 65536; ; maximum /= 2) {
    try {
      return { memory: new WebAssembly.Memory({ initial: 16, maximum, shared }), maximum };
    } catch (error) {
      if (maximum <= 1024) throw error;
    }
  }
}

/**
 * What ends the work of all threads. `dead` is asked between the slices of a wait and gives the
 * number of a thread that has ended, or 0.
 */
export function createWatch(
  control: Int32Array,
  thread: number,
  words: typeof WORDS,
  dead: () => number,
) {
  const text = new Uint16Array(control.buffer, 4 * words.cause, 256);
  /** Ends the work of all threads. The first cause is kept. */
  const fail = (error: unknown) => {
    if (Atomics.compareExchange(control, words.failed, 0, -1)) return;
    const cause = `thread ${thread}: ${error}`.slice(0, 250);
    for (let i = 0; i < cause.length; i++) text[i] = cause.charCodeAt(i);
    Atomics.store(control, words.failed, cause.length);
    for (const word of [words.done, words.barrierGeneration]) Atomics.notify(control, word);
  };
  const failure = () => {
    for (let i = 0; i < 1e6 && Atomics.load(control, words.failed) < 0; i++);
    return new Error(
      `cpu: a thread failed (${String.fromCharCode(...text.subarray(0, Atomics.load(control, words.failed)))}); make the back end again`,
    );
  };

  // A thread that neither fails nor ends may be busy for long: kernels take seconds on a loaded
  // machine. The time that others are given grows with that of the caller's own share. A pause of
  // the whole machine counts as one slice.
  const [PATIENCE, SHARES] = [60_000, 20];
  let [began, last, waited, limit, met] = [0, 0, 0, 0, 0];
  /**
   * Called between the slices of every wait, also by generated code. Throws once the back end has
   * failed.
   */
  const check = () => {
    if (!Atomics.load(control, words.failed)) {
      if (thread) return;
      const now = performance.now();
      if (!limit || met !== control[words.barrierGeneration])
        [met, waited, limit] = [
          control[words.barrierGeneration],
          0,
          PATIENCE + SHARES * (now - began),
        ];
      else waited += Math.min(now - last, 100);
      last = now;
      const ended = dead();
      if (!ended && waited < limit) return;
      fail(ended ? `thread ${ended} has ended` : `no answer in ${Math.round(waited / 1000)} s`);
    }
    throw failure();
  };
  /** To be called before every order. */
  const begin = () => {
    began = performance.now();
    limit = 0;
  };
  return { fail, failure, check, begin };
}

/** One thread's part. */
export function createRuntime(
  {
    memory,
    threads,
    thread,
    words,
  }: Omit<Start, "probe"> & { readonly memory: WebAssembly.Memory },
  dead: () => number,
  watch: typeof createWatch,
): Commands & { follow(): void } {
  const [LOAD, RUN, DROP, SLICE] = [1, 2, 3, 50];
  const control = new Int32Array(memory.buffer, 0, 256);
  const { fail, failure, check, begin } = watch(control, thread, words, dead);
  const programs = new Map<number, RunFunction>();
  let bytes = new Uint8Array(memory.buffer);
  const view = () =>
    bytes.buffer === memory.buffer ? bytes : (bytes = new Uint8Array(memory.buffer));

  let maySleep = 1;
  try {
    Atomics.wait(control, words.done, 1, 0);
  } catch {
    maySleep = 0; // the main thread of a page
  }

  const instantiate = (id: number, address: number, length: number) => {
    const module = new WebAssembly.Module(view().slice(address, address + length));
    programs.set(
      id,
      new WebAssembly.Instance(module, { env: { memory, check } }).exports.run as RunFunction,
    );
  };
  const send = (order: number, program: number, address = 0, length = 0) => {
    begin();
    control[words.order] = order;
    control[words.program] = program;
    control[words.address] = address;
    control[words.length] = length;
    Atomics.store(control, words.done, 0);
    Atomics.add(control, words.generation, 1);
    if (Atomics.load(control, words.sleepers)) Atomics.notify(control, words.generation);
  };
  /** An order that all threads acknowledge. */
  const tell = (order: number, program: number, address?: number, length?: number) => {
    if (threads === 1) return;
    send(order, program, address, length);
    for (let done; (done = Atomics.load(control, words.done)) < threads - 1; check())
      if (maySleep) Atomics.wait(control, words.done, done, SLICE);
  };
  const copy = (ranges: readonly Transfer<number>[]) => {
    for (const { to, from, bytes: length } of ranges) bytes.copyWithin(to, from, from + length);
  };

  return {
    grow: (pages) => void memory.grow(pages),
    write: (address, data) => view().set(data, address),
    read: (address, length) => view().slice(address, address + length).buffer,
    load(id, address, length) {
      instantiate(id, address, length);
      tell(LOAD, id, address, length);
    },
    run(id, address, head, before, after) {
      view();
      copy(before);
      bytes.set(head, address);
      const run = programs.get(id)!;
      if (threads === 1) run(0, 0);
      else {
        send(RUN, id);
        try {
          run(0, maySleep);
        } catch (error) {
          fail(error);
          throw failure();
        }
      }
      copy(after);
    },
    drop(id) {
      programs.delete(id);
      tell(DROP, id);
    },
    follow() {
      try {
        for (let seen = 0; ;) {
          // Orders come in bursts: look for some 50 µs before sleeping, which costs about as much
          // to end.
          for (
            let spin = 0;
            spin < 4000 && Atomics.load(control, words.generation) === seen;
            spin++
          );
          if (Atomics.load(control, words.generation) === seen) {
            Atomics.add(control, words.sleepers, 1);
            Atomics.wait(control, words.generation, seen);
            Atomics.sub(control, words.sleepers, 1);
            continue;
          }
          seen = Atomics.load(control, words.generation);
          const [order, id] = [control[words.order], control[words.program]];
          if (order === RUN) {
            programs.get(id)!(thread, 1);
            continue;
          }
          if (order === LOAD) {
            memory.grow(0); // `memory.buffer` may be older than what another thread has grown
            instantiate(id, control[words.address] >>> 0, control[words.length]);
          } else programs.delete(id);
          Atomics.add(control, words.done, 1);
          Atomics.notify(control, words.done);
        }
      } catch (error) {
        fail(error);
      }
    },
  };
}

/**
 * A worker's life: it waits for the first message, then follows thread 0, or leads and carries out
 * what the messages ask for.
 */
export function serve(
  makeRuntime: typeof createRuntime,
  makeMemory: typeof createMemory,
  watch: typeof createWatch,
): void {
  interface Port {
    onmessage: ((event: { data: unknown }) => void) | null;
    postMessage(message: unknown, transfer?: readonly ArrayBuffer[]): void;
  }
  type Scope = Port & {
    process?: { getBuiltinModule?(name: string): { parentPort: Port | null } | undefined };
  };
  const scope = globalThis as unknown as Scope;
  const port = scope.process?.getBuiltinModule?.("node:worker_threads")?.parentPort ?? scope;
  const reply = (error: unknown) => port.postMessage({ error: `${error}` });
  const start = async ({ lock, probe, ...given }: Start) => {
    if (lock)
      await new Promise<void>(
        (held) => void navigator.locks.request(lock, () => (held(), new Promise(() => {}))),
      );
    await WebAssembly.compile(probe);
    const { memory, maximum } = given.memory
      ? { memory: given.memory, maximum: 0 }
      : makeMemory(false);
    const { follow, ...commands } = makeRuntime({ ...given, memory }, () => 0, watch);
    port.onmessage = ({ data }) => {
      try {
        const [name, ...args] = data as [keyof Commands, ...never[]];
        const result = (commands[name] as (...args: never[]) => ArrayBuffer | void)(...args);
        if (result) port.postMessage({ result }, [result]);
      } catch (error) {
        reply(error);
      }
    };
    port.postMessage({ maximum });
    if (given.thread) follow();
  };
  port.onmessage = ({ data }) => void start(data as Start).catch(reply);
}

/** The script of a worker. */
export const workerText = (): string =>
  `(${serve})(${createRuntime},${createMemory},${createWatch})`;
