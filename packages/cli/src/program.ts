// The command line: what can be said, with examples. What is done is in commands/, loaded when it
// is asked for.

import { createRequire } from "node:module";
import { optimizers } from "@conv/layers";
import { printable } from "@conv/tensor";
import { Argument, Command, Option } from "commander";
import {
  atLeast0,
  deviceOption,
  fraction,
  paddingOption,
  perAxis,
  positive,
  precisionOption,
  shape,
  threadsOption,
  whole,
} from "./arguments.ts";
import { addCostCommands } from "./costs.ts";
import { classifierNames } from "./model.ts";
import { augmentationNames, schedules } from "./recipe.ts";
import { columns } from "./terminal.ts";

const rates = Object.entries(optimizers)
  .map(([name, { lr }]) => `${lr} for ${name}`)
  .join(", ");

/**
 * The command `conv`. Parsing it throws CommanderError for wrong usage, and whatever a command
 * throws.
 */
export function createProgram(): Command {
  // Settings are inherited by the commands made after them.
  const { version }: { version: string } = createRequire(import.meta.url)("../package.json");
  const program = new Command("conv")
    .description("Train, ask and measure convolutional networks.")
    .version(version)
    .exitOverride()
    .configureOutput({
      getOutHelpWidth: columns,
      // It repeats what was typed.
      outputError: (text, write) =>
        write(`${printable(text.trim().replace(/\s*\n\s*/g, " "), 4000)}\n`),
    })
    .addHelpText("after", "\nconv <command> --help has examples.");

  program
    .command("train")
    .summary("train a network on handwritten digits, or on IDX files")
    .description(
      "Train a network on 8,000 handwritten digits (MNIST) and test it on 2,000 others, or on any gray images in IDX files. Writes the model " +
        "and its learning curve, an SVG next to it. Ctrl-C ends after the step under way and saves: --resume goes on to the same weights, bit for bit, " +
        "with as many threads.",
    )
    .argument(
      "<model>",
      "a network that takes gray images and gives a number for each class; they are named below",
    )
    .option(
      "--data <folder>",
      "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, each with .gz or not (default: the digits)",
    )
    .addOption(
      new Option(
        "--epochs <n>",
        "total number of epochs, resumed ones included (default: 10)",
      ).argParser(whole(1)),
    )
    .addOption(new Option("--batch <n>", "images in a step (default: 64)").argParser(whole(1)))
    .addOption(
      new Option("--optimizer <name>", "sgd has momentum 0.9, Nesterov's (default: adam)").choices(
        Object.keys(optimizers),
      ),
    )
    .addOption(
      new Option("--lr <number>", `highest learning rate (default: ${rates})`).argParser(positive),
    )
    .addOption(
      new Option(
        "--schedule <name>",
        "decay takes a fifth away each epoch (default: decay)",
      ).choices(schedules),
    )
    .addOption(
      new Option(
        "--warmup <n>",
        "updates in which the learning rate rises to its first value (default: 0)",
      ).argParser(whole(0)),
    )
    .addOption(
      new Option(
        "--weight-decay <number>",
        "decay of the weights; decoupled with adamw, lion and lamb (default: 0)",
      ).argParser(atLeast0),
    )
    .option(
      "--augment <list>",
      `change images at random while training: ${augmentationNames.join(", ")}, each with an amount if wanted, as shift:2,rotate:10,flip`,
    )
    .addOption(
      new Option(
        "--label-smoothing <number>",
        "share of each label given to all classes (default: 0)",
      ).argParser(fraction),
    )
    .addOption(
      new Option(
        "--clip <number>",
        "largest length of all gradients together (default: none)",
      ).argParser(positive),
    )
    .addOption(
      new Option("--accumulate <n>", "batches to an update (default: 1)").argParser(whole(1)),
    )
    .addOption(
      new Option(
        "--average <number>",
        "test and use a moving average of the weights with this decay, as 0.999",
      ).argParser(fraction),
    )
    .addOption(
      new Option("--patience <n>", "end after n epochs without a lower held-out loss").argParser(
        whole(1),
      ),
    )
    .addOption(
      new Option(
        "--seed <n>",
        "decides first weights, order and augmentation (default: 0)",
      ).argParser(whole(0)),
    )
    .addOption(
      new Option("--limit <n>", "train on the first n images only (default: all)").argParser(
        whole(1),
      ),
    )
    .addOption(deviceOption())
    .addOption(precisionOption())
    .addOption(threadsOption())
    .option(
      "--out <file>",
      "where to save the model after each epoch (default: <model>.safetensors, or the resumed file)",
    )
    .option("--best <file>", "where to save the model with the lowest held-out loss, too")
    .option("--resume <file>", "go on from this file, with its options")
    .option("--force", "replace a model that is there already, or that was trained otherwise")
    .option("--json", "print one JSON document and nothing else")
    .addHelpText("after", () => `\nNetworks: ${classifierNames().join(", ")}`)
    .addHelpText(
      "after",
      `
Examples:
  $ conv train lenet5
    LeNet-5 on the digits as they come: 98.3 % of those held out after ten epochs. Ten more, from where it was, are
    conv train lenet5 --resume lenet5.safetensors --epochs 20

  $ conv train lenet5 --epochs 30 --schedule one-cycle --augment shift:2,rotate:10,scale:0.1
    Every digit a little different each time, at a rate that rises and falls to nothing: 99.2 %.

  $ conv train resnet8 --data /usr/share/datasets/fashion-mnist --epochs 12 --optimizer adamw --lr 0.01 --schedule one-cycle --weight-decay 0.01 --augment flip,crop:1
    A residual network on 60,000 pictures of clothes, from the folder that Debian's dataset-fashion-mnist installs: 93.0 % of 10,000 others.`,
    )
    .action(async (...args) => (await import("./commands/train.ts")).train(args[0], args[1]));

  program
    .command("predict")
    .summary("say which digits are on PNG or JPEG images")
    .description(
      "Say which digits are on PNG or JPEG images of any size, dark on light or light on dark. Each is fitted into 20×20 and centered in 28×28 by its mass, as the digits of MNIST are.",
    )
    .argument("<file>", "a model that conv train has written")
    .argument("<image...>", "PNG or JPEG files, one digit each")
    .addOption(deviceOption())
    .addOption(precisionOption())
    .option("--json", "print one JSON document and nothing else")
    .addHelpText(
      "after",
      `
Examples:
  $ conv predict lenet5.safetensors seven.png
  $ conv predict lenet5.safetensors scans/*.jpg --json`,
    )
    .action(async (...args) =>
      (await import("./commands/predict.ts")).predict(args[0], args[1], args[2]),
    );

  addCostCommands(program);

  program
    .command("explain")
    .summary("say which kernels can do a convolution, and why one is chosen")
    .description(
      "Print all kernels that can do a convolution, what each is predicted to take and of what that is the sum, which one is chosen and why, " +
        "and why the others decline. Any number of spatial axes.",
    )
    .addArgument(
      new Argument("<input>", "channels and sizes of the input, as 64x56x56").argParser(shape),
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
    .addOption(paddingOption().default(0))
    .addOption(
      new Option("--dilation <n>", "distance between taps").argParser(perAxis(1)).default(1),
    )
    .addOption(new Option("--groups <n>", "groups of channels").argParser(whole(1)).default(1))
    .addOption(new Option("--batch <n>", "samples at once").argParser(whole(1)).default(1))
    .addOption(
      new Option("--direction <name>", "what to compute")
        .choices(["forward", "gradInput", "gradWeight"])
        .default("forward"),
    )
    .addOption(threadsOption())
    .option("--simd256", "explain the code for pairs of vectors", false)
    .option("--measure", "run each kernel, too", false)
    .option("--json", "print one JSON document and nothing else", false)
    .addHelpText(
      "after",
      `
Examples:
  $ conv explain 64x56x56 3x3 64 --padding same
  $ conv explain 32x112x112 3 32 --groups 32 --padding 1 --measure
  $ conv explain 512x7x7 3 512 --padding 1 --direction gradWeight --simd256 --json`,
    )
    .action(async (...args) =>
      (await import("./commands/explain.ts")).explainConv(args[0], args[1], args[2], args[3]),
    );

  program
    .command("soak")
    .summary("train a tiny network for many steps and watch the memory")
    .description(
      "Train a tiny network for many steps, print the memory that objects, buffers, process and back end take on the way, and by how much it grew.",
    )
    .addOption(new Option("--steps <n>", "training steps").argParser(whole(1)).default(100_000))
    .addOption(deviceOption())
    .addOption(precisionOption())
    .addOption(threadsOption())
    .option("--json", "print one JSON document and nothing else", false)
    .addHelpText(
      "after",
      `
Examples:
  $ conv soak
  $ conv soak --steps 1000000 --threads 1 --json`,
    )
    .action(async (...args) => (await import("./commands/soak.ts")).soak(args[0]));

  return program;
}
