// The commands that say what networks and layers cost: nothing is run for them, unless a
// measurement is asked for.

import { bytesPerNumber, conventionNames } from "@conv/analysis";
import { Argument, Option, type Command } from "commander";
import {
  deviceOption,
  modelArgument,
  paddingOption,
  perAxis,
  precisionOption,
  shape,
  threadsOption,
  whole,
} from "./arguments.ts";

const inputOption = () =>
  new Option(
    "--input <shape>",
    "shape of one sample, as 1x28x28 (default: the network's)",
  ).argParser(shape);
const batchOption = () =>
  new Option("--batch <n>", "samples at once").argParser(whole(1)).default(1);
const conventionOption = () =>
  new Option("--convention <name>", "how operations are counted")
    .choices(conventionNames)
    .default("torchvision");
const json = "print one JSON document and nothing else";

/** Adds summary, compare, receptive and suggest. */
export function addCostCommands(program: Command): void {
  program
    .command("summary")
    .summary("print what each layer of a network costs")
    .description(
      "Print output shape, parameters, multiply-accumulates, memory and receptive field of each layer, as far as the terminal is wide and high, and the " +
        "memory of predicting and training. No back end is loaded but with --predict and --measure.",
    )
    .addArgument(modelArgument())
    .addOption(inputOption())
    .addOption(batchOption())
    .addOption(conventionOption())
    .option("--backward", "count the gradients too", false)
    .addOption(
      new Option(
        "--depth <n>",
        "levels of the tree of layers (default: as many as the terminal is high)",
      ).argParser(whole(1)),
    )
    .addOption(
      new Option("--dtype <name>", "what numbers are held as, for the memory")
        .choices(Object.keys(bytesPerNumber))
        .default("float32"),
    )
    .addOption(
      new Option("--format <name>", "html is one page with pictures")
        .choices(["text", "json", "csv", "markdown", "html"])
        .default("text"),
    )
    .option("--json", "the same as --format json", false)
    .option("--out <file>", "where to write (default: standard output)")
    .option(
      "--predict",
      "the time of each layer, as the kernels of this machine estimate it",
      false,
    )
    .option("--measure", "run the network, too: predicted and measured time of each layer", false)
    .addOption(deviceOption())
    .addOption(precisionOption())
    .addOption(threadsOption())
    .addHelpText(
      "after",
      `
Examples:
  $ conv summary lenet5
  $ conv summary resnet152 --depth 1 --backward
  $ conv summary resnet50 --convention torchinfo --format csv --out resnet50.csv
  $ conv summary mobilenetV2 --input 3x160x160 --measure --format html --out mobilenet.html`,
    )
    .action(async (...args) => (await import("./commands/summary.ts")).summary(args[0], args[1]));

  program
    .command("compare")
    .summary("print the costs of two networks side by side")
    .description("Print all that two networks cost, side by side, operations by every convention.")
    .addArgument(modelArgument())
    .addArgument(new Argument("<other>", "the other network"))
    .addOption(inputOption())
    .addOption(batchOption())
    .option("--json", json, false)
    .addHelpText(
      "after",
      "\nExamples:\n  $ conv compare resnet18 mobilenetV2\n  $ conv compare vgg16 resnet50 --batch 8 --json",
    )
    .action(async (...args) =>
      (await import("./commands/compare.ts")).compareModels(args[0], args[1], args[2]),
    );

  program
    .command("receptive")
    .summary("print which part of the input each layer sees")
    .description(
      "Print size, jump and start of the receptive field of each layer: output o sees `size` inputs from start + jump·o on. With --at, also the input " +
        "region behind a unit of that layer, and with --effective how much each place of it counts, by the gradient.",
    )
    .addArgument(modelArgument())
    .addOption(inputOption())
    .option("--at <layer>", "a layer's name, as layer2.0")
    .addOption(
      new Option(
        "--unit <places>",
        "a unit of that layer by its places, as 3x5 (default: the middle)",
      ).argParser(shape),
    )
    .option("--effective", "run the network with random weights and inputs, and measure", false)
    .addOption(deviceOption())
    .addOption(precisionOption())
    .addOption(threadsOption())
    .option("--json", json, false)
    .addHelpText(
      "after",
      "\nExamples:\n  $ conv receptive vgg16\n  $ conv receptive resnet50 --at layer3 --unit 0x0\n  $ conv receptive resnet18 --at layer2 --effective",
    )
    .action(async (...args) =>
      (await import("./commands/receptive.ts")).receptive(args[0], args[1]),
    );

  program
    .command("suggest")
    .summary("list what could replace a convolution, and what it would cost")
    .description(
      "List alternatives to a convolution (1×1 before it, bottleneck, groups, depthwise separable, factorized, stacked, dilated) with parameters, " +
        "multiply-accumulates, memory and receptive field of each. Any number of spatial axes.",
    )
    .addArgument(
      new Argument("<input>", "channels and sizes of the input, as 256x100x100").argParser(shape),
    )
    .addArgument(
      new Argument("<kernel>", "sizes of the kernel, as 3x3; one for all axes").argParser(shape),
    )
    .addArgument(new Argument("<channels>", "channels of the output").argParser(whole(1)))
    .addOption(
      new Option("--stride <n>", "stride, one for all axes or as 2x1")
        .argParser(perAxis(1))
        .default(1),
    )
    .addOption(paddingOption().default("same"))
    .addOption(
      new Option("--dilation <n>", "distance between taps").argParser(perAxis(1)).default(1),
    )
    .addOption(new Option("--groups <n>", "groups of channels").argParser(whole(1)).default(1))
    .option("--bias", "with a number for each output channel", false)
    .option("--json", json, false)
    .addHelpText(
      "after",
      "\nExamples:\n  $ conv suggest 256x100x100 3x3 256\n  $ conv suggest 64x56x56 7 64 --stride 2 --bias --json",
    )
    .action(async (...args) =>
      (await import("./commands/suggest.ts")).suggestLayers(args[0], args[1], args[2], args[3]),
    );
}
