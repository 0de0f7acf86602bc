// The digits as a file, and as data sets for the trainer.

import { arrayDataset, type Dataset } from "@conv/layers";
import { fileError, message } from "@conv/tensor";
import { fetched } from "../failure.ts";

export const SIDE = 28;
export const PIXELS = SIDE * SIDE;
const FILE = "digits.bin";
const HEAD = 8;
const LEVELS = 15; // the largest value of a pixel

/** Bytes of `count` digits once inflated: two counts, half a byte a pixel, a byte a label. */
export const packedSize = (count: number): number => HEAD + count * (PIXELS / 2 + 1);

/** Digits 0 … trainCount − 1 are the training set, the others the test set. */
export interface PackedDigits {
  readonly count: number;
  readonly trainCount: number;
  /** Pixels of one digit: 0 background to 15 ink. */
  levels(index: number): Uint8Array;
  label(index: number): number;
}

/**
 * Reads what `packDigits` wrote. Throws Error where the size is not that of the digits it
 * announces.
 */
export function unpackDigits(bytes: Uint8Array): PackedDigits {
  const [count, trainCount] = new Uint32Array(bytes.slice(0, HEAD).buffer);
  if (bytes.length !== packedSize(count))
    throw fileError(
      FILE,
      "wrong-size",
      message`${{ bytes: bytes.length }} bytes, but ${{ count }} digits take ${{ expected: packedSize(count) }}`,
    );
  return {
    count,
    trainCount,
    levels(index) {
      const levels = new Uint8Array(PIXELS);
      for (let p = 0, at = HEAD + index * (PIXELS / 2); p < PIXELS; at++) {
        levels[p++] = bytes[at] & LEVELS;
        levels[p++] = bytes[at] >> 4;
      }
      return levels;
    },
    label: (index) => bytes[HEAD + count * (PIXELS / 2) + index],
  };
}

/** Levels as intensities, 0 to 1. */
export const intensities = (levels: Uint8Array): Float32Array =>
  Float32Array.from(levels, (v) => v / LEVELS);

/** Fetches the digits from a folder and inflates them. */
export async function fetchDigits(folder: string): Promise<PackedDigits> {
  const packed = await fetched(FILE, folder);
  const inflated = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const bytes = await new Response(inflated).arrayBuffer().catch(() => {
    throw fileError(FILE, "damaged", message`is not deflated data`);
  });
  return unpackDigits(new Uint8Array(bytes));
}

/**
 * The input of a model for 28×28 pixels of 0 to 1: padded to its size, scaled to its background and
 * foreground.
 */
export interface View {
  readonly input: readonly number[];
  readonly background: number;
  readonly foreground: number;
}

/** The input of the network for a digit. */
export function prepare(
  pixels: Float32Array,
  { input: [, h, w], background, foreground }: View,
): Float32Array {
  const [top, left] = [(h - SIDE) >> 1, (w - SIDE) >> 1];
  const out = new Float32Array(h * w).fill(background);
  for (let p = 0; p < PIXELS; p++)
    out[(Math.floor(p / SIDE) + top) * w + (p % SIDE) + left] =
      background + pixels[p] * (foreground - background);
  return out;
}

/** A range of digits as a data set: bytes in memory, converted to floats by batch. */
export function digitDataset(
  digits: PackedDigits,
  { input, background, foreground }: View,
  first: number,
  count: number,
): Dataset {
  const [, h, w] = input;
  const [top, left] = [(h - SIDE) >> 1, (w - SIDE) >> 1];
  const x = new Uint8Array(count * h * w);
  for (let i = 0; i < count; i++) {
    const levels = digits.levels(first + i);
    for (let row = 0; row < SIDE; row++) {
      const start = (i * h + row + top) * w + left;
      for (let column = 0; column < SIDE; column++) x[start + column] = levels[row * SIDE + column];
    }
  }
  const y = Uint8Array.from({ length: count }, (_, i) => digits.label(first + i));
  return arrayDataset({
    x,
    y,
    sample: input,
    scale: (foreground - background) / LEVELS,
    shift: background,
  });
}
