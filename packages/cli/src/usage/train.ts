// The options of `conv train`.

import { optimizers } from "@conv/layers";
import { Option, type Command } from "commander";
import {
  atLeast0,
  deviceOption,
  fraction,
  JSON_HELP,
  positive,
  precisionOption,
  threadsOption,
  whole,
} from "../arguments.ts";
import { classifierNames } from "../model.ts";
import { augmentationNames, schedules } from "../recipe.ts";

/** `n` is a whole number ≥ `least`. */
const count = (flags: string, least: number, text: string) =>
  new Option(flags, text).argParser(whole(least));

const rates = Object.entries(optimizers)
  .map(([name, { lr }]) => `${lr} for ${name}`)
  .join(", ");

/** What is trained on, and for how long. */
const dataOptions = (): Option[] => [
  new Option(
    "--data <folder>",
    "folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and " +
      "t10k-labels-idx1-ubyte, each with or without .gz (default: the MNIST digits)",
  ),
  count("--epochs <n>", 1, "total number of epochs, including resumed ones (default: 10)"),
  count("--batch <n>", 1, "images per batch (default: 64)"),
];

const optimizerOptions = (): Option[] => [
  new Option(
    "--optimizer <name>",
    "optimizer; sgd has Nesterov momentum 0.9 (default: adam)",
  ).choices(Object.keys(optimizers)),
  new Option("--lr <number>", `highest learning rate (default: ${rates})`).argParser(positive),
  new Option(
    "--schedule <name>",
    "learning-rate schedule; decay multiplies by 0.8 after each epoch (default: decay)",
  ).choices(schedules),
  count(
    "--warmup <n>",
    0,
    "steps over which the learning rate rises to its first value (default: 0)",
  ),
  new Option(
    "--weight-decay <number>",
    "weight decay; decoupled with adamw, lion and lamb (default: 0)",
  ).argParser(atLeast0),
  new Option(
    "--augment <list>",
    `random changes of the training images: ${augmentationNames.join(", ")}, each with an ` +
      "optional amount, such as shift:2,rotate:10,flip",
  ),
  new Option(
    "--label-smoothing <number>",
    "share of each label that is spread over all classes (default: 0)",
  ).argParser(fraction),
  new Option("--clip <number>", "largest norm of all gradients together (default: none)").argParser(
    positive,
  ),
  count("--accumulate <n>", 1, "batches per step (default: 1)"),
  new Option(
    "--average <number>",
    "validate and predict with a moving average of the weights with this decay, such as 0.999",
  ).argParser(fraction),
  count("--patience <n>", 1, "stop after n epochs without a lower validation loss"),
  count("--seed <n>", 0, "seed of the initial weights, order and augmentation (default: 0)"),
  count("--limit <n>", 1, "train on the first n images only (default: all)"),
];

const fileOptions = (): Option[] => [
  new Option(
    "--out <file>",
    "file for the model, saved after each epoch " +
      "(default: <model>.safetensors, or the resumed file)",
  ),
  new Option("--best <file>", "file for the model with the lowest validation loss as well"),
  new Option("--resume <file>", "continue from this file, with its options"),
  new Option("--force", "replace a model that exists, or that was trained otherwise"),
  new Option("--json", JSON_HELP),
];

const EXAMPLES = `
Examples:
  $ conv train lenet5
    LeNet-5 on the digits: validation accuracy 98.3 % after ten epochs. Ten more epochs:
    conv train lenet5 --resume lenet5.safetensors --epochs 20

  $ conv train lenet5 --epochs 30 --schedule one-cycle --augment shift:2,rotate:10,scale:0.1
    With augmentation, and a learning rate that rises and then falls to zero: 99.2 %.

  $ conv train resnet8 --data /usr/share/datasets/fashion-mnist --epochs 12 --optimizer adamw --lr 0.01 --schedule one-cycle --weight-decay 0.01 --augment flip,crop:1
    A residual network on 60,000 images of clothes, from Debian's package dataset-fashion-mnist:
    93.0 % on 10,000 others.`;

export function addTrain(program: Command): void {
  const command = program
    .command("train")
    .summary("train a network on handwritten digits, or on IDX files")
    .description(
      "Train a network on 8,000 handwritten digits (MNIST) and validate it on 2,000 others, or " +
        "use gray images in IDX files. Writes the model, and its learning curve as SVG next to " +
        "it. Ctrl-C stops after the current step and saves; --resume then gives the same weights " +
        "as an uninterrupted training, bit for bit, with the same number of threads.",
    )
    .argument("<model>", "a classifier of gray images; the names are below");
  for (const option of [...dataOptions(), ...optimizerOptions()]) command.addOption(option);
  command.addOption(deviceOption()).addOption(precisionOption()).addOption(threadsOption());
  for (const option of fileOptions()) command.addOption(option);
  command
    .addHelpText("after", () => `\nNetworks: ${classifierNames().join(", ")}`)
    .addHelpText("after", EXAMPLES)
    .action(async (...args) => (await import("../commands/train.ts")).train(args[0], args[1]));
}
