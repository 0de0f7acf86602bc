// A competitor as the bench sees it: it gets requests and answers them, wherever it runs. Here it
// is a separate process, so that threads, flags and garbage of one library do not disturb another;
// browser.ts has those in a page.

import { execFile, spawn } from "node:child_process";
import { extname } from "node:path";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { encode, messages, type Message, type Reply, type Request } from "./channel.ts";
import type { Device } from "./engines/context.ts";
import type { Task } from "./task.ts";

/** The V8 flag that joins pairs of 128-bit operations into 256-bit ones. */
export const PAIRING = "--experimental-wasm-revectorize";

/** Other libraries on each device; in JavaScript all but torch. */
export const peerNames = {
  cpu: ["ort-web", "tfjs-wasm", "jax-js", "ort-node", "torch"],
  gpu: ["ort-web", "tfjs-webgpu", "jax-js", "ort-node", "torch", "torch-f16"],
} as const satisfies Record<Device, readonly string[]>;

export type PeerName = (typeof peerNames)[Device][number];
/** Other forms of Conv: on one thread regardless of the others, or in float16. */
export const ownNames = { cpu: ["one-thread"], gpu: ["conv-f16"] } as const satisfies Record<
  Device,
  readonly string[]
>;
export type CompetitorName = "conv" | (typeof ownNames)[Device][number] | PeerName;

/** Those that run in Python. */
const python = ["torch", "torch-f16"] as const satisfies readonly PeerName[];
export const isPython = (name: CompetitorName): boolean => python.some((n) => n === name);

/** Those that compute in float16, and are judged as such. */
export const isHalf = (name: CompetitorName): boolean => name.endsWith("-f16");

/** Thrown when a competitor cannot do a task; the message says why. */
export class Declined extends Error {}

/**
 * The kernels that will run, where the library reports them; for a network also the time to the
 * first outputs.
 */
export interface Ready {
  readonly kernels: readonly string[];
  readonly startMs?: number;
}

export interface StartOptions {
  readonly device: Device;
  readonly threads: number;
  /** V8 flags, for competitors in Node. */
  readonly flags: readonly string[];
  /** Conv makes code for engines that join pairs of vectors. */
  readonly simd256: boolean;
  /** Further environment variables, such as the driver of a GPU. */
  readonly env?: NodeJS.ProcessEnv;
}

/** What the process of worker.ts is started with, as JSON. */
export interface WorkerOptions {
  readonly name: CompetitorName;
  readonly device: Device;
  readonly threads: number;
  readonly simd256: boolean;
}

export interface Competitor {
  readonly name: CompetitorName;
  readonly version: string;
  /** Puts operands on the device. Throws Declined. */
  prepare(task: Task, operands: readonly ArrayBufferView[]): Promise<Ready>;
  /** Milliseconds of each call. */
  time(minMs: number, minCalls: number): Promise<Float64Array>;
  /** Milliseconds of a call by the clock of the device; null where it has none. */
  clock(): Promise<number | null>;
  /** The result of the last call. */
  read(): Promise<Float32Array>;
  end(): void;
}

/** A competitor behind a function that sends a request and resolves with the answer. */
export function competitorOver(
  name: CompetitorName,
  version: string,
  send: (request: Request, arrays: readonly ArrayBufferView[]) => Promise<Message<Reply>>,
  end: () => void,
): Competitor {
  const ask = async (request: Request, arrays: readonly ArrayBufferView[] = []) => {
    const answer = await send(request, arrays);
    if (answer.header.say === "declined") throw new Declined(answer.header.reason);
    return answer;
  };
  return {
    name,
    version,
    async prepare(task, operands) {
      const { header } = await ask({ ask: "prepare", task }, operands);
      return header.say === "ready"
        ? { kernels: header.kernels ?? [], startMs: header.startMs }
        : { kernels: [] };
    },
    time: async (minMs, minCalls) =>
      new Float64Array((await ask({ ask: "run", minMs, minCalls })).arrays[0]),
    async clock() {
      const { header } = await ask({ ask: "clock" });
      return header.say === "clock" ? header.deviceMs : null;
    },
    read: async () => new Float32Array((await ask({ ask: "read" })).arrays[0]),
    end,
  };
}

/**
 * A script next to this one, with the same ending: in the sources, or bundled.
 */
export const scriptBeside = (name: string): string =>
  fileURLToPath(new URL(name + extname(import.meta.url), import.meta.url));

/** Starts the process. Throws an Error of one line when it does not start. */
export async function start(
  name: CompetitorName,
  { device, threads, flags, simd256, env }: StartOptions,
): Promise<Competitor> {
  const [command, ...args] = isPython(name)
    ? [
        await pythonWithTorch(),
        fileURLToPath(new URL("engines/torch_engine.py", import.meta.url)),
        `${threads}`,
        device,
        name,
      ]
    : nodeArguments(name, { device, threads, flags, simd256 });
  const child = spawn(command, args, {
    stdio: ["ignore", "ignore", "pipe", "pipe"],
    env: { ...process.env, ...env, OMP_NUM_THREADS: `${threads}` },
  });
  let complaints = "";
  child
    .stderr!.setEncoding("utf8")
    .on("data", (text: string) => (complaints = (complaints + text).slice(-4000)));
  const pipe = child.stdio[3] as Duplex;
  pipe.on("error", () => {}); // a process that died is reported where its answer is awaited
  const replies = messages<Reply>(pipe);

  const hear = async (): Promise<Message<Reply>> => {
    const { value, done } = await replies.next();
    if (done || !value) throw new Error(`${name}: its process ended; ${lastError(complaints)}`);
    return value;
  };
  const send = (request: Request, arrays: readonly ArrayBufferView[]) => {
    pipe.write(encode(request, arrays));
    return hear();
  };
  const { header: hello } = await hear();
  return competitorOver(
    name,
    hello.say === "hello" ? hello.version : "",
    send,
    () => void child.kill(),
  );
}

function nodeArguments(
  name: CompetitorName,
  { device, threads, flags, simd256 }: StartOptions,
): string[] {
  const paired = simd256 && (name === "conv" || name === "one-thread");
  const options: WorkerOptions = {
    name,
    device,
    threads: name === "one-thread" ? 1 : threads,
    simd256: paired,
  };
  return [
    process.execPath,
    ...flags,
    ...(paired ? [PAIRING] : []),
    scriptBeside("worker"),
    JSON.stringify(options),
  ];
}

/** The line of the error in a stack trace of Node or Python. */
export function lastError(stderr: string): string {
  const lines = stderr.split("\n").filter((line) => line.trim());
  return (
    lines.findLast((line) => /^\w*(Error|Exception)\b/.test(line)) ??
    lines.at(-1) ??
    "it said nothing"
  );
}

async function pythonWithTorch(): Promise<string> {
  for (const command of ["/usr/bin/python3", "python3", "python"]) {
    const found = await promisify(execFile)(command, ["-c", "import torch, numpy"]).then(
      () => true,
      () => false,
    );
    if (found) return command;
  }
  throw new Error(
    "torch: no Python here has PyTorch; on Debian or Ubuntu: apt-get install --no-install-recommends python3-torch libopenblas0-pthread, elsewhere: pip install torch numpy",
  );
}
