// A function of tensors is all that analysis needs: no layer, no model, no back end.

import { add, avgPool, concat, conv, matmul, mul, relu, reshape } from "@conv/ops";
import { within } from "@conv/tensor";
import { describe, expect, it } from "vitest";
import {
  formatSummary,
  memoryOf,
  receptiveFields,
  summarize,
  tracedOf,
  trainingMemoryOf,
} from "../src/index.ts";

describe("a function of tensors", () => {
  const net = tracedOf(
    function twoBranches(x, a, b, w) {
      const left = within("left", () => relu(conv(x, a, { padding: 1 })));
      const right = within("right", () => conv(x, b));
      return within("head", () =>
        matmul(reshape(avgPool(concat([left, right], 1), 8), [2, 12]), w),
      );
    },
    { x: [2, 3, 8, 8], a: [8, 3, 3, 3], b: [4, 3, 1, 1], w: [12, 5] },
    { frozen: ["b"] },
  );

  it("is read like any model", () => {
    const { model, input, totals, layers } = summarize(net);
    expect([model, input]).toEqual(["twoBranches", [2, 3, 8, 8]]);
    expect(totals).toMatchObject({
      parameters: 216 + 12 + 60,
      trainable: 276,
      frozen: 12,
      buffers: 0,
      macs: 2 * (64 * 216 + 64 * 12 + 60),
    });
    expect(totals.backward).toEqual({ dx: 2 * 60, dw: 2 * (64 * 216 + 60) });
    expect(layers.map((l) => [l.path, l.output, l.receptiveField[0].size])).toEqual([
      ["left", [2, 8, 8, 8], 3],
      ["right", [2, 4, 8, 8], 1],
      ["head", [2, 5], 10],
    ]);
    expect(formatSummary(summarize(net))).toContain("twoBranches, input 2×3×8×8");
    expect(memoryOf(net).parameters).toBe(4 * 288);
    expect(trainingMemoryOf(net, { slots: 1 }).optimizer).toBe(4 * 276);
    expect(receptiveFields(net.graph, net.x).get(net.graph.outputs[0])).toHaveLength(2);
  });

  it("may have several outputs, saved tensors that are not learned, and no name", () => {
    const { name, graph, entries } = tracedOf(
      (x, mean, w) => [mul(x, w), add(x, mean)],
      { x: [1, 4], mean: [4], w: [4] },
      { buffers: ["mean"] },
    );
    expect([name, graph.outputs.length]).toEqual(["function", 2]);
    expect(entries.map((e) => [e.name, e.kind, e.trainable])).toEqual([
      ["mean", "buffer", false],
      ["w", "parameter", true],
    ]);
  });

  it("is refused where it takes nothing, or does not fit", () => {
    expect(() => tracedOf(() => [], {})).toThrow(
      "tracedOf: the function takes no tensors; give the shape of its input first",
    );
    expect(() => tracedOf((x, w) => conv(x, w), { x: [1, 3, 8, 8], w: [4, 2, 3, 3] })).toThrow(
      "conv: weight takes 2 channels × 1 groups = 2, input has 3",
    );
  });
});
