// The page in which competitors run side by side on the WebGPU of a browser. Each asks the server
// for its next request and posts the answer, in the same frames as processes do (channel.ts).

import { createGpu } from "@conv/kernels-gpu";
import { answerer } from "./answer.ts";
import { encode, messages, type Request } from "./channel.ts";
import type { CompetitorName } from "./competitor.ts";
import { HALF, type Context, type PeerPackage } from "./engines/context.ts";
import { createEngine } from "./engines/index.ts";
import { measureGpuPeak, type GpuPeak } from "./gpu-peak.ts";

/** What the bench calls in the page. */
export interface BenchPage {
  peak(): Promise<GpuPeak>;
  /** Sets a competitor up, which then goes on asking; resolves with its version. */
  start(name: CompetitorName): Promise<string>;
}

declare global {
  var bench: BenchPage;
}

const folder = (path: string): string => new URL(`/peers/${path}`, location.href).href;
const context: Context = {
  device: "gpu",
  threads: 1,
  peers: {
    load: <T>(name: PeerPackage) => import(name) as Promise<T>, // by the import map of the page
    async version(name) {
      const { version }: { version: string } = await (
        await fetch(folder(`${name}/package.json`))
      ).json();
      return version;
    },
    folder,
  },
  backend: (half) => createGpu(half ? HALF : {}),
};

globalThis.bench = {
  peak: () => measureGpuPeak(navigator.gpu),
  async start(name) {
    const engine = await createEngine(name, context);
    void converse(`/ask/${name}`, answerer(engine));
    return engine.version;
  },
};

async function converse(address: string, answer: ReturnType<typeof answerer>): Promise<void> {
  for (;;) {
    const { body, status } = await fetch(address);
    if (status !== 200 || !body) return;
    for await (const { header, arrays } of messages<Request>(chunks(body))) {
      const { reply, arrays: results } = await answer(header, arrays);
      await fetch(address, {
        method: "POST",
        body: new Blob([new Uint8Array(encode(reply, results))]),
      });
    }
  }
}

async function* chunks(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const reader = body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
}
