// The competitor's side of the protocol, in a process of Node or in a page: it carries out the
// requests of the bench.

import type { Reply, Request } from "./channel.ts";
import type { Engine, Prepared, Task } from "./task.ts";

export interface Answer {
  readonly reply: Reply;
  readonly arrays?: readonly ArrayBufferView[];
}

/**
 * Asynchronous runs of a device are timed in groups of about this length, so that waiting for the
 * device is a small part of each group.
 */
const GROUP_MS = 10;
/** The largest number of runs in a group. */
const GROUP = 32;

/** Never throws: a failure is a reply with its reason. */
export function answerer(
  engine: Engine,
): (request: Request, arrays: readonly ArrayBuffer[]) => Promise<Answer> {
  let current: Prepared | undefined;
  let lastMs: number | undefined;
  const answer = async (request: Request, arrays: readonly ArrayBuffer[]): Promise<Answer> => {
    if (request.ask === "prepare") {
      await current?.dispose();
      current = lastMs = undefined;
      current = await prepare(engine, request.task, arrays);
      return { reply: { say: "ready", kernels: current.kernels, startMs: current.startMs } };
    }
    if (!current) throw new Error(`${request.ask} before prepare`);
    if (request.ask === "read") return { reply: { say: "result" }, arrays: [await current.read()] };
    if (request.ask === "clock")
      return { reply: { say: "clock", deviceMs: (await current.clock?.()) ?? null } };
    const times = await time(current, request, lastMs);
    lastMs = times.at(-1);
    return { reply: { say: "times" }, arrays: [times] };
  };
  return (request, arrays) =>
    answer(request, arrays).catch((error: unknown) => ({
      reply: {
        say: "declined",
        reason: (error instanceof Error ? error.message : String(error)).split("\n")[0],
      },
    }));
}

function prepare(
  { layer, train, network }: Engine,
  task: Task,
  arrays: readonly ArrayBuffer[],
): Promise<Prepared> {
  const floats = () => arrays.map((bytes) => new Float32Array(bytes));
  if (task.kind === "layer") return layer(task, floats());
  if (task.kind === "network") {
    if (!network) throw new Error("no networks here");
    const [images, ...weights] = floats();
    return network(task, images, weights);
  }
  if (!train) throw new Error("no training here");
  return train(task, new Float32Array(arrays[0]), new Int32Array(arrays[1]));
}

/**
 * Milliseconds per run, until there are `minCalls` figures and `minMs` have passed; `lastMs` is the
 * time of an earlier run.
 */
async function time(
  prepared: Prepared,
  { minMs, minCalls }: { minMs: number; minCalls: number },
  lastMs = Infinity,
): Promise<Float64Array> {
  const times: number[] = [];
  const end = performance.now() + minMs;
  while (times.length < minCalls || performance.now() < end) {
    const runs = prepared.finish
      ? Math.min(GROUP, Math.ceil(GROUP_MS / (times.at(-1) ?? lastMs)) || 1)
      : 1;
    prepared.clear?.();
    const start = performance.now();
    for (let i = 0; i < runs; i++) {
      const pending = prepared.run();
      if (pending) await pending;
    }
    await prepared.finish?.();
    times.push((performance.now() - start) / runs);
  }
  return Float64Array.from(times);
}
