// A competitor seen from the bench: a process of its own, so that threads, flags and garbage of one library disturb no other.

import { execFile, spawn } from "node:child_process";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { encode, messages, type Message, type Reply, type Request } from "./channel.ts";
import { PAIRING } from "./machine.ts";
import type { Task } from "./task.ts";

/** Other libraries; in Node all but torch. */
export const peerNames = ["ort-web", "tfjs-wasm", "jax-js", "ort-node", "torch"] as const;
/** `one-thread` is Conv too, on one thread whatever the others have. */
export type CompetitorName = "conv" | "one-thread" | (typeof peerNames)[number];

/** Thrown when a competitor cannot do a task; the message says why. */
export class Declined extends Error {}

/** The kernels that will run, where the library says; for a network how long it took to the first outputs. */
export interface Ready {
  readonly kernels: readonly string[];
  readonly startMs?: number;
}

export interface StartOptions {
  readonly threads: number;
  /** V8's, for competitors in Node. */
  readonly flags: readonly string[];
  /** Conv makes code for engines that join pairs of vectors. */
  readonly simd256: boolean;
}

export interface Competitor {
  readonly name: CompetitorName;
  readonly version: string;
  /** Puts operands on the device. Throws Declined. */
  prepare(task: Task, operands: readonly ArrayBufferView[]): Promise<Ready>;
  /** Milliseconds of each call. */
  time(minMs: number, minCalls: number): Promise<Float64Array>;
  /** The result of the last call. */
  read(): Promise<Float32Array>;
  end(): void;
}

/** Starts the process. Throws an Error of one line when it does not come up. */
export async function start(name: CompetitorName, { threads, flags, simd256 }: StartOptions): Promise<Competitor> {
  const script = (path: string) => fileURLToPath(new URL(path, import.meta.url));
  const own = name === "conv" || name === "one-thread";
  const pairs = simd256 && own;
  const [command, ...args] =
    name === "torch"
      ? [await pythonWithTorch(), script("engines/torch_engine.py"), `${threads}`]
      : [
          process.execPath,
          ...flags,
          ...(pairs ? [PAIRING] : []),
          script("worker.ts"),
          own ? "conv" : name,
          name === "one-thread" ? "1" : `${threads}`,
          ...(pairs ? ["simd256"] : []),
        ];
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe", "pipe"], env: { ...process.env, OMP_NUM_THREADS: `${threads}` } });
  let complaints = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => (complaints = (complaints + text).slice(-4000)));
  const pipe = child.stdio[3] as Duplex;
  pipe.on("error", () => {}); // a process that died is reported where its answer is awaited
  const replies = messages<Reply>(pipe);

  const hear = async (): Promise<Message<Reply>> => {
    const { value, done } = await replies.next();
    if (done || !value) throw new Error(`${name}: its process ended; ${lastError(complaints)}`);
    if (value.header.say === "declined") throw new Declined(value.header.reason);
    return value;
  };
  const ask = (request: Request, arrays: readonly ArrayBufferView[] = []) => {
    pipe.write(encode(request, arrays));
    return hear();
  };
  const { header: hello } = await hear();
  return {
    name,
    version: hello.say === "hello" ? hello.version : "",
    async prepare(task, operands) {
      const { header } = await ask({ ask: "prepare", task }, operands);
      return header.say === "ready" ? { kernels: header.kernels ?? [], startMs: header.startMs } : { kernels: [] };
    },
    time: async (minMs, minCalls) => new Float64Array((await ask({ ask: "run", minMs, minCalls })).arrays[0]),
    read: async () => new Float32Array((await ask({ ask: "read" })).arrays[0]),
    end: () => void child.kill(),
  };
}

/** The line that names the error, out of a stack trace of Node or Python. */
function lastError(stderr: string): string {
  const lines = stderr.split("\n").filter((line) => line.trim());
  return lines.findLast((line) => /^\w*(Error|Exception)\b/.test(line)) ?? lines.at(-1) ?? "it said nothing";
}

async function pythonWithTorch(): Promise<string> {
  for (const python of ["/usr/bin/python3", "python3", "python"]) {
    const found = await promisify(execFile)(python, ["-c", "import torch, numpy"]).then(
      () => true,
      () => false,
    );
    if (found) return python;
  }
  throw new Error(
    "torch: no Python here has PyTorch; on Debian or Ubuntu: apt-get install --no-install-recommends python3-torch libopenblas0-pthread, elsewhere: pip install torch numpy",
  );
}
