// The command line of the benchmark: `pnpm bench layers`, `pnpm bench train`, `pnpm bench
// networks`, `pnpm bench fit`.

import { availableParallelism } from "node:os";
import { setFlagsFromString } from "node:v8";
import { printable } from "@conv/tensor";
import { usageErrors } from "@conv/testkit/usage";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { benchLayers } from "./bench-layers.ts";
import { benchNetworks } from "./bench-networks.ts";
import { benchTrain } from "./bench-train.ts";
import { ownNames, PAIRING, peerNames } from "./competitor.ts";
import { checkFiles, jsonOption, printer, readResults, saveResult, saveText } from "./files.ts";
import { addFit } from "./fit/command.ts";
import { directions, layerCases, setNames, type Direction, type SetName } from "./layers.ts";
import { measured, say, type Shared } from "./measured.ts";
import { defaultNetworks, networkNames } from "./networks.ts";
import { profile } from "./profile.ts";
import { joined, type Result } from "./report/result.ts";
import { caseText, hardestText, networksTable, summaryTable, trainTable } from "./report/text.ts";
import { trainedNames } from "./training.ts";

interface LayersFlags extends Shared {
  readonly set: SetName;
  readonly filter: string;
  readonly over: number;
  readonly skip: number;
  readonly seconds?: number;
  readonly from: readonly string[];
  readonly direction: Direction;
  readonly batch: number;
}

interface TrainFlags extends Shared {
  readonly model: string;
  readonly batch: number;
}

interface NetworksFlags extends Shared {
  readonly models: readonly string[];
  readonly batch: number;
  readonly starts: number;
  readonly profile: boolean;
}

const program = new Command("bench")
  .description("Measures Conv against other libraries. Every answer is verified before it counts.")
  .configureOutput(usageErrors)
  .showHelpAfterError("(--help shows the options)")
  .exitOverride();

program
  .command("layers")
  .description("convolution layers, forward or gradients, in GFLOP/s = 2 · MAC / time")
  .addOption(device())
  .addOption(where())
  .addOption(adapter())
  .addOption(against())
  .addOption(threads())
  .addOption(
    new Option(
      "--set <name>",
      "which layers: those of ResNet-50 and MobileNet, DeepBench's or oneDNN's",
    )
      .choices(setNames)
      .default("resnet"),
  )
  .option("--filter <text>", "only layers whose name contains this; type x for × and -> for →", "")
  .option(
    "--over <gmac>",
    "only layers of more multiply-accumulates than so many thousand millions",
    positive,
    0,
  )
  .addOption(
    new Option("--direction <name>", "the convolution, or its gradient to input or weight")
      .choices(directions)
      .default("forward"),
  )
  .option("--batch <n>", "images at once", whole, 1)
  .addOption(rounds())
  .addOption(flags())
  .addOption(simd256())
  .addOption(jsonOption())
  .option("--skip <n>", "leave these many layers out before: those of an earlier run", count, 0)
  .option("--seconds <n>", "time after which no other layer is begun", positive)
  .option(
    "--from <files>",
    "show what earlier runs wrote with --json as one, and measure nothing",
    (list) => list.split(","),
    [],
  )
  .option("--html <file>", "write a page with bars, the roofline of this machine and the table")
  .addHelpText(
    "after",
    `
Examples:
  bench layers                                       Conv alone on the thirteen default layers
  bench layers --against ort-web,tfjs-wasm           how many times faster than these two
  bench layers --filter 3x3 --json out.json          layers with a 3×3 kernel, figures to a file
  bench layers --direction gradWeight --against torch
  bench layers --threads 2 --against one-thread --over 0.1   how many times faster two threads are
  bench layers --set onednn --filter mobilenet --against all --html out.html
  bench layers --device gpu --against ort-web,tfjs,jax       on WebGPU in Node
  bench layers --device gpu --in browser --against all       all in one page of Chromium`,
  )
  .action(layers);

program
  .command("train")
  .description(
    "a training step (cross-entropy; LeNet-5 with relu, max pooling and Adam), in images/s",
  )
  .addOption(new Option("--model <name>", "which network").choices(trainedNames).default("lenet5"))
  .addOption(device())
  .addOption(where())
  .addOption(adapter())
  .addOption(against())
  .addOption(threads())
  .option("--batch <n>", "images a step", whole, 64)
  .addOption(rounds())
  .addOption(flags())
  .addOption(simd256())
  .addOption(jsonOption())
  .option("--html <file>", "write a page with bars, the roofline of this machine and the table")
  .addHelpText(
    "after",
    "\nExamples:\n  bench train --against torch\n  bench train --device gpu --against tfjs",
  )
  .action(train);

program
  .command("networks")
  .description("whole networks on images of 3×224×224, in ms, and how long each takes to start")
  .addOption(
    new Option("--models <names>", `networks, separated by commas: ${networkNames.join(", ")}`)
      .default(defaultNetworks, defaultNetworks.join(","))
      .argParser((list) => list.split(",").map((name) => oneOf(networkNames, name))),
  )
  .addOption(device())
  .addOption(where())
  .addOption(adapter())
  .addOption(against())
  .addOption(threads())
  .option("--batch <n>", "images at once", whole, 1)
  .addOption(rounds())
  .option(
    "--starts <n>",
    "starts of each competitor on each network, each in a new process; 0 for none",
    count,
    3,
  )
  .addOption(flags())
  .addOption(simd256())
  .option(
    "--profile",
    "Conv alone: the time of each step, of each kernel, and their share of the whole",
    false,
  )
  .addOption(jsonOption())
  .option("--html <file>", "write a page with bars, the roofline of this machine and the table")
  .addHelpText(
    "after",
    `
Examples:
  bench networks --against ort-web,ort-node
  bench networks --threads 2 --against one-thread    how many times faster two threads are
  bench networks --models mobilenetV2 --profile --simd256`,
  )
  .action(networks);

