// Digits and weights on their way: packed and unpacked, drawn and made like MNIST's, written into
// addresses.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { DIGIT_PIXELS, loadDigits } from "@conv/cli/digits";
import { createCpu } from "@conv/kernels-cpu";
import { createTrainer, encodeSafetensors, initialize, sgd } from "@conv/layers";
import { expect, test } from "vitest";
import { packDigits } from "../scripts/digits.ts";
import { readDigitsAddress } from "../src/digits/choices.ts";
import { digitDataset, PIXELS, prepare, SIDE, unpackDigits } from "../src/digits/data.ts";
import { asDigit, decodeDigit, encodeDigit } from "../src/digits/drawing.ts";
import { readWeights } from "../src/digits/file.ts";
import { MODEL_NAMES, modelNamed, viewOf } from "../src/digits/models.ts";
import { readNetwork } from "../src/digits/stages.ts";
import { packWeights, shippedOf, unpackWeights } from "../src/digits/weights.ts";

const digits = loadDigits();
const packedBytes = packDigits(digits);
const packed = unpackDigits(packedBytes);

test("packed digits are the digits to four bits, those to learn from first", () => {
  expect([packed.count, packed.trainCount]).toEqual([10_000, 8_000]);
  const order = [...digits.train, ...digits.test];
  for (const at of [0, 1, 4321, 7999, 8000, 9999]) {
    expect(packed.label(at)).toBe(digits.labels[order[at]]);
    const whole = digits.images.subarray(order[at] * DIGIT_PIXELS, (order[at] + 1) * DIGIT_PIXELS);
    packed
      .levels(at)
      .forEach((level, p) => expect(Math.abs(level * 17 - whole[p])).toBeLessThanOrEqual(8.5));
  }
});

