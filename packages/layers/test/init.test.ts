import { describe, expect, test } from "vitest";
import * as layers from "../src/index.ts";
import type { Init } from "../src/index.ts";

const shape = [64, 32, 5, 5]; // fan in 800, fan out 1600
const draw = (init: Init, role: "weight" | "bias" = "weight") =>
  init(shape, layers.createRandom("test"), layers.fanOf(shape), role);
const deviation = (data: Float32Array) =>
  Math.sqrt(data.reduce((sum, v) => sum + v * v, 0) / data.length);
const largest = (data: Float32Array) => data.reduce((m, v) => Math.max(m, Math.abs(v)), 0);

describe("initializers", () => {
  test("fans are counted as in PyTorch", () => {
    expect(layers.fanOf(shape)).toEqual({ in: 800, out: 1600 });
    expect(layers.fanOf([10, 84])).toEqual({ in: 84, out: 10 });
    expect(() => layers.fanOf([6])).toThrow(
      "fan: a weight of shape 6 has no fan, needs at least 2 axes",
    );
  });

  const uniforms: [string, Init, number][] = [
    ["pytorch", layers.pytorch, 1 / Math.sqrt(800)],
    ["lecun1998", layers.lecun1998, 2.4 / 800],
    ["kaimingUniform", layers.kaimingUniform(), Math.sqrt(6 / 800)],
    [
      "kaimingUniform a = √5, PyTorch's own",
      layers.kaimingUniform({ a: Math.sqrt(5) }),
      1 / Math.sqrt(800),
    ],
    ["kaimingUniform out", layers.kaimingUniform({ mode: "out" }), Math.sqrt(6 / 1600)],
    ["xavierUniform", layers.xavierUniform({ gain: 2 }), 2 * Math.sqrt(6 / 2400)],
  ];
  test.each(uniforms)("%s stays within its bound and fills it", (_, init, bound) => {
    const data = draw(init);
    expect(largest(data)).toBeLessThanOrEqual(Math.fround(bound));
    expect(largest(data)).toBeGreaterThan(0.999 * bound);
    expect(deviation(data) / (bound / Math.sqrt(3))).toBeCloseTo(1, 1);
  });

  const normals: [string, Init, number][] = [
    ["kaimingNormal", layers.kaimingNormal({ a: 0.1 }), Math.sqrt(2 / (1.01 * 800))],
    ["kaimingNormal out", layers.kaimingNormal({ mode: "out" }), Math.sqrt(2 / 1600)],
    ["xavierNormal", layers.xavierNormal(), Math.sqrt(2 / 2400)],
  ];
  test.each(normals)("%s has its deviation", (_, init, std) => {
    const data = draw(init);
    expect(deviation(data) / std).toBeCloseTo(1, 1);
    expect(data.reduce((a, b) => a + b, 0) / data.length / std).toBeCloseTo(0, 1);
  });

  test("biases are zero, but for those that PyTorch and LeCun draw", () => {
    for (const init of [
      layers.kaimingNormal(),
      layers.kaimingUniform(),
      layers.xavierNormal(),
      layers.xavierUniform(),
    ])
      expect(largest(draw(init, "bias"))).toBe(0);
    for (const init of [layers.pytorch, layers.lecun1998])
      expect(largest(draw(init, "bias"))).toBeGreaterThan(0);
  });

  test("constants and given values", () => {
    const random = layers.createRandom("");
    expect([...layers.zeros([2], random)]).toEqual([0, 0]);
    expect([...layers.ones([2], random)]).toEqual([1, 1]);
    expect([...layers.constant(3)([1, 2], random)]).toEqual([3, 3]);
    expect([...layers.values([1, 2])([2], random)]).toEqual([1, 2]);
    expect(() => layers.values([1, 2])([3], random)).toThrow(
      "values: 2 values do not fill shape 3, which has 3",
    );
    expect(largest(layers.uniform(-2, 1)([100], random))).toBeLessThanOrEqual(2);
    expect(layers.normal(5, 0)([1], random)[0]).toBe(5);
  });
});

describe("random numbers", () => {
  test("are the same on every machine and differ between keys", () => {
    const { bits } = layers.createRandom("0 c1.weight");
    expect([bits(), bits(), bits()]).toMatchInlineSnapshot(`
      [
        3215494867,
        1179328752,
        1821295559,
      ]
    `);
    expect(layers.createRandom("0 c1.weightt").bits()).not.toBe(
      layers.createRandom("0 c1.weight").bits(),
    );
    const firsts = new Set(
      Array.from({ length: 10000 }, (_, i) => layers.createRandom(`${i}`).bits()),
    );
    expect(firsts.size).toBeGreaterThan(9995);
  });

  test("are uniform", () => {
    const { uniform } = layers.createRandom("bins");
    const bins = new Int32Array(16);
    for (let i = 0; i < 64000; i++) bins[Math.floor(uniform() * 16)]++;
    const chi = bins.reduce((sum, n) => sum + (n - 4000) ** 2 / 4000, 0);
    expect(chi).toBeLessThan(37.7); // 15 degrees of freedom, 0.1 %
  });

  test("shuffle every index once", () => {
    const order = layers.shuffled(100, "a");
    expect([...order].toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(layers.shuffled(100, "a")).toEqual(order);
    expect(layers.shuffled(100, "b")).not.toEqual(order);
    expect(layers.shuffled(0, "a")).toHaveLength(0);
  });
});
