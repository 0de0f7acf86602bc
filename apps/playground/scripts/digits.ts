// Packs the digits for the browser when the app is built or served: four bits a pixel, shuffled so
// that those to learn from come first, deflated. 7.8 MB of pixels become about one.

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import { DIGIT_PIXELS, loadDigits, type Digits } from "@conv/cli/digits";
import type { Plugin } from "vite";
import { packedSize } from "../src/digits/data.ts";

/**
 * Little-endian counts (all, to learn from), then pixels two a byte (first in the low half), then
 * labels; see `unpackDigits`.
 */
export function packDigits({ images, labels, train, test }: Digits): Uint8Array {
  const order = [...train, ...test];
  const bytes = new Uint8Array(packedSize(order.length));
  new Uint32Array(bytes.buffer, 0, 2).set([order.length, train.length]);
  let at = 8;
  for (const index of order)
    for (let p = index * DIGIT_PIXELS; p < (index + 1) * DIGIT_PIXELS; p += 2)
      bytes[at++] = Math.round(images[p] / 17) | (Math.round(images[p + 1] / 17) << 4);
  for (const index of order) bytes[at++] = labels[index];
  return bytes;
}

/** Writes `digits.bin` into the public folder, unless it is there. */
export const digitsPlugin = (): Plugin => ({
  name: "conv:digits",
  configResolved({ publicDir }) {
    const file = join(publicDir, "digits.bin");
    if (existsSync(file) && inflateRawSync(readFileSync(file)).length === packedSize(10_000))
      return;
    mkdirSync(publicDir, { recursive: true });
    // Under a name of its own first: another build may be at the same work.
    const staging = `${file}.${process.pid}`;
    writeFileSync(
      staging,
      deflateRawSync(packDigits(loadDigits()), { level: constants.Z_BEST_COMPRESSION }),
    );
    renameSync(staging, file);
  },
});
