// The process of one competitor that runs in Node: sets its engine up, then does what the bench
// asks over descriptor 3.

import { Socket } from "node:net";
import { createCpu } from "@conv/kernels-cpu";
import { answerer } from "./answer.ts";
import { encode, messages, type Reply, type Request } from "./channel.ts";
import type { WorkerOptions } from "./competitor.ts";
import { HALF } from "./engines/context.ts";
import { createEngine } from "./engines/index.ts";
import { installedPeers } from "./peers.ts";

const { name, device, threads, simd256 }: WorkerOptions = JSON.parse(process.argv[2]);
const socket = new Socket({ fd: 3 });
const send = (reply: Reply, arrays?: readonly ArrayBufferView[]) =>
  socket.write(encode(reply, arrays));
const gpu = device === "gpu" ? await (await import("./dawn.ts")).defineGpu() : undefined;
const engine = await createEngine(name, {
  device,
  threads,
  peers: installedPeers,
  backend: async (half) =>
    gpu
      ? (await import("@conv/kernels-gpu")).createGpu({ gpu, ...(half ? HALF : {}) })
      : createCpu({ threads, simd256 }),
});
const answer = answerer(engine);
send({ say: "hello", version: engine.version });
for await (const { header, arrays } of messages<Request>(socket)) {
  const { reply, arrays: results } = await answer(header, arrays);
  send(reply, results);
}
process.exit(0);
