// Starts and ends the workers of a back end, in Node and in pages.

import { workerText, type Start } from "./runtime.ts";

/** What is used of a worker, of a page or of Node. */
export interface WorkerLike {
  postMessage(message: unknown, transfer: ArrayBuffer[]): void;
  terminate(): unknown;
}

/** A worker of Node. */
interface NodeWorker extends WorkerLike {
  on(event: "online" | "message" | "error" | "exit", listener: (value: unknown) => void): void;
  ref(): void;
  unref(): void;
  readonly performance?:
    | { eventLoopUtilization?(): { readonly idle: number; readonly active: number } }
    | undefined;
}
interface NodeModules {
  "node:worker_threads": {
    Worker: new (code: string, options: { eval: true; execArgv: [] }) => NodeWorker;
  };
  "node:os": { availableParallelism(): number };
  "node:v8": { setFlagsFromString(flags: string): void };
}
interface Process {
  readonly version: string;
  getBuiltinModule?<N extends keyof NodeModules>(name: N): NodeModules[N] | undefined;
}
const process = (): Process | undefined =>
  (globalThis as { process?: Process | undefined }).process;

/**
 * A module of Node without an import, which bundlers for browsers would stumble over; undefined
 * elsewhere.
 */
export const nodeModule = <N extends keyof NodeModules>(name: N): NodeModules[N] | undefined =>
  process()?.getBuiltinModule?.(name);

/** Cores, or 2 where the number is not told. */
export const availableThreads = (): number =>
  nodeModule("node:os")?.availableParallelism() ?? globalThis.navigator?.hardwareConcurrency ?? 2;

/** A running worker. */
export interface Thread {
  post(message: unknown, transfer?: ArrayBuffer[]): void;
  /** Whether it has ended, where that can be told without an event. */
  dead(): boolean;
  /** Whether it keeps the process alive. */
  hold(on: boolean): void;
  end(): void;
}

/** The first answer of a worker, and those to what it is asked. */
export interface Answer {
  readonly error?: string | undefined;
  readonly maximum?: number | undefined;
  readonly result?: ArrayBuffer | undefined;
}

const PATIENCE = 30_000;

/**
 * Starts one worker for each message. `hear` gets what they say later, and `ended` is called if one
 * ends or fails later. Rejects, and leaves none behind, if one cannot start.
 */
export async function startThreads(
  starts: readonly Start[],
  make: (() => WorkerLike) | undefined,
  hear: (answer: Answer) => void,
  ended: (reason: string) => void,
): Promise<{ threads: Thread[]; answers: Answer[] }> {
  let policy = "";
  const refused = (event: Event) =>
    void (policy ||= (event as SecurityPolicyViolationEvent).effectiveDirective);
  const listens = typeof addEventListener === "function";
  if (listens) addEventListener("securitypolicyviolation", refused);
  const source = workerText();
  let url = "";
  const fromText = (): WorkerLike => {
    const node = nodeModule("node:worker_threads");
    // Without the options of this process: `--input-type=module` would make a module of the text.
    if (node) return new node.Worker(source, { eval: true, execArgv: [] });
    const old = process()?.version;
    if (typeof Worker === "undefined")
      throw new Error(
        old
          ? `threads need Node 20.16, 22.3 or later, and this is ${old}`
          : "there are no workers here",
      );
    return new Worker(
      (url ||= URL.createObjectURL(new Blob([source], { type: "text/javascript" }))),
    );
  };
  const threads: Thread[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    const answers = starts.map(
      (start) =>
        new Promise<Answer>((resolve, reject) => {
          let ready = false;
          const lose = (reason: string) => (ready ? ended(reason) : reject(new Error(reason)));
          const worker = (make ?? fromText)();
          const lock =
            "on" in worker || !navigator.locks ? undefined : `conv ${crypto.randomUUID()}`;
          const listen = (answer: Answer) => {
            if (answer.error !== undefined) return lose(answer.error);
            if (ready) return hear(answer);
            ready = true;
            // from now on it does not keep the process alive
            if ("on" in worker) (worker as NodeWorker).unref();
            else if (lock) void navigator.locks.request(lock, () => ended("a worker has ended"));
            resolve(answer);
          };
          threads.push(threadOf(worker, listen, lose, () => policy));
          worker.postMessage({ ...start, lock }, []);
        }),
    );
    const late = new Promise<never>(
      (_, reject) =>
        (timer = setTimeout(() => reject(new Error("a worker did not answer")), PATIENCE)),
    );
    return { threads, answers: await Promise.race([Promise.all(answers), late]) };
  } catch (error) {
    for (const thread of threads) thread.end();
    throw error;
  } finally {
    clearTimeout(timer);
    if (listens) removeEventListener("securitypolicyviolation", refused);
    if (url) URL.revokeObjectURL(url);
  }
}

function threadOf(
  worker: WorkerLike,
  listen: (answer: Answer) => void,
  lose: (reason: string) => void,
  policy: () => string,
): Thread {
  const post: Thread["post"] = (message, transfer = []) => worker.postMessage(message, transfer);
  const end = () => void worker.terminate();
  if ("on" in worker) {
    const node = worker as NodeWorker;
    const loop = () => node.performance?.eventLoopUtilization?.();
    // Node can tell that a worker has stopped if it was asked while that ran, and can be asked once
    // it has said that it runs.
    const online = new Promise<void>((then) => node.on("online", () => then()));
    node.on("message", (answer) => {
      if (loop()?.active === 0) void online.then(() => (loop(), listen(answer as Answer)));
      else listen(answer as Answer);
    });
    node.on("error", (error) => lose(`${error}`));
    node.on("exit", () => lose("a worker has ended"));
    return {
      post,
      end,
      // −1 for a worker that has stopped, before any event tells.
      dead: () => loop()?.idle === -1,
      hold: (on) => (on ? node.ref() : node.unref()),
    };
  }
  const page = worker as Worker;
  page.onmessage = ({ data }) => listen(data);
  page.onerror = ({ message }) => {
    // A violation is told of at about the same time.
    setTimeout(() =>
      lose(
        message ||
          (policy()
            ? `the content security policy (${policy()}) forbids it; see the option worker`
            : "the worker could not start"),
      ),
    );
  };
  return { post, end, dead: () => false, hold() {} };
}
