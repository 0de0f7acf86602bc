// Heads that only training sees: their loss is added, they learn, and predictions know nothing of
// them.

import { createHost } from "@conv/tensor";
import { expect, test } from "vitest";
import {
  arrayDataset,
  createTrainer,
  linear,
  sgd,
  traceModel,
  type Context,
  type Model,
} from "../src/index.ts";
import { withHeads } from "../src/models/heads.ts";
import { only, weightsOf } from "./tiny.ts";

/**
 * Two linear layers side by side on two numbers, the second an auxiliary head where it has a
 * weight.
 */
const twoHeads = (weight?: number): Model => ({
  ...only(
    {
      type: "twoHeads",
      forward(x, ctx: Context) {
        const aux = ctx.child("aux", linear(2), x);
        if (ctx.training && weight !== undefined) ctx.auxiliary(aux, weight);
        return ctx.child("main", linear(2), x);
      },
    },
    [2],
  ),
  classes: 2,
});
const data = arrayDataset({ x: Float32Array.from([1, 2, -3, 0.5]), y: [0, 1], sample: [2] });

async function train(model: Model) {
  using trainer = createTrainer({
    backend: createHost(),
    model,
    optimizer: sgd({ lr: 0.1 }),
    batch: 2,
  });
  const before = await weightsOf(trainer);
  for await (const { loss } of trainer.fit(data, { epochs: 1 }))
    return { loss, before, after: await weightsOf(trainer) };
  throw new Error("no epoch");
}

const crossEntropy = (w: readonly number[], b: readonly number[]) => {
  const samples = [
    [1, 2, 0],
    [-3, 0.5, 1],
  ];
  const losses = samples.map(([p, q, label]) => {
    const logits = [w[0] * p + w[1] * q + b[0], w[2] * p + w[3] * q + b[1]];
    return Math.log(logits.reduce((sum, v) => sum + Math.exp(v), 0)) - logits[label];
  });
  return (losses[0] + losses[1]) / 2;
};

test("the loss of an auxiliary head counts by its weight, and moves the head", async () => {
  const { loss, before, after } = await train(twoHeads(0.3));
  const main = crossEntropy(before["main.weight"], before["main.bias"]);
  expect(loss).toBeCloseTo(main + 0.3 * crossEntropy(before["aux.weight"], before["aux.bias"]), 6);
  expect(after["aux.weight"]).not.toEqual(before["aux.weight"]);

  const without = await train(twoHeads());
  expect(without.loss).toBeCloseTo(main, 6);
  expect(without.after["aux.weight"]).toEqual(before["aux.weight"]);
  expect(without.after["main.weight"]).toEqual(after["main.weight"]);
});

test("predicting, there is none", () => {
  expect(traceModel(twoHeads(0.3)).graph.nodes.map((n) => n.path)).not.toContain("aux");
  const model = only({ type: "late", forward: (x, ctx) => (ctx.auxiliary(x, 1), x) }, [2]);
  expect(() => traceModel(model)).toThrow(
    "auxiliary: an auxiliary output exists in training only; check ctx.training first",
  );
  expect(traceModel(model, { training: true }).auxiliaries).toHaveLength(1);
});

test("a head must stand on a part before it", () => {
  const layer = withHeads([
    ["aux", { on: "body", head: linear(2), weight: 1 }],
    ["body", linear(3)],
  ]);
  expect(() => traceModel(only(layer, [2]))).toThrow(
    "withHeads: aux reads body, which is not the name of a part before it in the list",
  );
});
