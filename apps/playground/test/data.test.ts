// Digits on their way: packed and unpacked, drawn and made like MNIST's, written into addresses.

import { DIGIT_PIXELS, loadDigits } from "@conv/cli/digits";
import { expect, test } from "vitest";
import { packDigits } from "../scripts/digits.ts";
import { digitDataset, PIXELS, prepare, SIDE, unpackDigits } from "../src/digits/data.ts";
import { asDigit, decodeDigit, encodeDigit } from "../src/digits/drawing.ts";

const digits = loadDigits();
const packed = unpackDigits(packDigits(digits));

test("packed digits are the digits to four bits, those to learn from first", () => {
  expect([packed.count, packed.trainCount]).toEqual([10_000, 8_000]);
  const order = [...digits.train, ...digits.test];
  for (const at of [0, 1, 4321, 7999, 8000, 9999]) {
    expect(packed.label(at)).toBe(digits.labels[order[at]]);
    const whole = digits.images.subarray(order[at] * DIGIT_PIXELS, (order[at] + 1) * DIGIT_PIXELS);
    packed.levels(at).forEach((level, p) => expect(Math.abs(level * 17 - whole[p])).toBeLessThanOrEqual(8.5));
  }
});

test("a truncated file is refused", () => {
  expect(() => unpackDigits(packDigits(digits).subarray(0, -1))).toThrow("digits: 3930007 bytes are not 10000 digits");
});

test("data sets show a digit as the model wants it", () => {
  const view = { input: [1, 32, 32], background: -0.1, foreground: 1.175 };
  const { x, y } = digitDataset(packed, view, 8000, 2000).batch([7]);
  expect(y[0]).toBe(packed.label(8007));
  const expected = prepare(
    Float32Array.from(packed.levels(8007), (v) => v / 15),
    view,
  );
  expect(x).toHaveLength(32 * 32);
  x.forEach((v, i) => expect(v).toBeCloseTo(expected[i], 5));
  expect(x[0]).toBeCloseTo(-0.1, 6);
  expect(Math.max(...x)).toBeCloseTo(1.175, 5);
});

test("a drawing fits 20×20 and has its mass in the middle, wherever it was drawn", () => {
  const size = 224;
  const ink = new Float32Array(size * size);
  for (let y = 10; y < 110; y++) for (let x = 150; x < 162; x++) ink[y * size + x] = 1; // a stroke, high and to the right
  const digit = asDigit(ink, size);
  let [mass, my, mx, top, bottom] = [0, 0, 0, SIDE, 0];
  digit.forEach((v, i) => {
    const [y, x] = [Math.floor(i / SIDE), i % SIDE];
    [mass, my, mx] = [mass + v, my + v * (y + 0.5), mx + v * (x + 0.5)];
    if (v > 0.1) [top, bottom] = [Math.min(top, y), Math.max(bottom, y)];
  });
  expect(my / mass).toBeCloseTo(14, 0);
  expect(mx / mass).toBeCloseTo(14, 0);
  expect(bottom - top + 1).toBe(20);
  expect(Math.max(...digit)).toBe(1);
});

test("an empty drawing is an empty digit", () => expect([...asDigit(new Float32Array(64), 8)]).toEqual([...new Float32Array(PIXELS)]));

test("digits survive the address to sixteen levels; nonsense is none", () => {
  const digit = Float32Array.from({ length: PIXELS }, (_, i) => (i % 7 === 0 ? (i % 16) / 15 : 0));
  expect(decodeDigit(encodeDigit(digit))).toEqual(digit);
  const real = Float32Array.from(packed.levels(0), (v) => v / 15);
  expect(decodeDigit(encodeDigit(real))).toEqual(real);
  expect(encodeDigit(real).length).toBeLessThan(400);
  for (const text of ["", "A", "!!!!", "AAAA", "_".repeat(4000)]) expect(decodeDigit(text)).toBeNull();
});
