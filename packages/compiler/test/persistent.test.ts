// Tasks whose results depend on some inputs alone, which need to run only when one of them changes.

import { add, conv, div, matmul, mul, relu, reshape, sqrt, sum, tanh, transpose } from "@conv/ops";
import { optimize, spec, trace, type Value } from "@conv/tensor";
import { describe, expect, it } from "vitest";
import { persistentTasks, plan, type PlanKernel, type SelectionCaps } from "../src/index.ts";

const kernel: PlanKernel<SelectionCaps, null> = {
  name: "every",
  fuses: ["channel", "column", "element"],
  estimate: ({ cost: { flops, bytesRead, bytesWritten } }) => flops + bytesRead + bytesWritten,
  build: () => null,
};
const selection = { kernels: [kernel], caps: { roundoff: 0, prefer: [] } };

/** The tasks that need not always run, by their ops, and the inputs that decide. */
const dependenciesOf = (
  shapes: readonly (readonly number[])[],
  fn: (...xs: Value[]) => Value | readonly Value[],
): string[] => {
  const graph = optimize(
    trace(
      fn,
      shapes.map((s) => spec(s)),
    ),
  );
  const persistent = persistentTasks(graph, plan(graph, selection), new Set());
  return [...persistent].map(
    ([{ nodes }, dependencies]) =>
      `${nodes.map((n) => n.op.name).join(" ")}: ${dependencies.join(" ")}`,
  );
};

describe("runs when its dependencies change", () => {
  const channels = (v: Value) => reshape(v, [1, 16, 1, 1]);
  const layer = [[1, 16, 14, 14], [16, 16, 3, 3], [16], [16]];

  it("a scale made of statistics", () => {
    expect(
      dependenciesOf(layer, (x, w, v, g) => mul(conv(x, w), channels(div(g, sqrt(add(v, 1e-5)))))),
    ).toEqual(["add sqrt div: 2 3"]);
  });

  it("weights made of weights", () => {
    const shapes = layer.slice(0, 3);
    expect(
      dependenciesOf(shapes, (x, w, v) => relu(conv(x, mul(w, reshape(v, [16, 1, 1, 1]))))),
    ).toEqual(["mul: 1 2"]);
  });

  it("not an output, not what takes more memory than its inputs, not what needs all of them", () => {
    const other = [
      [64, 64],
      [1, 64],
    ];
    expect(dependenciesOf(other, (x, v) => add(matmul(x, x), tanh(sum(v))))).toEqual([
      "sum: 1",
      "tanh: 1",
    ]);
    expect(
      dependenciesOf(other, (x, v) => ((t) => [add(matmul(x, x), t), t])(tanh(sum(v)))),
    ).toEqual(["sum: 1"]);
    expect(dependenciesOf(other, (x, v) => matmul(matmul(x, x), matmul(transpose(v), v)))).toEqual(
      [],
    );
    expect(dependenciesOf([[64, 64]], (x) => matmul(x, tanh(sum(x, 1, true))))).toEqual([]);
  });

  it("not the first layers of a network, however small a part of it", () => {
    const first = [
      [1, 3, 32, 32],
      [2, 3, 1, 1],
      [512, 2, 3, 3],
    ];
    expect(dependenciesOf(first, (x, a, b) => conv(relu(conv(x, a)), b))).toEqual([]);
  });

  it("not the greater part of the work", () => {
    const [square, one] = [[64, 64], [1]];
    expect(
      dependenciesOf([square, one], (x, v) => mul(sum(matmul(matmul(x, x), x), 0, true), v)),
    ).toEqual([]);
    expect(
      dependenciesOf([square, one, square], (x, v, w) =>
        matmul(matmul(matmul(x, x), x), mul(w, v)),
      ),
    ).toEqual(["mul: 1 2"]);
  });
});
