// What the words after a command may be: each is read, or refused with what it must be.

import { availableParallelism } from "node:os";
import { MOST_ROUNDOFF } from "@conv/ops";
import { Argument, InvalidArgumentError, Option } from "commander";
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
    "where to compute: gpu, cpu, or best, the GPU if there is one (default: best; with --threads: cpu)",
  )
    .choices(devices)
    .env("CONV_DEVICE");

export const threadsOption = () =>
  new Option("--threads <n>", "processor cores to use, at most all (default: all)").argParser(
    cores,
  );

/** More threads than cores only wait for one another. */
function cores(text: string): number {
  const [asked, there] = [whole(1)(text), availableParallelism()];
  if (asked > there)
    complain(
      `--threads ${asked}: there are ${there} processor cores here, and as many threads are used`,
    );
  return Math.min(asked, there);
}

/** Zeros around the input; as many as keep its size are `same`. */
export const paddingOption = () =>
  new Option("--padding <n>", "zeros on both sides of each axis, or same").argParser((text) =>
    text === "same" ? text : perAxis(0)(text),
  );

/** How convolutions are computed. */
export const precisionOption = () =>
  new Option(
    "--precision <name>",
    "exact sums, balanced (with Winograd and Fourier), or fast (reduced precision too) (default: balanced)",
  ).choices(Object.keys(MOST_ROUNDOFF));

/** A network by name. */
export const modelArgument = () => new Argument("<model>", modelNames.join(", "));
