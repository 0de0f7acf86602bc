// Augmentation: random changes of samples at each use. Each function takes a sample and a stream of
// random numbers and returns a sample of the same shape. The stream is drawn from seed, epoch and
// sample, so that a resumed training is bit-identical.

import { checkOptions, formatShape, message, rangeError, shapeError, sizeOf } from "@conv/tensor";
import { mustBe } from "../checks.ts";
import { knownLabels, withLabels, type Dataset } from "./data.ts";
import { createRandom, type Random } from "./random.ts";

/** Makes another sample of shape (c, h, w); must not write to the one given. */
export type Augmentation = (
  sample: Float32Array,
  shape: readonly number[],
  random: Random,
) => Float32Array;

/** Several augmentations in sequence. */
export const augmentAll =
  (...parts: readonly Augmentation[]): Augmentation =>
  (sample, shape, random) =>
    parts.reduce((value, part) => part(value, shape, random), sample);

/**
 * The data set with samples changed in training, not in evaluation. Throws ShapeError for targets
 * with the shape of an image, such as masks, which would have to change with it; and in training
 * where an augmentation does not return as many numbers.
 */
export function augmented(data: Dataset, augmentation: Augmentation): Dataset {
  const { sample: shape, target } = data;
  if (shape.length !== 3)
    throw shapeError(
      "augmented",
      "sample-rank",
      message`samples have shape ${{ shape: formatShape(shape) }}, need channels, height and width`,
    );
  if (target && target.shape.length > 1)
    throw shapeError(
      "augmented",
      "target-is-image",
      message`targets have shape ${{ shape: formatShape(target.shape) }} and would not move with the image; write a Dataset whose batch changes both`,
    );
  const size = sizeOf(shape);
  const change = (sample: Float32Array, key: string): Float32Array => {
    const changed: unknown = augmentation(sample, shape, createRandom(key));
    if (!(changed instanceof Float32Array) || changed.length !== size)
      throw shapeError(
        "augmented",
        "augmentation-result",
        message`the augmentation returned ${{ returned: changed instanceof Float32Array ? `${changed.length} values` : typeof changed }}, must return a Float32Array of ${{ size }}`,
      );
    return changed;
  };
  const changing: Dataset = {
    ...data,
    batch(indices, key) {
      const { x, y } = data.batch(indices, key);
      if (key === undefined) return { x, y };
      const out = new Float32Array(x.length);
      indices.forEach((index, i) => {
        out.set(change(x.subarray(i * size, (i + 1) * size), `${key} ${index}`), i * size);
      });
      return { x: out, y };
    },
  };
  return withLabels(changing, knownLabels(data));
}

/** A whole number from −by to by, each as likely. */
const step = (random: Random, by: number): number =>
  Math.floor(random.uniform() * (2 * by + 1)) - by;

/** y[c, i, j] = at(c, i, j). */
function build(
  [c, h, w]: readonly number[],
  at: (channel: number, row: number, column: number) => number,
): Float32Array {
  const out = new Float32Array(c * h * w);
  let k = 0;
  for (let channel = 0; channel < c; channel++)
    for (let row = 0; row < h; row++)
      for (let column = 0; column < w; column++) out[k++] = at(channel, row, column);
  return out;
}

export interface Fill {
  /** Value outside of the sample. */
  readonly fill?: number | undefined;
}

/** Moves the sample by up to `by` pixels up or down and left or right. */
export function shift(options: Fill & { readonly by: number }): Augmentation {
  checkOptions("shift", options, "by fill");
  const { by, fill = 0 } = options;
  mustBe("a whole number ≥ 0", "shift", { by });
  return (sample, shape, random) => {
    const [, h, w] = shape;
    const [dy, dx] = [step(random, by), step(random, by)];
    return build(shape, (c, i, j) => {
      const [row, column] = [i - dy, j - dx];
      return row >= 0 && row < h && column >= 0 && column < w
        ? sample[(c * h + row) * w + column]
        : fill;
    });
  };
}

/**
 * Adds `padding` reflected pixels on all sides, and takes a window of the original size at a random
 * position.
 */
export function crop(options: { readonly padding: number }): Augmentation {
  checkOptions("crop", options, "padding");
  const { padding } = options;
  mustBe("a whole number ≥ 0", "crop", { padding });
  // −1 is 1, and h is h − 2: the border is not doubled.
  const mirrored = (at: number, size: number) =>
    at < 0 ? -at : at >= size ? 2 * size - 2 - at : at;
  return (sample, shape, random) => {
    const [, h, w] = shape;
    if (padding >= Math.min(h, w))
      throw shapeError(
        "crop",
        "padding",
        message`padding ${{ padding }} is not less than the sample's ${{ height: h }}×${{ width: w }}`,
      );
    const [dy, dx] = [step(random, padding), step(random, padding)];
    return build(
      shape,
      (c, i, j) => sample[(c * h + mirrored(i - dy, h)) * w + mirrored(j - dx, w)],
    );
  };
}

