// The options of `conv explain`.

import { Option, type Command } from "commander";
import { addConvolution, JSON_HELP, threadsOption, whole } from "../arguments.ts";

export function addExplain(program: Command): void {
  const command = program
    .command("explain")
    .summary("list the kernels that can compute a convolution, and why one is chosen")
    .description(
      "List all kernels that can compute a convolution, the predicted time of each and its " +
        "parts, which one is chosen and why, and why the others cannot compute it. Any number of " +
        "spatial axes.",
    );
  addConvolution(command, { padding: 0 })
    .addOption(new Option("--batch <n>", "batch size").argParser(whole(1)).default(1))
    .addOption(
      new Option("--direction <name>", "what to compute")
        .choices(["forward", "gradInput", "gradWeight"])
        .default("forward"),
    )
    .addOption(threadsOption())
    .option("--simd256", "explain the code for pairs of vectors", false)
    .option("--measure", "also run and time each kernel", false)
    .option("--json", JSON_HELP, false)
    .addHelpText(
      "after",
      `
Examples:
  $ conv explain 64x56x56 3x3 64 --padding same
  $ conv explain 32x112x112 3 32 --groups 32 --padding 1 --measure
  $ conv explain 512x7x7 3 512 --padding 1 --direction gradWeight --simd256 --json`,
    )
    .action(async (...args) =>
      (await import("../commands/explain.ts")).explainConv(args[0], args[1], args[2], args[3]),
    );
}
