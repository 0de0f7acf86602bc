// The options of `conv predict`.

import type { Command } from "commander";
import { deviceOption, JSON_HELP, precisionOption } from "../arguments.ts";

export function addPredict(program: Command): void {
  program
    .command("predict")
    .summary("recognize digits on PNG or JPEG images")
    .description(
      "Recognize digits on PNG or JPEG images of any size, dark on light or light on dark. Each " +
        "digit is scaled to fit 20×20 and centered in 28×28 by its center of mass, as in MNIST.",
    )
    .argument("<file>", "a model file written by conv train")
    .argument("<image...>", "PNG or JPEG files, one digit each")
    .addOption(deviceOption())
    .addOption(precisionOption())
    .option("--json", JSON_HELP)
    .addHelpText(
      "after",
      `
Examples:
  $ conv predict lenet5.safetensors seven.png
  $ conv predict lenet5.safetensors scans/*.jpg --json`,
    )
    .action(async (...args) =>
      (await import("../commands/predict.ts")).predict(args[0], args[1], args[2]),
    );
}