/** Mirrors the sample, left and right or up and down, with probability p. */
export function flip(
  options: { readonly axis?: "height" | "width" | undefined; readonly p?: number | undefined } = {},
): Augmentation {
  checkOptions("flip", options, "axis p");
  const { axis = "width", p = 0.5 } = options;
  if (axis !== "width" && axis !== "height")
    throw rangeError(
      "flip",
      "axis",
      message`axis ${{ axis: JSON.stringify(axis) }} is neither "width" nor "height"`,
    );
  mustBe("in [0, 1]", "flip", { p });
  return (sample, shape, random) => {
    if (random.uniform() >= p) return sample;
    const [, h, w] = shape;
    return build(shape, (c, i, j) =>
      axis === "width"
        ? sample[(c * h + i) * w + (w - 1 - j)]
        : sample[(c * h + (h - 1 - i)) * w + j],
    );
  };
}

export interface WarpOptions extends Fill {
  /** Largest rotation in degrees, in both directions. */
  readonly degrees?: number | undefined;
  /** Scaling by a factor from 1/(1 + scale) to 1 + scale. */
  readonly scale?: number | undefined;
  /** Largest shear in pixels a pixel, in both directions. */
  readonly shear?: number | undefined;
}

/** Shears, rotates and scales the sample about its center, with bilinear interpolation. */
export function warp(options: WarpOptions): Augmentation {
  checkOptions("warp", options, "degrees scale shear fill");
  const { degrees = 0, scale = 0, shear = 0, fill = 0 } = options;
  mustBe("a finite number ≥ 0", "warp", { degrees, scale, shear });
  return (sample, shape, random) => {
    const [, h, w] = shape;
    const between = () => 2 * random.uniform() - 1;
    const angle = (between() * degrees * Math.PI) / 180;
    const [sy, sx] = [(1 + scale) ** between(), (1 + scale) ** between()];
    const slant = between() * shear;
    // From a place in the result to the place in the sample that it shows: the inverse of slanting,
    // turning, stretching.
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    const [yy, yx] = [cos / sy, sin / sx];
    const [xy, xx] = [-sin / sy - slant * yy, cos / sx - slant * yx];
    const [cy, cx] = [(h - 1) / 2, (w - 1) / 2];
    const known = (c: number, row: number, column: number) =>
      row >= 0 && row < h && column >= 0 && column < w ? sample[(c * h + row) * w + column] : fill;
    return build(shape, (c, i, j) => {
      const y = cy + yy * (i - cy) + yx * (j - cx);
      const x = cx + xy * (i - cy) + xx * (j - cx);
      const [row, column] = [Math.floor(y), Math.floor(x)];
      const [fy, fx] = [y - row, x - column];
      const above = known(c, row, column) * (1 - fx) + known(c, row, column + 1) * fx;
      const below = known(c, row + 1, column) * (1 - fx) + known(c, row + 1, column + 1) * fx;
      return above * (1 - fy) + below * fy;
    });
  };
}

/** Rotates the sample about its center by at most `degrees`, in both directions. */
export function rotate(options: Fill & { readonly degrees: number }): Augmentation {
  checkOptions("rotate", options, "degrees fill");
  return warp(options);
}

/**
 * With probability p fills a square of size×size around a random pixel, in all channels (DeVries
 * and Taylor 2017).
 */
export function cutOut(
  options: Fill & { readonly size: number; readonly p?: number | undefined },
): Augmentation {
  checkOptions("cutOut", options, "size p fill");
  const { size, p = 1, fill = 0 } = options;
  mustBe("a whole number ≥ 0", "cutOut", { size });
  mustBe("in [0, 1]", "cutOut", { p });
  return (sample, shape, random) => {
    if (random.uniform() >= p) return sample;
    const [, h, w] = shape;
    const top = Math.floor(random.uniform() * h) - (size >> 1);
    const left = Math.floor(random.uniform() * w) - (size >> 1);
    return build(shape, (c, i, j) =>
      i >= top && i < top + size && j >= left && j < left + size
        ? fill
        : sample[(c * h + i) * w + j],
    );
  };
}
