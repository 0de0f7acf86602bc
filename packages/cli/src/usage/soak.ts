// The options of `conv soak`.

import { Option, type Command } from "commander";
import { deviceOption, JSON_HELP, precisionOption, threadsOption, whole } from "../arguments.ts";

export function addSoak(program: Command): void {
  program
    .command("soak")
    .summary("train a tiny network for many steps and watch the memory")
    .description(
      "Train a tiny network for many steps. Prints the memory of objects, buffers, process and " +
        "back end at intervals, and how much each grew.",
    )
    .addOption(new Option("--steps <n>", "training steps").argParser(whole(1)).default(100_000))
    .addOption(deviceOption())
    .addOption(precisionOption())
    .addOption(threadsOption())
    .option("--json", JSON_HELP, false)
    .addHelpText(
      "after",
      `
Examples:
  $ conv soak
  $ conv soak --steps 1000000 --threads 1 --json`,
    )
    .action(async (...args) => (await import("../commands/soak.ts")).soak(args[0]));
}
