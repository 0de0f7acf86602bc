// The hunts of `pnpm hunt`. Each searches for one kind of fault during its share of the time, and
// reports the number of tries and the faults found.

import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { createCpu } from "@conv/kernels-cpu";
import { decodeCheckpoint, encodeSafetensors } from "@conv/layers";
import { saveFile } from "@conv/layers/node";
import { serve } from "@conv/testkit/browser";
import { kill } from "@conv/testkit/kills";
import { bin, run as program } from "../workspace.ts";
import { bombs } from "./bombs.ts";
import { runConv, type Ended } from "./child.ts";
import { judges, type Judged } from "./judges.ts";
import { mutated, randomOf, type Random } from "./mutate.ts";

export interface Task {
  readonly random: Random;
  /** An empty folder for this hunt. */
  readonly folder: string;
  /** Whether to continue. Returns true at least once. */
  more(): boolean;
  /** Counts a finished try and reports progress. */
  count(): void;
  /** Records a fault, described in one line. */
  fault(what: string): void;
}

export interface Hunt {
  readonly name: string;
  readonly what: string;
  /** Weight of this hunt when the total time is divided. */
  readonly share: number;
  /** Maximum number of tries. */
  readonly most?: number;
  run(task: Task): Promise<void>;
}

/** Inputs that failed before, in a folder for each judge. The suite replays them. */
export const corpus = fileURLToPath(new URL("../../corpus", import.meta.url));

/** Judges every input of the corpus. Returns the faults. */
export async function replay(folder: string): Promise<string[]> {
  const faults: string[] = [];
  for (const { name, judge } of judges)
    for (const file of await readdir(join(corpus, name)).catch(() => [])) {
      const wrong = await judge(await readFile(join(corpus, name, file)), folder);
      if (wrong) faults.push(`${name}/${file}: ${wrong}`);
    }
  return faults;
}

const fuzzed = ({ name, seeds, judge }: Judged, share: number): Hunt => ({
  name,
  what: `mutated files (${name})`,
  share,
  async run({ random, folder, more, count, fault }) {
    const good = await seeds();
    for (const seed of good) {
      const wrong = await judge(seed, folder);
      if (wrong) fault(`a valid file: ${wrong}`);
    }
    while (more()) {
      const bytes = mutated(good[Math.floor(random() * good.length)], random);
      const wrong = await judge(bytes, folder);
      count();
      if (!wrong) continue;
      const file = join(
        corpus,
        name,
        createHash("sha256").update(bytes).digest("hex").slice(0, 16),
      );
      await mkdir(join(corpus, name), { recursive: true });
      await saveFile(file, bytes);
      fault(`${wrong}; saved as ${file}`);
    }
  },
});

const training = [
  "train",
  "lenet5",
  "--epochs",
  "3",
  "--limit",
  "320",
  "--batch",
  "32",
  "--threads",
  "1",
];

/**
 * What is wrong with how a process ended, or null. Every run must end by itself with a documented
 * exit code, and print neither a stack trace nor control characters.
 */
