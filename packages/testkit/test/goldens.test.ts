// The references of @conv/ops against PyTorch: both in float64 on the same float32 inputs, so they differ by one rounding only.

import * as ops from "@conv/ops";
import {
  avgPool,
  conv,
  convTranspose,
  crossEntropy,
  grad,
  logSoftmax,
  maxPool,
  mul,
  softmax,
  sum,
} from "@conv/ops";
import {
  createHost,
  graphOf,
  hostArray,
  input,
  optimize,
  spec,
  type HostArray,
  type Value,
} from "@conv/tensor";
import {
  convGoldens,
  elementwiseGoldens,
  lossGoldens,
  optimizerGoldens,
  poolGoldens,
  softmaxGoldens,
  type GoldenArray,
  type GoldenParams,
  type LossGolden,
} from "@conv/testkit/goldens";
import { describe, expect, it } from "vitest";
import { runOnce } from "../src/check.ts";

const host = createHost();

const array = ({ shape, data }: GoldenArray, dtype: "float32" | "int32" = "float32"): HostArray =>
  hostArray(
    spec(shape, dtype),
    Float64Array.from(data, dtype === "float32" ? Math.fround : Number),
  );

/** A float64 result rounded to float32 is off by half a unit in the last place; allow as much for the order of the sums. */
function expectNear(got: HostArray, want: GoldenArray, what: string, absolute = 1e-14): void {
  expect(got.shape, what).toEqual(want.shape);
  want.data.forEach((w, i) =>
    expect(Math.abs(got.data[i] - w), `${what}[${i}]: ${got.data[i]} for ${w}`).toBeLessThanOrEqual(
      2 ** -23 * Math.abs(w) + absolute,
    ),
  );
}

/** The error function is an approximation in the algebra: what is made of it is as near as that. */
const byErf: Readonly<Record<string, number>> = { erf: 7.2e-8, gelu: 7.2e-8 };

/** Runs y = f(inputs) and its gradients with cotangent dy on the host. */
async function withGradients(
  inputs: readonly HostArray[],
  dy: HostArray,
  f: (...xs: Value[]) => Value,
): Promise<HostArray[]> {
  const xs = inputs.map((x) => input({ shape: x.shape, dtype: x.dtype }));
  const ct = input({ shape: dy.shape, dtype: "float32" });
  const y = f(...xs);
  const wrt = xs.filter((x) => x.dtype === "float32");
  return runOnce(host, optimize(graphOf([...xs, ct], [y, ...grad(sum(mul(y, ct)), wrt)])), [
    ...inputs,
    dy,
  ]);
}

const ones = ({ shape, data }: GoldenArray): HostArray =>
  hostArray(spec(shape), new Float64Array(data.length).fill(1));

describe("references agree with PyTorch", () => {
  for (const g of convGoldens)
    it(`${g.op} ${g.name}`, async () => {
      const f = (x: Value, w: Value) =>
        g.op === "conv" ? conv(x, w, g.options) : convTranspose(x, w, g.options);
      const [y, dx, dw] = await withGradients([array(g.x), array(g.w)], array(g.dy), f);
      expectNear(y, g.y, "y");
      expectNear(dx, g.dx, "dx");
      expectNear(dw, g.dw, "dw");
    });

  for (const g of poolGoldens)
    it(`${g.op} ${g.name}`, async () => {
      const [y, dx] = await withGradients([array(g.x)], array(g.dy), (x) =>
        g.op === "maxPool" ? maxPool(x, g.kernel, g.options) : avgPool(x, g.kernel, g.options),
      );
      expectNear(y, g.y, "y");
      expectNear(dx, g.dx, "dx");
    });

  for (const g of elementwiseGoldens)
    it(`${g.op}`, async () => {
      const functions: Readonly<Record<string, unknown>> = {
        ...ops,
        geluTanh: (x: Value) => ops.gelu(x, "tanh"),
      };
      const f = functions[g.op];
      if (typeof f !== "function") throw new Error(`@conv/ops has no ${g.op}`);
      const [y, ...grads] = await withGradients(
        g.inputs.map((x) => array(x)),
        ones(g.y),
        (...xs) => f(...xs) as Value,
      );
      expectNear(y, g.y, "y", byErf[g.op]);
      grads.forEach((d, i) => expectNear(d, g.grads[i], `gradient ${i}`, byErf[g.op]));
    });

  for (const g of softmaxGoldens)
    it(`${g.op} ${g.name}`, async () => {
      const [y, dx] = await withGradients([array(g.x)], array(g.dy), (x) =>
        g.op === "softmax" ? softmax(x, g.axis) : logSoftmax(x, g.axis),
      );
      expectNear(y, g.y, "y");
      expectNear(dx, g.dx, "dx");
    });

  const losses = ops as unknown as Record<
    string,
    (x: Value, target: Value, options?: LossGolden["options"]) => Value
  >;
  for (const g of lossGoldens)
    it(`${g.op} ${g.name}`, async () => {
      const target = g.labels ? array(g.labels, "int32") : array(g.target!);
      const [y, dx, dtarget] = await withGradients([array(g.x), target], ones(g.loss), (x, t) =>
        losses[g.op](x, t, g.options),
      );
      expectNear(y, g.loss, "loss");
      expectNear(dx, g.dx, "dx");
      if (g.dtarget) expectNear(dtarget, g.dtarget, "dtarget");
    });
});

// Optimizers live in @conv/layers, which tests them against the same runs. Plain SGD needs none: it judges the network's gradients.
describe("the network of the optimizer goldens", () => {
  const names = [
    "conv.weight",
    "conv.bias",
    "fc.weight",
    "fc.bias",
  ] as const satisfies readonly (keyof GoldenParams)[];
  const { network, runs } = optimizerGoldens;
  const run = runs.find(({ options }) => Object.keys(options).join() === "lr")!;
  it(`three steps of ${run.name}`, async () => {
    let params = names.map((n) => array(network.params[n]));
    for (const [t, step] of network.steps.entries()) {
      const x = input(spec(step.x.shape));
      const labels = input(spec(step.labels.shape, "int32"));
      const values = params.map((p) => input(spec(p.shape)));
      const [w, b, fw, fb] = values;
      const features = ops.flatten(
        maxPool(ops.relu(ops.add(conv(x, w), ops.reshape(b, [1, 2, 1, 1]))), 2),
      );
      const loss = crossEntropy(ops.linear(features, fw, fb), labels);
      const next = grad(loss, values).map((g, i) => ops.sub(values[i], mul(g, run.options.lr!)));
      const [y, ...after] = await runOnce(host, graphOf([x, labels, ...values], [loss, ...next]), [
        array(step.x),
        array(step.labels, "int32"),
        ...params,
      ]);
      expect(y.data[0]).toBeCloseTo(run.losses[t], 6);
      if (t === 0) names.forEach((n, i) => expectNear(after[i], run.after1[n], n));
      params = after;
    }
    names.forEach((n, i) =>
      params[i].data.forEach((v, j) =>
        expect(v, `${n}[${j}]`).toBeCloseTo(run.after3[n].data[j], 6),
      ),
    );
  });
});
