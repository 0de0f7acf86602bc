// The choice of a kernel for a product, by its size and by the kind of adapter.

import { gatherAll } from "@conv/compiler";
import { conv, convGeometry, convGradInputOp, convGradWeightOp, matmul } from "@conv/ops";
import { node, spec, trace, type Value } from "@conv/tensor";
import { expect, test } from "vitest";
import { speedsOf, type Caps } from "../src/compile/caps.ts";
import { plan } from "../src/compile/plan.ts";
import { gatherProducts } from "../src/kernels/gemm/product.ts";
import { tileFor } from "../src/kernels/gemm/tiles.ts";
import { kernels } from "../src/kernels/index.ts";
import { caps } from "./caps.ts";

const software: Caps = { ...caps, software: true, ...speedsOf(true) };
const chosen = (
  of: Caps,
  shapes: readonly (readonly number[])[],
  fn: (...xs: Value[]) => Value,
): string =>
  // prettier-ignore
  plan(trace(fn, shapes.map((shape) => spec(shape))), { ...of, roundoff: 0 }, kernels)[0].kernel.name;

const middle = convGeometry(spec([32, 128, 28, 28]), spec([128, 128, 3, 3]), { padding: 1 });
const [x, w, y] = [[32, 128, 28, 28], [128, 128, 3, 3], [32, 128, 28, 28]]; // prettier-ignore

test.each<[string, number[][], (...xs: Value[]) => Value, gpu: string, software: string]>([
  ["a layer of a network, batch 32", [x, w], (a, b) => conv(a, b, { padding: 1 }), "igemm", "direct"],
  ["its gradient to the input", [y, w], (a, b) => node(convGradInputOp, middle, [a, b])[0], "igemm", "direct"],
  ["its gradient to the weight", [y, x], (a, b) => node(convGradWeightOp, middle, [a, b])[0], "gradWeight", "directGradWeight"],
  ["a layer of few outputs", [[1, 3, 8, 8], [4, 3, 3, 3]], (a, b) => conv(a, b), "direct", "direct"],
  ["a product of large matrices", [[2048, 2048], [2048, 2048]], (a, b) => matmul(a, b), "matmul", "directMatmul"],
  ["a product of small ones", [[16, 8], [8, 10]], (a, b) => matmul(a, b), "directMatmul", "directMatmul"],
  ["a vector by a matrix", [[1, 4096], [1000, 4096]], (a, b) => matmul(a, b, { transposeB: true }), "dotMatmul", "directMatmul"],
])("%s", (_, shapes, fn, onGpu, onSoftware) => {
  expect([chosen(caps, shapes, fn), chosen(software, shapes, fn)]).toEqual([onGpu, onSoftware]);
}); // prettier-ignore

test("choices are remembered for each device", () => {
  const slow = { ...caps, macs: caps.macs / 1e6 };
  const product = gatherProducts(gatherAll(middle))[0];
  expect(tileFor(product, true, slow).seconds).toBeGreaterThan(
    1000 * tileFor(product, true, caps).seconds,
  );
  expect(tileFor(product, true, caps)).toBe(tileFor(product, true, caps));
});
