// The options of the commands that print the costs of networks and layers. Nothing is run for them,
// unless a measurement is asked for.

import { bytesPerNumber, conventionNames } from "@conv/analysis";
import { Argument, Option, type Command } from "commander";
import {
  addConvolution,
  deviceOption,
  JSON_HELP,
  modelArgument,
  precisionOption,
  shape,
  threadsOption,
  whole,
} from "../arguments.ts";

const inputOption = () =>
  new Option(
    "--input <shape>",
    "shape of one sample, such as 1x28x28 (default: that of the network)",
  ).argParser(shape);
const batchOption = () => new Option("--batch <n>", "batch size").argParser(whole(1)).default(1);
const conventionOption = () =>
  new Option("--convention <name>", "how operations are counted")
    .choices(conventionNames)
    .default("torchvision");

/** Adds summary, compare, receptive and suggest. */
export function addCostCommands(program: Command): void {
  addSummary(program);
  addCompare(program);
  addReceptive(program);
  addSuggest(program);
}

function addSummary(program: Command): void {
  program
    .command("summary")
    .summary("print the costs of each layer of a network")
    .description(
      "Print output shape, parameters, multiply-accumulates, memory and receptive field of each " +
        "layer, as far as they fit on the terminal, and the memory of inference and training. A " +
        "back end is loaded only with --predict and --measure.",
    )
    .addArgument(modelArgument())
    .addOption(inputOption())
    .addOption(batchOption())
    .addOption(conventionOption())
    .option("--backward", "count the gradients as well", false)
    .addOption(
      new Option(
        "--depth <n>",
        "levels of the tree of layers (default: as many as fit on the terminal)",
      ).argParser(whole(1)),
    )
    .addOption(
      new Option("--dtype <name>", "number type that the memory is computed for")
        .choices(Object.keys(bytesPerNumber))
        .default("float32"),
    )
    .addOption(
      new Option("--format <name>", "html is one page with charts")
        .choices(["text", "json", "csv", "markdown", "html"])
        .default("text"),
    )
    .option("--json", "the same as --format json", false)
    .option("--out <file>", "output file (default: standard output)")
    .option("--predict", "predict the time of each layer on this machine", false)
    .option("--measure", "run the network: predicted and measured time of each layer", false)
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
    .action(async (...args) => (await import("../commands/summary.ts")).summary(args[0], args[1]));
}

function addCompare(program: Command): void {
  program
    .command("compare")
    .summary("print the costs of two networks side by side")
    .description(
      "Print all costs of two networks side by side, and their operations by every convention.",
    )
    .addArgument(modelArgument())
    .addArgument(new Argument("<other>", "the other network"))
    .addOption(inputOption())
    .addOption(batchOption())
    .option("--json", JSON_HELP, false)
    .addHelpText(
      "after",
      `
Examples:
  $ conv compare resnet18 mobilenetV2
  $ conv compare vgg16 resnet50 --batch 8 --json`,
    )
    .action(async (...args) =>
      (await import("../commands/compare.ts")).compareModels(args[0], args[1], args[2]),
    );
}

function addReceptive(program: Command): void {
  program
    .command("receptive")
    .summary("print the receptive field of each layer")
    .description(
      "Print size, jump and start of the receptive field of each layer: output o depends on " +
        "`size` inputs from start + jump·o on. With --at, also the input region of one unit of " +
        "that layer; with --effective, how much each position of the region contributes, by its " +
        "gradient.",
    )
    .addArgument(modelArgument())
    .addOption(inputOption())
    .option("--at <layer>", "name of a layer, such as layer2.0")
    .addOption(
      new Option(
        "--unit <position>",
        "position of a unit of that layer, such as 3x5 (default: the middle)",
      ).argParser(shape),
    )
    .option("--effective", "measure with random weights and inputs", false)
    .addOption(deviceOption())
    .addOption(precisionOption())
    .addOption(threadsOption())
    .option("--json", JSON_HELP, false)
    .addHelpText(
      "after",
      `
Examples:
  $ conv receptive vgg16
  $ conv receptive resnet50 --at layer3 --unit 0x0
  $ conv receptive resnet18 --at layer2 --effective`,
    )
    .action(async (...args) =>
      (await import("../commands/receptive.ts")).receptive(args[0], args[1]),
    );
}

function addSuggest(program: Command): void {
  const command = program
    .command("suggest")
    .summary("list alternatives to a convolution and their costs")
    .description(
      "List alternatives to a convolution (1×1 before it, bottleneck, groups, depthwise " +
        "separable, factorized, stacked, dilated) with parameters, multiply-accumulates, memory " +
        "and receptive field of each. Any number of spatial axes.",
    );
  addConvolution(command, { padding: "same" })
    .option("--bias", "with a bias for each output channel", false)
    .option("--json", JSON_HELP, false)
    .addHelpText(
      "after",
      `
Examples:
  $ conv suggest 256x100x100 3x3 256
  $ conv suggest 64x56x56 7 64 --stride 2 --bias --json`,
    )
    .action(async (...args) =>
      (await import("../commands/suggest.ts")).suggestLayers(args[0], args[1], args[2], args[3]),
    );
}