addFit(program, { whole, count, oneOf });

await program.parseAsync().catch((error: unknown) => {
  const done = error instanceof CommanderError; // it has said all
  if (!done) say(printable(error instanceof Error ? error.message : String(error)));
  process.exitCode = done && error.exitCode === 0 ? 0 : 2;
});

async function layers(options: LayersFlags): Promise<void> {
  const cases = layerCases(options.set, options);
  if (cases.length === 0)
    throw new Error(
      `no layer of ${options.set}${options.over ? ` over ${options.over} GMAC` : ""} has a name ` +
        `that contains "${options.filter}"`,
    );
  let done = options.skip;
  const measure = () =>
    measured(options, (shared, progress) =>
      benchLayers({
        ...options,
        ...shared,
        cases: cases.slice(done),
        progress: progress.update,
        caseDone(name, rows, declined) {
          done++;
          progress.print(caseText(name, rows, declined));
        },
      }),
    );
  const files = await readResults<Result>(options.from, "rows");
  if (files.length) await checkFiles({ json: options.json, html: options.html });
  const result = files.length ? joined(files) : await measure();
  if (files.length) await saveResult(options.json, result);
  const print = printer(options);
  print(`\n${summaryTable(result)}`);
  const hard = hardestText(result);
  if (hard) print(`\n${hard}`);
  if (!files.length && done < cases.length)
    print(`\n${done} of ${cases.length} layers are done; --skip ${done} goes on`);
  await writePage(options.html, result, `Convolution layers, ${result.direction}`);
}

async function networks(options: NetworksFlags): Promise<void> {
  if (options.profile) {
    if (options.device === "gpu") throw new Error("--profile is of the CPU");
    if (options.json || options.html)
      throw new Error("--profile prints text alone: leave out --json and --html");
    for (const flag of [...options.flags, ...(options.simd256 ? [PAIRING] : [])])
      setFlagsFromString(flag);
    for (const model of options.models) console.log(`${await profile(model, options)}\n`);
    return;
  }
  const result = await measured(options, (shared, progress) =>
    benchNetworks({
      ...options,
      ...shared,
      progress: progress.update,
      caseDone: (name, rows, declined) => progress.print(caseText(name, rows, declined)),
    }),
  );
  printer(options)(`\n${networksTable(result)}`);
  await writePage(options.html, result, "Networks, one batch of images");
}

async function train(options: TrainFlags): Promise<void> {
  const result = await measured(options, (shared, progress) =>
    benchTrain({ ...options, ...shared, progress: progress.update }),
  );
  const print = printer(options);
  print(trainTable(result));
  for (const { competitor, reason } of result.declined) print(`${competitor}: ${reason}`);
  await writePage(options.html, result, `Training step of ${options.model}`);
}

/** Writes the page of a result, where one is asked for. */
async function writePage(
  file: string | undefined,
  result: Omit<Result, "direction">,
  title: string,
): Promise<void> {
  if (!file) return;
  const { page } = await import("./report/html.ts"); // Vega is large, and rarely wanted
  await saveText(file, await page(result, title));
}

function device(): Option {
  return new Option("--device <name>", "device of all competitors")
    .choices(["cpu", "gpu"])
    .default("cpu");
}

function where(): Option {
  return new Option(
    "--in <name>",
    "with --device gpu: each in its Node process, or all in one page of Chromium",
  )
    .choices(["node", "browser"])
    .default("node");
}

function adapter(): Option {
  return new Option(
    "--adapter <name>",
    "with --device gpu: machine is the GPU, swiftshader is software, auto is the GPU if there is one",
  )
    .choices(["auto", "machine", "swiftshader"])
    .default("auto");
}

function against(): Option {
  const libraries = [...new Set(Object.values(peerNames).flat())];
  const known = ["all", ...libraries, "tfjs", "jax", ...ownNames.cpu, ...ownNames.gpu] as const;
  return new Option(
    "--against <names>",
    `peers, separated by commas, or "all": ${libraries.join(", ")}, installed on first use; ` +
      "or one-thread (Conv on one thread), or conv-f16 (Conv in float16)",
  )
    .default([], "none")
    .argParser((list) => list.split(",").map((name) => oneOf(known, name)));
}

function threads(): Option {
  return new Option(
    "--threads <n>",
    `threads of each competitor, up to ${availableParallelism()} here`,
  )
    .default(1)
    .argParser(cores);
}

function rounds(): Option {
  return new Option("--rounds <n>", "turns of 50 ms for each competitor on each case")
    .default(10)
    .argParser(whole);
}

function flags(): Option {
  return new Option("--flags <list>", "V8 flags for all competitors in Node, separated by commas")
    .default([], "none")
    .argParser((list) => list.split(","));
}

function simd256(): Option {
  return new Option(
    "--simd256",
    "Conv generates code for pairs of vectors, and sets the V8 flag that joins them",
  ).default(false);
}

function oneOf<T extends string>(names: readonly T[], name: string): T {
  const known = names.find((n) => n === name);
  if (!known) throw new InvalidArgumentError(`"${name}" is not one of ${names.join(", ")}.`);
  return known;
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError("It must be a number above 0.");
  return value;
}

function count(text: string): number {
  return text === "0" ? 0 : whole(text);
}

/** With more threads than cores, threads wait for one another, and figures mean nothing. */
function cores(text: string): number {
  const [value, there] = [whole(text), availableParallelism()];
  if (value > there)
    throw new InvalidArgumentError(
      `It must be a whole number from 1 to ${there}, the number of processor cores.`,
    );
  return value;
}

function whole(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError("It must be a whole number above 0.");
  return value;
}
