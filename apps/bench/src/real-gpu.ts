// One short run on the GPU of a machine, part by part, each within a time of its own: a part that
// fails is named, and the others go on. Prints one table at the end: each layer of ResNet-50, the
// whole network and its training, beside PyTorch's cuDNN where that is installed.

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { scriptBeside } from "./competitor.ts";
import type { Result, Row } from "./report/result.ts";
import { casesOf, competitorsOf } from "./report/result.ts";
import { table, three } from "./report/text.ts";

interface Part {
  readonly name: string;
  readonly args: readonly string[];
  /** Seconds that it may take. */
  readonly seconds: number;
}

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "8" },
    out: { type: "string", default: "real-gpu-results" },
    tiny: { type: "boolean", default: false },
  },
});
const end = performance.now() + 60_000 * Number(values.minutes);
const folder = resolve(values.out);
mkdirSync(folder, { recursive: true });
const failed: string[] = [];
const results: Result[] = [];
for (const part of values.tiny ? tinyParts() : parts()) {
  const file = join(folder, `${part.name.replaceAll(" ", "-")}.json`);
  for (const complaint of await runPart(part, file)) failed.push(`${part.name}: ${complaint}`);
  if (existsSync(file)) results.push(JSON.parse(readFileSync(file, "utf8")));
}
console.log(`\n${report(results)}`);
if (failed.length) console.log(`\nFailed:\n${failed.map((line) => `  ${line}`).join("\n")}`);
process.exit(Number(results.length === 0));

function peers(more: readonly string[] = []): string {
  const others = existsSync(new URL("../.peers", import.meta.url)) ? more : [];
  return ["conv-f16", "torch", "torch-f16", ...others].join();
}

function parts(): Part[] {
  const layers = [
    "layers",
    "--set",
    "onednn",
    "--filter",
    "resnet_50_v1_5",
    "--batch",
    "32",
    "--rounds",
    "5",
  ];
  const whole = (batch: number): Part => ({
    name: `network batch ${batch}`,
    args: [
      "networks",
      "--models",
      "resnet50",
      "--batch",
      `${batch}`,
      "--starts",
      "0",
      "--rounds",
      "5",
      "--against",
      peers(["ort-node"]),
    ],
    seconds: 80,
  });
  const step = (batch: number): Part => ({
    name: `training batch ${batch}`,
    args: [
      "train",
      "--model",
      "resnet50",
      "--batch",
      `${batch}`,
      "--rounds",
      "5",
      "--against",
      peers(),
    ],
    seconds: 80,
  });
  return [
    {
      name: "layers",
      args: [...layers, "--seconds", "160", "--against", peers(["ort-node", "tfjs", "jax"])],
      seconds: 190,
    },
    whole(1),
    whole(32),
    step(1),
    step(32),
  ];
}

/** The same on what any machine does in two minutes. */
function tinyParts(): Part[] {
  return [
    {
      name: "layers",
      args: ["layers", "--filter", "512@14", "--rounds", "1", "--against", peers(["tfjs"])],
      seconds: 60,
    },
    {
      name: "network",
      args: [
        "networks",
        "--models",
        "squeezenet1_1",
        "--starts",
        "0",
        "--rounds",
        "1",
        "--against",
        peers(),
      ],
      seconds: 90,
    },
    {
      name: "training",
      args: ["train", "--batch", "4", "--rounds", "1", "--against", peers()],
      seconds: 60,
    },
  ];
}

/** Shows what the part says; returns what failed in it. */
function runPart({ name, args, seconds }: Part, file: string): Promise<string[]> {
  const left = Math.min(seconds, (end - performance.now()) / 1000);
  if (left < 5) return Promise.resolve(["no time was left"]);
  console.log(`\n## ${name}\n`);
  const child = spawn(
    process.execPath,
    [scriptBeside("main"), ...args, "--device", "gpu", "--adapter", "machine", "--json", file],
    {
      stdio: ["ignore", "inherit", "pipe"],
      detached: true, // with all processes that it starts
    },
  );
  let complaints = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaints += text;
    process.stdout.write(text);
  });
  return new Promise((done) => {
    const limit = setTimeout(() => {
      complaints += `it took longer than ${left.toFixed(0)} s\n`;
      process.kill(-child.pid!, "SIGKILL");
    }, 1000 * left);
    child.on("close", (code) => {
      clearTimeout(limit);
      const said = complaints.split("\n").filter((line) => line.trim());
      done(
        code === 0 || said.length ? said : [`exit code ${code}: a case was refused or declined`],
      );
    });
  });
}

/**
 * All rows of all parts: Conv's time, speed and share of the peak, then each other's time, and it
 * by Conv's.
 */
function report(all: readonly Result[]): string {
  if (all.length === 0) return "Nothing was measured.";
  const [{ machine, commit }] = all;
  const rows = all.flatMap((r) => r.rows);
  const others = competitorsOf(rows).filter((c) => c !== "conv");
  const [f32, f16] = machine.peaks;
  const cells = (name: string): string[] => {
    const row = (competitor: string): Row | undefined =>
      rows.find((r) => r.case === name && r.competitor === competitor);
    const own = row("conv");
    const time = (r: Row | undefined) => (r ? (r.verified ? three(r.medianMs) : "refused") : "—");
    const standing = own?.verified ? own : undefined;
    return [
      name,
      time(own),
      standing?.deviceMs === undefined ? "—" : three(standing.deviceMs),
      standing ? three(standing.gflops) : "—",
      standing ? `${standing.percentOfPeak.toFixed(0)} %` : "—",
      ...others.flatMap((c) => {
        const other = row(c);
        return [
          time(other),
          standing && other?.verified ? `${(other.medianMs / standing.medianMs).toFixed(2)}×` : "—",
        ];
      }),
    ];
  };
  const head = [
    "",
    "conv ms",
    "by device",
    "GFLOP/s",
    "of peak",
    ...others.flatMap((c) => [`${c} ms`, "/ conv"]),
  ];
  return [
    `${machine.gpu?.adapter ?? "no GPU"}, through ${machine.gpu?.through ?? "nothing"}; ${machine.cpu}; commit ${commit}`,
    `measured peak: ${f32.gflops.toFixed(0)} GFLOP/s f32${f16 ? `, ${f16.gflops.toFixed(0)} f16` : ""}; ${f32.bandwidth.toFixed(0)} GB/s copied`,
    "",
    table([head, ...casesOf(rows).map(cells)]),
  ].join("\n");
}
