// The command line. Each command is described in usage/, with examples, and carried out in
// commands/, which is loaded when the command is called.

import { createRequire } from "node:module";
import { printable } from "@conv/tensor";
import { Command } from "commander";
import { columns } from "./terminal.ts";
import { addCostCommands } from "./usage/costs.ts";
import { addExplain } from "./usage/explain.ts";
import { addPredict } from "./usage/predict.ts";
import { addSoak } from "./usage/soak.ts";
import { addTrain } from "./usage/train.ts";

/**
 * The command `conv`. Parsing throws CommanderError for wrong usage, and any error that the command
 * throws.
 */
export function createProgram(): Command {
  // Settings are inherited by the commands made after them.
  const { version }: { version: string } = createRequire(import.meta.url)("../package.json");
  const program = new Command("conv")
    .description("Train, run and measure convolutional networks.")
    .version(version)
    .exitOverride()
    .configureOutput({
      getOutHelpWidth: columns,
      // It repeats what was typed.
      outputError: (text, write) =>
        write(`${printable(text.trim().replace(/\s*\n\s*/g, " "), 4000)}\n`),
    })
    .addHelpText("after", "\nconv <command> --help has examples.");
  addTrain(program);
  addPredict(program);
  addCostCommands(program);
  addExplain(program);
  addSoak(program);
  return program;
}
