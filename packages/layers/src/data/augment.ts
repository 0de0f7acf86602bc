// Data augmentation: random changes of training samples. Each function takes a sample and a random
// number generator, and returns a sample of the same shape. The generator is seeded with seed,
// epoch and index of the sample, so that a resumed training is bit-identical.

import { checkOptions, formatShape, message, rangeError, shapeError, sizeOf } from "@conv/tensor";
import { mustBe } from "../checks.ts";
import { knownLabels, withLabels, type Dataset } from "./data.ts";
import { createRandom, type Random } from "./random.ts";

/** Returns a changed sample of the same shape (c, h, w). It must not write to its argument. */
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
 * A data set whose samples are augmented in training, not in evaluation. Throws ShapeError unless
 * samples are (c, h, w), and for targets that are images, such as masks, which would have to change
 * with the sample. In training, throws ShapeError if the augmentation returns another number of
 * values.
 */
export function augmented(data: Dataset, augmentation: Augmentation): Dataset {
  const { sample: shape, target } = data;
  if (shape.length !== 3)
    throw shapeError(
      "augmented",
      "sample-rank",
      message`samples have shape ${{ shape: formatShape(shape) }}, must have three axes: channels, height and width`,
    );
  if (target && target.shape.length > 1)
    throw shapeError(
      "augmented",
      "target-is-image",
      message`targets have shape ${{ shape: formatShape(target.shape) }}, but only samples are augmented; write a Dataset whose method batch changes both`,
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

/** A whole number from −by to by, uniformly distributed. */
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
  /** Value of pixels outside of the sample. Default: 0. */
  readonly fill?: number | undefined;
}

/**
 * Shifts the sample by at most `by` pixels, vertically and horizontally. Throws RangeError unless
 * `by` is a whole number ≥ 0.
 */
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
 * Pads all sides with `padding` reflected pixels and crops to the original size at a random
 * position. Throws RangeError unless `padding` is a whole number ≥ 0; when applied, throws
 * ShapeError unless it is less than height and width.
 */
export function crop(options: { readonly padding: number }): Augmentation {
  checkOptions("crop", options, "padding");
  const { padding } = options;
  mustBe("a whole number ≥ 0", "crop", { padding });
  // Reflection without repeating the border: −1 → 1, size → size − 2.
  const mirrored = (at: number, size: number) =>
    at < 0 ? -at : at >= size ? 2 * size - 2 - at : at;
  return (sample, shape, random) => {
    const [, h, w] = shape;
    if (padding >= Math.min(h, w))
      throw shapeError(
        "crop",
        "padding",
        message`padding ${{ padding }} must be less than height and width of the sample, ${{ height: h }}×${{ width: w }}`,
      );
    const [dy, dx] = [step(random, padding), step(random, padding)];
    return build(
      shape,
      (c, i, j) => sample[(c * h + mirrored(i - dy, h)) * w + mirrored(j - dx, w)],
    );
  };
}

/**
 * Mirrors the sample along `axis` (default "width") with probability p (default 0.5). Throws
 * RangeError for options out of range.
 */
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
  /** Largest rotation in degrees, in both directions. Default: 0. */
  readonly degrees?: number | undefined;
  /** The factor of scaling is between 1/(1 + scale) and 1 + scale, for each axis. Default: 0. */
  readonly scale?: number | undefined;
  /** Largest horizontal shear in pixels per row, in both directions. Default: 0. */
  readonly shear?: number | undefined;
}

/**
 * Shears, rotates and scales the sample about its center, with bilinear interpolation. Throws
 * RangeError for options out of range.
 */
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
    // Maps a position in the result to a position in the sample: the inverse of shear, rotation and
    // scaling.
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
 * With probability p (default 1) sets a square of size×size pixels around a random pixel to `fill`
 * (default 0), in all channels (DeVries and Taylor 2017). Throws RangeError for options out of
 * range.
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
