// Gray images as samples of a network: with a margin where its input is larger, and with its values
// for paper and ink.

import { arrayDataset, type Dataset, type Model } from "@conv/layers";
import { formatShape } from "@conv/tensor";
import { UserError } from "./errors.ts";

const SIDE = 28;
const SMALLEST = 0.75; // of the network's input: 28 of 32 is LeCun's margin, 8 of 28 is a mistake

/**
 * Values of paper and ink: 0 and 1 except where a publication uses others. In 1998 they were chosen
 * so that digits have mean 0 and variance 1.
 */
const ranges: Readonly<Record<string, { readonly paper: number; readonly ink: number }>> = {
  lenet5_1998: { paper: -0.1, ink: 1.175 },
};

/** The inputs of the network for 0 and for 255. */
export const rangeOf = (model: Model): { readonly paper: number; readonly ink: number } =>
  ranges[model.name] ?? { paper: 0, ink: 1 };

/**
 * Throws UserError where the network does not take gray images of that size. An image may be a
 * little smaller; it gets a margin of paper.
 */
export function mustTake(model: Model, size: readonly [number, number]): void {
  const [channels, ...sides] = model.input;
  const fits = size.every((side, axis) => side <= sides[axis] && side >= SMALLEST * sides[axis]);
  if (model.input.length !== 3 || channels !== 1 || !fits)
    throw new UserError(
      `${model.name} takes ${formatShape(model.input)}, but the images are ${formatShape([1, ...size])}; their sides must be three quarters of that to all of it`,
    );
}

/**
 * Images (count × height·width bytes, 0 paper to 255 ink) as samples of the model. Throws UserError
 * where it does not take them.
 */
export function samplesOf(
  model: Model,
  images: Uint8Array,
  labels: Uint8Array,
  size: readonly [number, number] = [SIDE, SIDE],
): Dataset {
  mustTake(model, size);
  const [, height, width] = model.input;
  const [rows, columns] = size;
  const { paper, ink } = rangeOf(model);
  const x = new Uint8Array(labels.length * height * width);
  const margin = Math.floor((height - rows) / 2) * width + Math.floor((width - columns) / 2);
  for (let n = 0; n < labels.length; n++)
    for (let row = 0; row < rows; row++) {
      const from = (n * rows + row) * columns;
      x.set(images.subarray(from, from + columns), n * height * width + margin + row * width);
    }
  return arrayDataset({
    x,
    y: labels,
    sample: model.input,
    scale: (ink - paper) / 255,
    shift: paper,
  });
}
