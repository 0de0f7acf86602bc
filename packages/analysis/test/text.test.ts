// The table for people, whole: at the width of a terminal, narrow, and wide.

import { traceModel } from "@conv/layers";
import { lenet5 } from "@conv/layers/models";
import { describe, expect, it } from "vitest";
import { formatBytes, formatCount, formatSummary, summarise } from "../src/index.ts";

const summary = summarise(traceModel(lenet5()));

describe("the table", () => {
  it("fits 80 columns and says what it counts", () => {
    expect(formatSummary(summary)).toMatchInlineSnapshot(`
      "lenet5, input 1×1×28×28

      layer   type         output      parameters     MACs  activations  field
      ────────────────────────────────────────────────────────────────────────
      c1      conv 5×5     1×6×28×28          156  117,600     18.4 KiB    5×5
      s2      maxPool 2×2  1×6×14×14            0        0      4.6 KiB    6×6
      c3      conv 5×5     1×16×10×10       2,416  240,000      6.3 KiB  14×14
      s4      maxPool 2×2  1×16×5×5             0        0      1.6 KiB  16×16
      c5      conv 5×5     1×120           48,120   48,000        480 B  32×32
      f6      matmul       1×84            10,164   10,080        336 B  32×32
      output  matmul       1×10               850      840         40 B  32×32
      ────────────────────────────────────────────────────────────────────────
      total                                61,706  416,520     31.6 KiB

      parameters: numbers in saved tensors that are learned (PyTorch: parameters)
      MACs: multiply-accumulates of convolutions and matrix products for the whole
        batch, products with padding included, bias not (torchvision)
      activations: float32 output of each layer and part for the whole batch, 4 bytes
        a number; the input and mere changes of shape take none
      field: inputs that one output depends on, per axis: output o sees \`size\` of them
        from start + jump·o (Araujo, Norris, Sim 2019)"
    `);
  });
  it("fits every width down to what must stay", () => {
    for (let width = 40; width <= 200; width += 5) {
      const longest = Math.max(
        ...formatSummary(summary, { width })
          .split("\n")
          .map((line) => line.length),
      );
      expect(longest, `at ${width}`).toBeLessThanOrEqual(width);
    }
  });
  it("drops the least important columns first", () => {
    const head = (width: number) => formatSummary(summary, { width }).split("\n")[2].split(/ {2,}/);
    expect(head(200)).toEqual([
      "layer",
      "type",
      "output",
      "parameters",
      "buffers",
      "MACs",
      "FLOPs",
      "connections",
      "activations",
      "weights",
      "field",
      "jump",
      "start",
    ]);
    expect(head(45)).toEqual(["layer", "output", "parameters", "MACs"]);
  });
});

describe("numbers", () => {
  it("are grouped, and bytes have a unit", () => {
    expect([0, 1234567, 0.5].map(formatCount)).toEqual(["0", "1,234,567", "0.5"]);
    expect([0, 1023, 1024, 246824, 2 ** 31, 2 ** 51].map(formatBytes)).toEqual(["0 B", "1023 B", "1.0 KiB", "241.0 KiB", "2.0 GiB", "2048.0 TiB"]);
  });
});