test("a truncated file is refused", () => {
  expect(() => unpackDigits(packedBytes.subarray(0, -1))).toThrow(
    "digits.bin: 3930007 bytes, but 10000 digits take 3930008",
  );
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
  // a stroke, high and to the right
  for (let y = 10; y < 110; y++) for (let x = 150; x < 162; x++) ink[y * size + x] = 1;
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

test("an empty drawing is an empty digit", () =>
  expect([...asDigit(new Float32Array(64), 8)]).toEqual([...new Float32Array(PIXELS)]));

test("digits survive the address to sixteen levels; nonsense is none", () => {
  const digit = Float32Array.from({ length: PIXELS }, (_, i) => (i % 7 === 0 ? (i % 16) / 15 : 0));
  expect(decodeDigit(encodeDigit(digit))).toEqual(digit);
  const real = Float32Array.from(packed.levels(0), (v) => v / 15);
  expect(decodeDigit(encodeDigit(real))).toEqual(real);
  expect(encodeDigit(real).length).toBeLessThan(400);
  for (const text of ["", "A", "!!!!", "AAAA", "_".repeat(4000)])
    expect(decodeDigit(text)).toBeNull();
});

const shippedFile = (name: string) =>
  readFileSync(new URL(`../public/${shippedOf(name)?.file}`, import.meta.url));
const SHIPPED = MODEL_NAMES.filter(shippedOf);

test("the trained weights are small, and the files that they say", () => {
  expect(SHIPPED).toContain(MODEL_NAMES[0]);
  const sizes = SHIPPED.map((name) => {
    const bytes = shippedFile(name);
    expect(`sha256-${createHash("sha256").update(bytes).digest("base64")}`).toBe(
      shippedOf(name)?.integrity,
    );
    return bytes.length;
  });
  expect(Math.max(...sizes)).toBeLessThanOrEqual(300_000);
  expect(sizes.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(700_000);
});

test("the trained weights read as many held-out digits as the page says", async () => {
  const backend = await createCpu();
  for (const name of SHIPPED) {
    const model = modelNamed(name);
    const state = unpackWeights(model, shippedFile(name));
    const trainer = createTrainer({ backend, model, optimizer: sgd({ lr: 0 }), state });
    const isSmall = name.startsWith("lenet");
    // All of them where that is quick; else enough to tell that these are the weights.
    const count = isSmall ? packed.count - packed.trainCount : 100;
    const { accuracy } = await trainer.evaluate(
      digitDataset(packed, viewOf(model), packed.trainCount, count),
    );
    trainer.dispose();
    if (isSmall) expect(accuracy).toBeCloseTo(shippedOf(name)?.accuracy ?? Number.NaN, 3);
    else expect(accuracy).toBeGreaterThan(0.97);
  }
  backend.dispose();
});

test("weights are stored in 8 bits, to half a step of each output's largest; all else in 32", () => {
  const model = modelNamed("resnet8");
  const state = initialize(model, 5);
  const bytes = packWeights(model, state);
  const back = unpackWeights(model, bytes);
  for (const [name, { shape, data }] of state) {
    const row = data.length / shape[0];
    const steps = Array.from({ length: shape[0] }, (_, output) =>
      shape.length > 1
        ? data
            .subarray(output * row, (output + 1) * row)
            .reduce((most, x) => Math.max(most, Math.abs(x)), 0) / 127
        : 0,
    );
    back.get(name)?.data.forEach((v, i) => {
      if (Math.abs(v - data[i]) > steps[Math.floor(i / row)] * 0.501)
        throw new Error(`${name} ${i}: ${v} for ${data[i]}`);
    });
  }
  expect(() => unpackWeights(model, bytes.subarray(1))).toThrow(
    `weights/resnet8.bin: ${bytes.length - 1} bytes, but the weights of resnet8 take ${bytes.length}`,
  );
});

test("a file of weights is taken, or refused with its reason", () => {
  const { traced } = readNetwork(modelNamed("lenet5"));
  const state = initialize(modelNamed("lenet5"), 1);
  const taken = readWeights(
    traced,
    encodeSafetensors(
      new Map([...state, ["optimizer/m/c1.weight", { shape: [1], data: new Float32Array(1) }]]),
    ),
  );
  expect(taken instanceof Map && [...taken.keys()]).toEqual([...state.keys()]);
  const bytes = encodeSafetensors(state);
  expect(readWeights(traced, bytes.subarray(0, 5))).toEqual({ kind: "notSafetensors" });
  expect(readWeights(traced, new TextEncoder().encode("no weights at all"))).toEqual({
    kind: "notSafetensors",
  });
  expect(readWeights(traced, bytes.subarray(0, -1))).toEqual({ kind: "damaged" });
  expect(readWeights(traced, encodeSafetensors(initialize(modelNamed("resnet8"), 1)))).toEqual({
    kind: "otherNetwork",
    missing: "c1.weight",
    more: 9,
  });
  for (const value of [Number.NaN, Infinity]) {
    const broken = new Map(state).set("c3.bias", {
      shape: [16],
      data: new Float32Array(16).fill(value),
    });
    expect(readWeights(traced, encodeSafetensors(broken))).toEqual({
      kind: "notFinite",
      name: "c3.bias",
    });
  }
});

test("an address says what the network begins with; what it cannot say is as if absent, and reported", () => {
  const read = (query: string) => readDigitsAddress(new Map(new URLSearchParams(query)));
  expect(read("")).toEqual({
    modelName: "lenet5",
    unknown: null,
    device: undefined,
    beginning: { from: "shipped" },
    rate: 1e-3,
    recipe: { optimizer: "Adam", augment: false },
    own: null,
    unused: [],
  });
  expect(
    read(
      "model=lenet5_1998&weights=random&seed=7&lr=0.01&optimizer=SGD&augment=1&device=gpu&own=file",
    ),
  ).toEqual({
    modelName: "lenet5_1998",
    unknown: null,
    device: "gpu",
    beginning: { from: "random", seed: 7 },
    rate: 0.01,
    recipe: { optimizer: "SGD", augment: true },
    own: "file",
    unused: [],
  });
  for (const name of [
    "valueOf",
    "__proto__",
    "constructor",
    "toString",
    "hasOwnProperty",
    "vgg16",
    "",
  ])
    expect(
      read(
        `model=${name}&weights=${name}&seed=${name}&lr=${name}&optimizer=${name}&augment=${name}&device=${name}&own=${name}`,
      ),
    ).toEqual({
      ...read(""),
      unknown: name,
      unused: [
        { name: "weights", given: name, used: "trained" },
        { name: "seed", given: name, used: "0" },
        { name: "device", given: name, used: null },
        { name: "lr", given: name, used: "0.001" },
        { name: "optimizer", given: name, used: "Adam" },
        { name: "augment", given: name, used: "0" },
        { name: "own", given: name, used: null },
      ],
    });
});