export function wrongIn(
  { code, signal, stderr, over }: Ended,
  codes: readonly (number | null)[],
): string | null {
  if (over) return `too much ${over}`;
  if (signal) return `ended by ${signal}`;
  if (!codes.includes(code))
    return `exit code ${code}, not ${codes.join(" or ")}: ${stderr.slice(0, 200)}`;
  if (/\n\s+at .*:\d+/.test(stderr)) return `a stack trace: ${stderr.slice(0, 200)}`;
  // oxlint-disable-next-line no-control-regex
  return /[\0-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/.test(stderr)
    ? `control characters: ${JSON.stringify(stderr.slice(0, 200))}`
    : null;
}

const unpacking: Hunt = {
  name: "bombs",
  what: "small files that decompress to large sizes, in processes with little memory",
  share: 2,
  async run({ folder, more, count, fault }) {
    for (const { name, make, args } of bombs) {
      if (!more()) return;
      const cwd = join(folder, name.replaceAll(" ", "-"));
      await mkdir(cwd);
      await make(cwd);
      const wrong = wrongIn(await runConv(args, { cwd, seconds: 60, bytes: 2 ** 30 }), [2]);
      await rm(cwd, { recursive: true });
      count();
      if (wrong) fault(`${name}: ${wrong}`);
    }
  },
};

const kills: Hunt = {
  name: "kills",
  what: "conv train, killed at random times: the model file is complete, no other file is left",
  share: 12,
  most: 200,
  async run({ random, folder: cwd, more, count, fault }) {
    const file = join(cwd, "m.safetensors");
    const whole = async () => {
      const bytes = await readFile(file).catch(() => null);
      if (bytes) decodeCheckpoint(bytes);
      return bytes !== null;
    };
    while (more()) {
      const args = (await whole())
        ? ["train", "lenet5", "--resume", "m.safetensors", "--threads", "1"]
        : // longer than the time until the kill
          [...training, "--epochs", "1000", "--out", "m.safetensors"];
      const signal = random() < 0.8 ? "SIGKILL" : random() < 0.5 ? "SIGTERM" : "SIGHUP";
      const ended = await runConv(args, { cwd, kill: { after: 300 + 2000 * random(), signal } });
      count();
      if (ended.over) fault(`too much ${ended.over}`);
      if (ended.signal === null) {
        const wrong = wrongIn(ended, signal === "SIGTERM" ? [143] : [129]);
        if (wrong) fault(wrong);
      }
      await whole().catch((error: unknown) => fault(`after ${signal}: ${String(error)}`));
    }
    const last = await runConv([...training, "--out", "m.safetensors", "--force"], { cwd });
    if (last.code !== 0) fault(`the last training: ${last.stderr.slice(0, 200)}`);
    const left = (await readdir(cwd)).filter(
      (name) => name !== "m.safetensors" && name !== "m.svg",
    );
    if (left.length) fault(`left behind: ${left.join(", ")}`);
  },
};

const threads: Hunt = {
  name: "threads",
  what: "threads of the CPU back end, ended at random times: every call returns or throws soon",
  share: 16,
  most: 1000,
  async run({ random, more, count, fault }) {
    const makeWorker = () => new Worker(new URL(import.meta.resolve("@conv/kernels-cpu/worker")));
    while (more()) {
      await kill({ createCpu, makeWorker }, random).catch((error: unknown) => fault(String(error)));
      count();
    }
  },
};

/** Failures of the environment, as shell lines, with the allowed exit codes. */
const environments: readonly (readonly [
  what: string,
  shell: string,
  codes: readonly number[],
  saved: boolean,
])[] = [
  ["a reader that exits after one line", '"$@" | head -1; exit ${PIPESTATUS[0]}', [0], true],
  ["a reader that has exited", '"$@" | true; exit ${PIPESTATUS[0]}', [0], true],
  ["a full standard output", '"$@" > /dev/full', [1], true],
  ["a closed standard output", '"$@" >&-', [0, 1], true],
  ["a closed standard error", '"$@" 2>&-', [0], true],
  ["a full standard error", '"$@" 2> /dev/full', [0], true],
  ["an unread standard error", '"$@" 2> >(true)', [0], true],
  ["a limit on file sizes", 'ulimit -f 100; "$@"', [2], false],
];

const durability: Hunt = {
  name: "durability",
  what: "full disks, closed pipes, small limits: the model is saved, or the exit code reports it",
  share: 3,
  async run({ folder, more, count, fault }) {
    for (const [what, shell, codes, saved] of environments) {
      if (!more()) return;
      const cwd = await mkdtemp(join(folder, "d-"));
      const wrong = wrongIn(await runConv(training, { cwd, shell }), codes);
      count();
      if (wrong) fault(`${what}: ${wrong}`);
      const bytes = await readFile(join(cwd, "lenet5.safetensors")).catch(() => null);
      if (saved !== (bytes !== null))
        fault(`${what}: ${bytes ? "a model was saved" : "no model was saved"}`);
      if (bytes) decodeCheckpoint(bytes);
      const left = (await readdir(cwd)).filter((name) => name.endsWith(".tmp"));
      if (left.length) fault(`${what}: left ${left.join(", ")}`);
    }
  },
};

const words = [
  ...[
    "train",
    "predict",
    "summary",
    "compare",
    "receptive",
    "suggest",
    "explain",
    "lenet5",
    "m.safetensors",
    "x.png",
    "3x3",
    "64x8x8",
    "64",
    "0x0",
  ],
  ...[
    "--input",
    "--out",
    "--json",
    "--resume",
    "--data",
    "--padding",
    "--stride",
    "--groups",
    "--batch",
    "--epochs",
    "--threads",
    "--depth",
    "--at",
  ],
  ...[
    "",
    "-1",
    "0",
    "1e9",
    "NaN",
    "9007199254740993",
    "same",
    ".",
    "/dev/null",
    "/dev/zero",
    "\u001b[2J",
    "a\nb",
    "\u202e",
    "__proto__",
    "n".repeat(300),
  ],
];

const exits: Hunt = {
  name: "exits",
  what: "conv with random arguments: it ends with a documented exit code and one safe line",
  share: 6,
  async run({ random, folder: cwd, more, count, fault }) {
    await writeFile(
      join(cwd, "m.safetensors"),
      encodeSafetensors(new Map(), { model: "\u001b[31m\n" }),
    );
    await writeFile(join(cwd, "x.png"), "no picture");
    const pick = () => words[Math.floor(random() * words.length)];
    while (more()) {
      const args = Array.from({ length: 1 + Math.floor(5 * random()) }, pick);
      // A valid command may take long: it is stopped after 20 s.
      const ended = await runConv(args, {
        cwd,
        seconds: 60,
        bytes: 3 * 2 ** 30,
        kill: { after: 20_000, signal: "SIGTERM" },
      });
      count();
      const wrong = ended.signal === "SIGTERM" ? null : wrongIn(ended, [0, 1, 2, 143]);
      if (wrong) fault(`conv ${args.map((a) => JSON.stringify(a)).join(" ")}: ${wrong}`);
      await rm(join(cwd, "lenet5.safetensors"), { force: true });
    }
  },
};

const odd: Hunt = {
  name: "server",
  what: "random requests: the next valid request is answered",
  share: 2,
  async run({ random, folder, more, count, fault }) {
    await writeFile(join(folder, "index.html"), "page");
    await using server = await serve(folder, { isolated: true });
    const port = Number(new URL(server.url).port);
    const good = new TextEncoder().encode(
      "GET /index.html HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1\r\nConnection: close\r\n\r\n",
    );
    while (more()) {
      const bytes = mutated(good, random);
      await new Promise<void>((resolve) => {
        const socket = connect(
          port,
          "127.0.0.1",
          () => void (random() < 0.5 ? socket.end(bytes) : socket.write(bytes)),
        );
        socket
          .setTimeout(200, () => socket.destroy())
          .on("error", () => {})
          .on("close", () => resolve())
          .resume();
      });
      count();
      const answer = await fetch(server.url).then((response) => response.text(), String);
      if (answer !== "page")
        fault(`after ${JSON.stringify(new TextDecoder().decode(bytes))}: ${answer}`);
    }
  },
};

const soak: Hunt = {
  name: "soak",
  what: "many training steps: memory does not grow",
  share: 5,
  most: 1,
  async run({ folder: cwd, count, fault }) {
    const ended = await runConv(["soak", "--steps", "30000", "--threads", "1", "--json"], {
      cwd,
      seconds: 1800,
    });
    count();
    const wrong = wrongIn(ended, [0]);
    if (wrong) return fault(wrong);
    const { growth } = JSON.parse(ended.stdout);
    if (growth.objects > 2 ** 20 || growth.backend !== 0)
      fault(`objects grew by ${growth.objects} bytes, the back end by ${growth.backend}`);
  },
};

const conformance: Hunt = {
  name: "conformance",
  what: "the whole conformance suite on every variant of the back ends (the test suite runs a part)",
  share: 12,
  most: 1,
  async run({ count, fault }) {
    const projects = ["@conv/testkit", "@conv/kernels-cpu", "@conv/kernels-gpu", "browser*"].map(
      (name) => `--project=${name}`,
    );
    const files = ["deferred", "conformance", "simd256", "browser/test/cpu", "browser/gpu/gpu"];
    const limits = ["--testTimeout=60000", "--hookTimeout=300000"];
    const { code, stdout, stderr } = await program(
      bin("vitest"),
      ["run", ...limits, ...projects, ...files],
      { env: { CONFORMANCE: "full" } },
    );
    if (code !== 0) fault(`vitest ended with code ${code}: ${`${stdout}${stderr}`.slice(-4000)}`);
    count();
  },
};

export const hunts: readonly Hunt[] = [
  ...judges.map((judged, i) => fuzzed(judged, [6, 3, 6][i])),
  unpacking,
  kills,
  threads,
  durability,
  exits,
  odd,
  soak,
  conformance,
];

export interface Outcome {
  readonly name: string;
  readonly tries: number;
  readonly seconds: number;
  readonly faults: readonly string[];
}

export interface Limits {
  readonly seed: number;
  readonly seconds: number;
  /** Maximum number of tries. Default: no limit. */
  readonly tries?: number;
  /** Called after each try with the fraction of the time, or of the tries, that is used. */
  readonly progress?: (share: number) => void;
}

/** A hunt ends after this many faults. */
const MOST_FAULTS = 20;

/** Runs one hunt. An error that it throws counts as a fault. */
export async function run(
  { name, most = Infinity, run: work }: Hunt,
  { seed, seconds, tries = Infinity, progress }: Limits,
): Promise<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), `hunt-${name}-`));
  const faults: string[] = [];
  const started = performance.now();
  const spent = () => (performance.now() - started) / 1000;
  const limit = Math.min(most, tries);
  let done = 0;
  try {
    await work({
      random: randomOf(seed),
      folder,
      more: () => done === 0 || (done < limit && spent() < seconds && faults.length < MOST_FAULTS),
      count() {
        done++;
        progress?.(Math.min(1, Math.max(spent() / seconds, done / limit)));
      },
      fault: (what) => void faults.push(what),
    });
  } catch (error) {
    faults.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return { name, tries: done, seconds: spent(), faults };
}
