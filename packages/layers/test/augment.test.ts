import { describe, expect, test } from "vitest";
import {
  arrayDataset,
  augmentAll,
  augmented,
  createRandom,
  crop,
  cutOut,
  flip,
  rotate,
  shift,
  subset,
  warp,
  type Augmentation,
} from "../src/index.ts";

const shape = [1, 3, 4];
const sample = Float32Array.from({ length: 12 }, (_, i) => i + 1);
const rows = (values: Float32Array) => [0, 1, 2].map((r) => [...values.subarray(4 * r, 4 * r + 4)]);
/** Everything that it makes of the sample in 300 draws. */
const draws = (augmentation: Augmentation) =>
  new Set(
    Array.from({ length: 300 }, (_, i) =>
      JSON.stringify(rows(augmentation(sample, shape, createRandom(`${i}`)))),
    ),
  );

test("shift moves by every amount and fills what comes in", () => {
  const seen = draws(shift({ by: 1, fill: -1 }));
  expect(seen.size).toBe(9);
  for (const wanted of [
    [
      [1, 2, 3, 4],
      [5, 6, 7, 8],
      [9, 10, 11, 12],
    ],
    [
      [-1, -1, -1, -1],
      [-1, 1, 2, 3],
      [-1, 5, 6, 7],
    ],
    [
      [6, 7, 8, -1],
      [10, 11, 12, -1],
      [-1, -1, -1, -1],
    ],
  ])
    expect(seen).toContain(JSON.stringify(wanted));
});

test("crop mirrors what comes in", () => {
  const seen = draws(crop({ padding: 1 }));
  expect(seen.size).toBe(9);
  expect(seen).toContain(
    JSON.stringify([
      [6, 5, 6, 7],
      [2, 1, 2, 3],
      [6, 5, 6, 7],
    ]),
  );
  expect(seen).toContain(
    JSON.stringify([
      [6, 7, 8, 7],
      [10, 11, 12, 11],
      [6, 7, 8, 7],
    ]),
  );
});

test("flip mirrors about half of the samples", () => {
  const flipped = [
    [4, 3, 2, 1],
    [8, 7, 6, 5],
    [12, 11, 10, 9],
  ];
  expect(draws(flip())).toEqual(new Set([JSON.stringify(rows(sample)), JSON.stringify(flipped)]));
  expect(draws(flip({ p: 1 }))).toEqual(new Set([JSON.stringify(flipped)]));
  expect(draws(flip({ axis: "height", p: 1 }))).toEqual(
    new Set([
      JSON.stringify([
        [9, 10, 11, 12],
        [5, 6, 7, 8],
        [1, 2, 3, 4],
      ]),
    ]),
  );
});

test("warping by nothing changes nothing, and turning keeps the center", () => {
  expect(draws(warp({}))).toEqual(new Set([JSON.stringify(rows(sample))]));
  const square = Float32Array.from({ length: 9 }, (_, i) => i);
  const turned = Array.from({ length: 50 }, (_, i) =>
    rotate({ degrees: 45 })(square, [1, 3, 3], createRandom(`${i}`)),
  );
  for (const values of turned) expect(values[4]).toBe(4);
  expect(new Set(turned.map((v) => v.join())).size).toBe(50);
  // An even slope stays one: what is above and below the center differ from it by as much.
  for (const values of turned) expect(values[1] + values[7]).toBeCloseTo(8, 5);
});

test("stretching is by equal factors either way", () => {
  const line = Float32Array.of(0, 0, 1, 0, 0);
  const widths = Array.from({ length: 200 }, (_, i) =>
    warp({ scale: 1 })(line, [1, 1, 5], createRandom(`${i}`)),
  ).map((v) => v.reduce((a, b) => a + b));
  expect(Math.min(...widths)).toBeGreaterThanOrEqual(0.5);
  expect(Math.max(...widths)).toBeLessThanOrEqual(2.001);
  expect(Math.max(...widths)).toBeGreaterThan(1.5);
});

test("cut out blots a square in all channels", () => {
  const two = Float32Array.from({ length: 2 * 16 }, () => 1);
  for (let i = 0; i < 50; i++) {
    const values = cutOut({ size: 2, fill: 0 })(two, [2, 4, 4], createRandom(`${i}`));
    expect([...values.subarray(0, 16)]).toEqual([...values.subarray(16)]);
    expect([1, 2, 4]).toContain(values.subarray(0, 16).filter((v) => v === 0).length);
  }
  expect(draws(cutOut({ size: 2, p: 0 })).size).toBe(1);
});

describe("an augmented data set", () => {
  const data = arrayDataset({
    x: Float32Array.from({ length: 60 }, (_, i) => i),
    y: [0, 1, 2, 3, 4],
    sample: shape,
  });
  const changed = augmented(data, augmentAll(shift({ by: 2 }), flip(), cutOut({ size: 1 })));
  test("gives each sample by key and index alone, in whatever batch", () => {
    const all = changed.batch([0, 1, 2, 3, 4], "key").x;
    expect([...changed.batch([3], "key").x]).toEqual([...all.subarray(36, 48)]);
    expect([...changed.batch([3], "other").x]).not.toEqual([...all.subarray(36, 48)]);
    expect([...subset(changed, [3, 1]).batch([0], "key").x]).toEqual([...all.subarray(36, 48)]);
  });
  test("and unchanged where there is no key", () => {
    expect(changed.batch([2, 0])).toEqual(data.batch([2, 0]));
  });
});

describe("errors", () => {
  test.each([
    [() => shift({ by: -1 }), "shift: by -1 is not a whole number ≥ 0"],
    [() => crop({ padding: 0.5 }), "crop: padding 0.5 is not a whole number ≥ 0"],
    [
      () => crop({ padding: 3 })(sample, shape, createRandom("")),
      "crop: padding 3 must be less than height and width of the sample, 3×4",
    ],
    [() => flip({ p: 2 }), "flip: p 2 is not in [0, 1]"],
    [() => warp({ shear: NaN }), "warp: shear NaN is not a finite number ≥ 0"],
    [() => cutOut({ size: -1 }), "cutOut: size -1 is not a whole number ≥ 0"],
    [
      () => augmented(arrayDataset({ x: Float32Array.of(1), y: [0], sample: [1] }), flip()),
      "augmented: samples have shape 1, must have three axes: channels, height and width",
    ],
  ])("%#", (run, message) => expect(run).toThrow(message));
});
