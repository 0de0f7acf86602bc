// The process of one competitor that runs in Node: sets its engine up, then does what the bench asks over descriptor 3.

import { Socket } from "node:net";
import { encode, messages, type Reply, type Request } from "./channel.ts";
import { engines, type EngineName } from "./engines/index.ts";
import type { Engine, Prepared, Task } from "./task.ts";

const [name, threads, simd256] = process.argv.slice(2) as [EngineName, string, string?];
const socket = new Socket({ fd: 3 });
const send = (reply: Reply, arrays?: readonly ArrayBufferView[]) => socket.write(encode(reply, arrays));
const engine = await engines[name](Number(threads), simd256 !== undefined);
let current: Prepared | undefined;
send({ say: "hello", version: engine.version });
for await (const { header, arrays } of messages<Request>(socket)) {
  try {
    await answer(header, arrays);
  } catch (error) {
    send({ say: "declined", reason: error instanceof Error ? error.message : String(error) });
  }
}
process.exit(0);

async function answer(request: Request, arrays: readonly ArrayBuffer[]): Promise<void> {
  if (request.ask === "prepare") {
    await current?.dispose();
    current = undefined;
    current = await prepare(engine, request.task, arrays);
    send({ say: "ready", kernels: current.kernels, startMs: current.startMs });
    return;
  }
  if (!current) throw new Error(`${request.ask} before prepare`);
  if (request.ask === "read") send({ say: "result" }, [await current.read()]);
  else send({ say: "times" }, [await time(current, request)]);
}

function prepare({ layer, train, network }: Engine, task: Task, arrays: readonly ArrayBuffer[]): Promise<Prepared> {
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

/** Milliseconds of each call, until there are `minCalls` and `minMs` have passed. */
async function time(prepared: Prepared, { minMs, minCalls }: { minMs: number; minCalls: number }): Promise<Float64Array> {
  const times: number[] = [];
  const end = performance.now() + minMs;
  while (times.length < minCalls || performance.now() < end) {
    prepared.clear?.();
    const start = performance.now();
    const pending = prepared.run();
    if (pending) await pending;
    times.push(performance.now() - start);
  }
  return Float64Array.from(times);
}
