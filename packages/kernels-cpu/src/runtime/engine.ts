// The memory and the threads of a back end. The caller leads the threads, or (`offThread`) a worker
// does, which gets every call as a message.

import type { Bytes } from "@conv/tensor";
import { createMemory, createRuntime, createWatch, WORDS, type Commands } from "./runtime.ts";
import { startThreads, type Answer, type Thread, type WorkerLike } from "./threads.ts";

export interface Engine extends Commands {
  readonly threads: number;
  /** The most pages that the memory can grow to. */
  readonly maximum: number;
  /** Ends the threads. Reads that were asked for before are answered. */
  dispose(): void;
}

export interface EngineOptions {
  readonly threads: number;
  readonly offThread: boolean;
  readonly worker?: (() => WorkerLike) | undefined;
  /** A module that must compile in every worker. */
  readonly probe: Bytes;
  /** Called once if a thread fails or ends; all others are ended then. */
  readonly fail: (error: Error) => void;
}

export async function createEngine({
  threads,
  offThread,
  worker,
  probe,
  fail,
}: EngineOptions): Promise<Engine> {
  const made = threads > 1 || !offThread ? createMemory(threads > 1) : null;
  const pending: { resolve(result: ArrayBuffer): void; reject(error: Error): void }[] = [];
  const workers: Thread[] = [];
  let ended = false;
  const end = () => {
    for (const thread of workers) thread.end();
  };
  const lose = (error: Error) => {
    if (ended && !pending.length) return;
    ended = true;
    end();
    for (const { reject } of pending.splice(0)) reject(error);
    fail(error);
  };
  const hear = ({ result }: Answer) => {
    pending.shift()?.resolve(result!);
    if (pending.length) return;
    workers[0].hold(false);
    if (ended) end();
  };
  const starts = Array.from({ length: offThread ? threads : threads - 1 }, (_, i) => ({
    memory: made?.memory,
    threads,
    thread: offThread ? i : i + 1,
    words: WORDS,
    probe,
  }));
  const started = await startThreads(starts, worker, hear, (reason) =>
    lose(new Error(`cpu: ${reason}; make the back end again`)),
  );
  workers.push(...started.threads);
  const dispose = () => {
    if (ended) return;
    ended = true;
    if (!pending.length) end();
  };
  if (offThread) {
    const [leader] = workers;
    const post = (name: keyof Commands, args: readonly unknown[], transfer?: ArrayBuffer[]) =>
      leader.post([name, ...args], transfer);
    const sent =
      <A extends readonly unknown[]>(name: keyof Commands) =>
      (...args: A) =>
        ended || post(name, args);
    return {
      threads,
      maximum: made?.maximum ?? started.answers[0].maximum!,
      dispose,
      load: sent("load"),
      run: sent("run"),
      drop: sent("drop"),
      grow(pages) {
        made?.memory.grow(pages); // the worker sees it
        post("grow", [made ? 0 : pages]);
      },
      write(address, data) {
        const copy = data.slice();
        post("write", [address, copy], [copy.buffer]);
      },
      read: (address, bytes) =>
        new Promise((resolve, reject) => {
          leader.hold(true);
          pending.push({ resolve, reject });
          post("read", [address, bytes]);
        }),
    };
  }
  const { memory, maximum } = made!;
  const control = new Int32Array(memory.buffer, 0, WORDS.cause);
  const commands = createRuntime(
    { memory, threads, thread: 0, words: WORDS },
    () => workers.findIndex((w) => w.dead()) + 1,
    createWatch,
  );
  const engine = { ...commands, threads, maximum, dispose };
  if (threads === 1) return engine;
  /** Ends the back end if a call finds that a thread has failed. */
  const watched =
    <A extends unknown[]>(call: (...args: A) => void) =>
    (...args: A): void => {
      if (ended) return;
      try {
        call(...args);
      } catch (error) {
        if (Atomics.load(control, WORDS.failed)) lose(error as Error);
        throw error;
      }
    };
  return {
    ...engine,
    load: watched(commands.load),
    run: watched(commands.run),
    drop: watched(commands.drop),
  };
}
