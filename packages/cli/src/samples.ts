// Gray images as samples of a network: with a margin where its input is larger, and with its values
// for paper and ink.

import { arrayDataset, type Dataset, type Model } from "@conv/layers";
import { formatShape } from "@conv/tensor";
import { UserError } from "./errors.ts";

const SIDE = 28;
const SMALLEST = 0.75; // of the network's input: 28 of 32 is LeCun's margin, 8 of 28 is a mistake

/** Input values of the network where an image has 0 (background), and where it has 255. */
export const rangeOf = ({ range = [0, 1] }: Model): readonly [number, number] => range;

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
  const [background, foreground] = rangeOf(model);
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
    scale: (foreground - background) / 255,
    shift: background,
  });
}
