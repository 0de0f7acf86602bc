// The data behind every accuracy that is quoted: counts, exact bytes and the split, which must
// never move.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { describe, expect, it } from "vitest";
import { DIGIT_PIXELS, loadDigits } from "../src/digits.ts";

const digits = loadDigits();
const count = (indices: Iterable<number>) => {
  const counts = new Array<number>(10).fill(0);
  for (const i of indices) counts[digits.labels[i]]++;
  return counts;
};
const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex").slice(0, 16);

describe("digits", { timeout: 60_000 }, () => {
  it("holds 10,000 images, counted by class", () => {
    expect(digits.images.length).toBe(10_000 * DIGIT_PIXELS);
    expect(count(digits.labels.keys())).toEqual([
      1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978,
    ]);
  });

  it("recovers the bytes exactly: each, divided by 255 and rounded to three decimals, is what the package says", () => {
    const require = createRequire(import.meta.url);
    let at = 0;
    let wrong = 0;
    for (let digit = 0; digit < 10; digit++) {
      const { data }: { data: number[] } = JSON.parse(
        readFileSync(require.resolve(`mnist/src/digits/${digit}.json`), "utf8"),
      );
      for (const value of data)
        if (Math.round((digits.images[at++] / 255) * 1000) / 1000 !== value) wrong++;
    }
    expect({ at, wrong, values: new Set(digits.images).size }).toEqual({
      at: digits.images.length,
      wrong: 0,
      values: 256,
    });
  });

  it("splits into 8,000 and 2,000 that share no digit", () => {
    expect([digits.train.length, digits.test.length]).toEqual([8000, 2000]);
    expect(new Set([...digits.train, ...digits.test]).size).toBe(10_000);
    expect(Math.max(...digits.train, ...digits.test)).toBe(9999);
  });

  it("never moves the split", () => {
    expect(count(digits.test)).toEqual([218, 216, 188, 200, 220, 180, 206, 224, 176, 172]);
    expect(sha256(digits.images)).toBe("0768d16c5adea568");
    expect(sha256(new Uint8Array(digits.test.buffer))).toBe("82d1a0f3f210ee8b");
  });
});
