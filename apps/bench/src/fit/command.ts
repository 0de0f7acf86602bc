// The command line of `bench fit`.

import { Option, type Command } from "commander";
import { jsonOption } from "../files.ts";
import { setNames } from "../layers.ts";
import { benchFit, type FitOptions } from "./bench-fit.ts";
import { fitKinds } from "./cases.ts";

interface Parsers {
  /** Throw InvalidArgumentError. */
  readonly whole: (text: string) => number;
  readonly count: (text: string) => number;
  readonly oneOf: <T extends string>(names: readonly T[], name: string) => T;
}

export const addFit = (program: Command, { whole, count, oneOf }: Parsers): Command =>
  program
    .command("fit")
    .description(
      "measures every kernel on every case that it can compute, fits the estimates, " +
        "and reports how good the choices of kernels are",
    )
    .addOption(
      new Option("--set <name>", "which layers; more are the better fit")
        .choices(setNames)
        .default("all"),
    )
    .option("--filter <text>", "only cases whose name contains this", "")
    .addOption(
      new Option("--kinds <names>", `what is computed, separated by commas: ${fitKinds.join(", ")}`)
        .default(fitKinds, "all")
        .argParser((list) => list.split(",").map((name) => oneOf(fitKinds, name))),
    )
    .option(
      "--sample <n>",
      "cases to measure, mixed from the kinds; always the same",
      whole,
      10_000,
    )
    .option("--skip <n>", "leave these many out before: those of an earlier run", count, 0)
    .option("--seconds <n>", "time after which no other case is begun", whole, 170)
    .option("--rounds <n>", "turns of 3 ms that each kernel takes on each case", whole, 5)
    .option("--simd256", "the code for pairs of vectors", false)
    .option(
      "--from <files>",
      "fit and judge what earlier runs wrote with --json, and measure nothing",
      (list) => list.split(","),
      [],
    )
    .addOption(jsonOption())
    .option("--write", "put the fitted prices into @conv/kernels-cpu (src/kernels/costs.ts)", false)
    .addHelpText(
      "after",
      `
Examples:
  bench fit --sample 40                               how good are the choices on 40 cases?
  bench fit --kinds forward --json forward.json       three minutes of measurements, to a file
  bench fit --from forward.json,backward.json --write prices from both, written where they belong
  bench fit --simd256 --seconds 600 --write           everything at once, for pairs of vectors
  bench fit --skip 200 --seconds 170                  how good are the choices on cases that no fit has seen?`,
    )
    .action((options: FitOptions) => benchFit(options));
