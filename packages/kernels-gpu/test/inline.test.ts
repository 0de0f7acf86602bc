// Results that are recomputed where they are read: which are fused into which tasks, and that the
// values are right.

import {
  add,
  conv,
  exp,
  grad,
  log,
  max,
  mean,
  mul,
  relu,
  reshape,
  sigmoid,
  softmax,
  sqrt,
  square,
  sub,
  sum,
  tanh,
} from "@conv/ops";
import { optimize, spec, trace, type Graph, type Value } from "@conv/tensor";
import { check, drawAll } from "@conv/testkit";
import { asHardware, softwareGpu } from "@conv/testkit/webgpu";
import { describe, expect, it } from "vitest";
import { plan } from "../src/compile/plan.ts";
import { createGpu } from "../src/index.ts";
import { kernels } from "../src/kernels/index.ts";
import { caps } from "./caps.ts";

const traced = (
  shapes: readonly (readonly number[])[],
  fn: (...xs: Value[]) => Value | readonly Value[],
): Graph =>
  trace(
    fn,
    shapes.map((shape) => spec(shape)),
  );

/** Each task of the plan: its kernel, and the ops of its nodes. */
const tasksOf = (graph: Graph, storageBuffers = 8): string[] =>
  plan(optimize(graph), { ...caps, storageBuffers }, kernels).map(
    ({ kernel, nodes }) => `${kernel.name}: ${nodes.map((n) => n.op.name).join(" ")}`,
  );

const standardised = (x: Value): Value => {
  const centered = sub(x, mean(x, [0, 2, 3], true));
  return mul(centered, sqrt(mean(square(centered), [0, 2, 3], true)));
};
const image = [4, 8, 16, 16];

describe("results recomputed where they are read", () => {
  it("x − mean, in the variance and in the result; its square in a sum", () => {
    expect(tasksOf(traced([image], standardised))).toEqual([
      "reduce: sum mul",
      "reduce: sub square sum mul sqrt",
      "elementwise: mul",
    ]);
  });

  it("but not an output, an operand of a convolution, or a value that is read in another shape", () => {
    const shared = traced([image], (x) => {
      const y = mul(x, 2);
      return [y, sum(square(y), [2, 3])];
    });
    expect(tasksOf(shared)).toEqual(["elementwise: mul square", "reduce: sum"]);
    const weighed = traced([image, [8, 8, 1, 1]], (x, w) => {
      const y = relu(x);
      return [conv(y, w), sum(y, [2, 3])];
    });
    expect(tasksOf(weighed)[0]).toBe("elementwise: relu");
    const turned = traced([[64, 64]], (x) => {
      const y = exp(x);
      return [sum(y, 1), sum(reshape(y, [4096]))];
    });
    expect(tasksOf(turned)).toEqual(["elementwise: exp", "reduce: sum", "reduce: sum"]);
  });

  it("not where a kernel would bind too many buffers", () => {
    const graph = traced([image, image, image, image], (a, b, c, d) =>
      sum(mul(add(a, b), add(c, d)), [0, 2, 3]),
    );
    expect(tasksOf(graph, 5)).toEqual(["reduce: add add mul sum"]);
    expect(tasksOf(graph, 4)).toEqual(["elementwise: add", "reduce: add mul sum"]);
  });

  it("not where two values would live long instead of one", () => {
    const readAgainAfter = (steps: number) =>
      traced([[64, 64], [64, 64]], (a, b) => {
        const [p, q] = [softmax(a), softmax(b)];
        const y = mul(p, q);
        const far = Array.from({ length: steps }).reduce<Value>((v) => softmax(v), add(sum(add(p, q), 0, true), sum(y, 0, true)));
        return add(y, far);
      }); // prettier-ignore
    expect(tasksOf(readAgainAfter(2))).not.toContain("elementwise: mul add");
    expect(tasksOf(readAgainAfter(12))).toContain("elementwise: mul add");
  });

  it("computes the right values", { timeout: 60_000 }, async () => {
    const backend = await createGpu({ gpu: asHardware(await softwareGpu()) });
    const graphs: [number[][], (...xs: Value[]) => Value | readonly Value[]][] = [
      [[image], (x) => grad(sum(square(standardised(x))), [x])],
      [[[3, 5, 7, 9]], (x) => grad(sum(sigmoid(standardised(x))), [x])],
      // Functions with the same names before and after a sum, on vectors and on numbers.
      [[[24, 64], [64]], (x, b) => [tanh(sum(tanh(mul(x, b)), 1)), log(sum(exp(add(x, b)), 0)), exp(max(exp(x), 1, true))]],
      [[[5, 3], [5, 1], [1, 3]], (x, r, c) => [sum(mul(sub(x, r), c), 0), sum(mul(sub(x, c), r), 1), sum(mul(r, c))]],
    ]; // prettier-ignore
    for (const [shapes, fn] of graphs) {
      const graph = traced(shapes, fn);
      await check(
        backend,
        graph,
        drawAll(
          graph.inputs.map((v) => v.spec),
          undefined,
          "inline",
        ),
      );
    }
    backend.dispose();
  });
});
