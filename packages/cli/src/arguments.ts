// Arguments and options that commands share, and how their values are read. An invalid value is
// refused with a sentence that says what it must be.

import { availableParallelism } from "node:os";
import { MOST_ROUNDOFF } from "@conv/ops";
import { Argument, InvalidArgumentError, Option, type Command } from "commander";
import { modelNames } from "./model.ts";
import { complain } from "./output.ts";

/** A decimal number; NaN for anything else, such as hexadecimal digits or nothing. */
const decimal = (text: string): number =>
  /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;

/** A whole number of at least so much. */
export const whole = (least: number) => (text: string) => {
  const value = decimal(text);
  if (!Number.isSafeInteger(value) || value < least)
    throw new InvalidArgumentError(`It must be a whole number ≥ ${least}.`);
  return value;
};

/** A number above 0. */
export const positive = (text: string) => {
  const value = decimal(text);
  if (!(Number.isFinite(value) && value > 0))
    throw new InvalidArgumentError("It must be a number > 0.");
  return value;
};

/** A number of at least 0. */
export const atLeast0 = (text: string) => {
  const value = decimal(text);
  if (!(Number.isFinite(value) && value >= 0))
    throw new InvalidArgumentError("It must be a number ≥ 0.");
  return value;
};

/** A number from 0 to below 1. */
export const fraction = (text: string) => {
  const value = decimal(text);
  if (!(value >= 0 && value < 1))
    throw new InvalidArgumentError("It must be a number from 0 to below 1.");
  return value;
};

/** Sizes as `1x28x28`. */
export const shape = (text: string) => {
  if (!/^\d+([x×,]\d+)*$/.test(text))
    throw new InvalidArgumentError("It must be sizes like 1x28x28.");
  return text.split(/[x×,]/).map(Number);
};

/** One number for all axes, or one for each. */
export const perAxis = (least: number) => (text: string) => {
  const values = text.split(/[x×,]/).map(whole(least));
  return values.length === 1 ? values[0] : values;
};

export const devices = ["best", "gpu", "cpu"] as const;

/** Where to compute. */
export const deviceOption = () =>
  new Option(
    "--device <name>",
    "device: gpu, cpu, or best, which is the GPU if there is one " +
      "(default: best; with --threads: cpu)",
  )
    .choices(devices)
    .env("CONV_DEVICE");

export const threadsOption = () =>
  new Option(
    "--threads <n>",
    "number of threads, at most one per processor core (default: one per core)",
  ).argParser(cores);

/** More threads than cores only wait for one another. */
function cores(text: string): number {
  const [asked, there] = [whole(1)(text), availableParallelism()];
  if (asked > there)
    complain(
      `--threads ${asked}: this machine has ${there} processor cores; using ${there} threads`,
    );
  return Math.min(asked, there);
}

/** Zeros around the input; `same` keeps its size. */
const paddingOption = () =>
  new Option("--padding <n>", "zeros on both sides of each axis, or same").argParser((text) =>
    text === "same" ? text : perAxis(0)(text),
  );

/** How convolutions are computed. */
export const precisionOption = () =>
  new Option(
    "--precision <name>",
    "exact (plain sums), balanced (also Winograd and Fourier) or fast (also reduced precision) " +
      "(default: balanced)",
  ).choices(Object.keys(MOST_ROUNDOFF));

/** A network by name. */
export const modelArgument = () => new Argument("<model>", modelNames.join(", "));

export const JSON_HELP = "print one JSON document and nothing else";

/** Adds the arguments and options that describe one convolution, as 64x56x56 3x3 64 --stride 2. */
export const addConvolution = (command: Command, { padding }: { padding: 0 | "same" }): Command =>
  command
    .addArgument(
      new Argument("<input>", "channels and sizes of the input, such as 64x56x56").argParser(shape),
    )
    .addArgument(
      new Argument(
        "<kernel>",
        "sizes of the kernel, such as 3x3; one number for all axes",
      ).argParser(shape),
    )
    .addArgument(new Argument("<channels>", "channels of the output").argParser(whole(1)))
    .addOption(
      new Option("--stride <n>", "stride, one number for all axes or such as 2x1")
        .argParser(perAxis(1))
        .default(1),
    )
    .addOption(paddingOption().default(padding))
    .addOption(
      new Option("--dilation <n>", "distance between the taps of the kernel")
        .argParser(perAxis(1))
        .default(1),
    )
    .addOption(new Option("--groups <n>", "groups of channels").argParser(whole(1)).default(1));
