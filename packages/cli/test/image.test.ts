// Pictures of digits become what MNIST made of them: from real validation digits, drawn as people
// would send them.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp, { type Sharp } from "sharp";
import { describe, expect, it } from "vitest";
import { DIGIT_PIXELS, loadDigits } from "../src/digits.ts";
import { readDigit } from "../src/image.ts";
import { folder } from "./run.ts";

const { images, test } = loadDigits();
const some = [...test.subarray(0, 40)];
const original = (index: number) =>
  images.subarray(index * DIGIT_PIXELS, (index + 1) * DIGIT_PIXELS);

/** The largest and the mean difference between what is read of a picture and the original digit. */
async function differences(
  draw: (digit: Sharp, index: number) => Sharp,
  ending: string,
): Promise<{ largest: number; mean: number }> {
  const all: number[] = [];
  for (const index of some) {
    const file = join(cwd, `${index}.${ending}`);
    await writeFile(
      file,
      await draw(
        sharp(original(index), { raw: { width: 28, height: 28, channels: 1 } }),
        index,
      ).toBuffer(),
    );
    const read = await readDigit(file);
    original(index).forEach((v, i) => all.push(Math.abs(v - read[i])));
  }
  return { largest: Math.max(...all), mean: all.reduce((a, b) => a + b, 0) / all.length };
}

const cwd = folder();

const black = "#000";
const pictures: Record<string, [(digit: Sharp) => Sharp, string]> = {
  "as it is": [(d) => d.png(), "png"],
  "dark on light": [(d) => d.negate().png(), "png"],
  "off center on a larger page": [
    (d) => d.extend({ top: 3, left: 60, right: 17, bottom: 40, background: black }).png(),
    "png",
  ],
  "in color, interlaced, with 16 bits": [
    (d) => d.toColourspace("rgb16").png({ progressive: true }),
    "png",
  ],
};

describe(
  "a digit is read back, but for the faintest tenth at its edges",
  { timeout: 60_000 },
  () => {
    it.for(Object.entries(pictures))("%s", async ([, [draw, ending]]) => {
      const { largest, mean } = await differences(draw, ending);
      expect(largest).toBeLessThanOrEqual(25);
      expect(mean).toBeLessThan(0.2);
    });
    it("on a transparent page", async () => {
      const draw = (index: number) => {
        const rgba = new Uint8Array(4 * DIGIT_PIXELS); // black, as opaque as there is ink
        original(index).forEach((v, i) => (rgba[4 * i + 3] = v));
        return sharp(rgba, { raw: { width: 28, height: 28, channels: 4 } }).png();
      };
      expect((await differences((_, index) => draw(index), "png")).mean).toBeLessThan(0.2);
    });
  },
);

describe("a digit is read back nearly", { timeout: 60_000 }, () => {
  it("as a JPEG", async () => {
    expect((await differences((d) => d.jpeg({ quality: 90 }), "jpg")).mean).toBeLessThan(3);
  });
  it("enlarged 10 times, dark on gray, lying on its side by its EXIF orientation", async () => {
    const draw = (d: Sharp) =>
      d
        .resize(280, 280, { kernel: "linear" })
        .negate()
        .linear(0.6, 40)
        .rotate(90)
        .withMetadata({ orientation: 8 })
        .jpeg();
    expect((await differences(draw, "jpg")).mean).toBeLessThan(12);
  });
});
