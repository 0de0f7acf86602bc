// From bytes of 28×28 to what a network takes: a margin of paper where its input is larger, and its own values for paper and ink.

import { arrayDataset, type Dataset, type Model } from "@conv/layers";
import { formatShape } from "@conv/tensor";
import { DIGIT_PIXELS } from "./digits.ts";
import { UserError } from "./errors.ts";

const SIDE = 28;

/** Values of paper and ink: 0 and 1, except where a paper chose others. In 1998 the mean of a digit was to be 0, its variance 1. */
const ranges: Readonly<Record<string, { readonly paper: number; readonly ink: number }>> = { lenet5_1998: { paper: -0.1, ink: 1.175 } };

/** Images (count × 784 bytes, 0 paper to 255 ink) as samples of the model. Throws UserError where it does not take gray images of at least 28×28. */
export function samplesOf(model: Model, images: Uint8Array, labels: Uint8Array): Dataset {
  const [channels, height, width] = model.input;
  if (model.input.length !== 3 || channels !== 1 || height < SIDE || width < SIDE)
    throw new UserError(`${model.name} takes ${formatShape(model.input)}, digits are ${formatShape([1, SIDE, SIDE])}`);
  const { paper, ink } = ranges[model.name] ?? { paper: 0, ink: 1 };
  const x = new Uint8Array(labels.length * height * width);
  const margin = Math.floor((height - SIDE) / 2) * width + Math.floor((width - SIDE) / 2);
  for (let n = 0; n < labels.length; n++)
    for (let row = 0; row < SIDE; row++) {
      const from = n * DIGIT_PIXELS + row * SIDE;
      x.set(images.subarray(from, from + SIDE), n * height * width + margin + row * width);
    }
  return arrayDataset({ x, y: labels, sample: model.input, scale: (ink - paper) / 255, shift: paper });
}
