// The table for people, whole: at the width of a terminal, narrow, and wide.

import { traceModel } from "@conv/layers";
import { lenet5, resnet18 } from "@conv/layers/models";
import { describe, expect, it } from "vitest";
import {
  csvOf,
  formatBytes,
  formatCount,
  formatSummary,
  markdownOf,
  summarize,
  type LayerSummary,
  type TextOptions,
} from "../src/index.ts";

const summary = summarize(traceModel(lenet5()));

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
      "elements",
      "activations",
      "moved",
      "weights",
      "field",
      "jump",
      "start",
    ]);
    expect(head(45)).toEqual(["layer", "output", "parameters", "MACs"]);
  });
  it("names the convention by which operations are counted, and counts gradients", () => {
    const text = formatSummary(summary, { width: 100, convention: "ptflops", backward: true });
    expect(text.split("\n")[2].split(/ {2,}/)).toEqual([
      "layer",
      "type",
      "output",
      "parameters",
      "MACs (ptflops)",
      "MACs dx",
      "MACs dw",
      "activations",
      "field",
    ]);
    expect(text).toContain(
      "MACs (ptflops): the count with bias, 2 for each element that is normalized",
    );
    expect(text).toContain("MACs dx, MACs dw: multiply-accumulates of the gradients");
  });
});

describe("the tree", () => {
  const tree = summarize(traceModel(resnet18()), { modules: true });
  const lines = (options: TextOptions) =>
    formatSummary(tree, { width: 100, ...options })
      .split("\n")
      .slice(4)
      .map((line) => line.split(/ {2,}(?=\S)/)[0]);
  it("is folded at a depth, and marks what it hides", () => {
    expect(lines({ depth: 1 }).slice(0, 9)).toEqual([
      "conv1",
      "bn1",
      "maxpool",
      "layer1 ▸",
      "layer2 ▸",
      "layer3 ▸",
      "layer4 ▸",
      "avgpool",
      "fc",
    ]);
    const second = formatSummary(tree, { depth: 2 }).split("\n");
    expect(second.find((l) => l.includes("layer1.0"))).toMatch(/^ {2}layer1\.0 ▸ /);
    expect(second.find((l) => l.includes("layer1 "))).toMatch(/^layer1 {5}/);
  });
  it("is as deep as the terminal is high", () => {
    expect(formatSummary(tree, { rows: 20 })).toBe(formatSummary(tree, { depth: 2 }));
    expect(formatSummary(tree, { rows: 5 })).toBe(formatSummary(tree, { depth: 1 }));
    expect(formatSummary(tree, { rows: 500 })).toBe(formatSummary(tree));
  });
  it("leaves out the name of the layer above where whole names do not fit", () => {
    const text = formatSummary(tree, { width: 60 }).split("\n");
    expect(Math.max(...text.map((line) => line.length))).toBeLessThanOrEqual(60);
    expect(text.slice(7, 11).map((line) => /^ *\S+/.exec(line)![0])).toEqual([
      "layer1",
      "  0",
      "    conv1",
      "    bn1",
    ]);
    expect(lines({ width: 60, depth: 1 })[3]).toBe("layer1 ▸");
  });
  it("adds up: a module has all that its parts have", () => {
    const check = (l: LayerSummary): void => {
      if (l.type === "module")
        for (const key of [
          "parameters",
          "buffers",
          "macs",
          "connections",
          "elements",
          "activationBytes",
          "movedBytes",
        ] as const)
          expect(
            l.parts.reduce((all, p) => all + p[key], 0),
            `${l.path} ${key}`,
          ).toBe(l[key]);
      l.parts.forEach(check);
    };
    tree.layers.forEach(check);
    expect(tree.layers.reduce((all, l) => all + l.macs, 0)).toBe(tree.totals.macs);
  });
  it("makes words stand out only where that is asked for", () => {
    const paint = {
      bold: (t: string) => `<b>${t}</b>`,
      dim: (t: string) => `<i>${t}</i>`,
      heavy: (t: string) => `<u>${t}</u>`,
    };
    const text = formatSummary(summary, { paint, width: 100 });
    expect(text.split("\n")[0]).toBe("<b>lenet5</b>, input 1×1×28×28");
    expect(text).toContain("<u>c1 ");
    expect(text).toContain("<i>s2 ");
    expect(text.replace(/<\/?[biu]>/g, "")).toBe(formatSummary(summary, { width: 100 }));
  });
});

describe("numbers", () => {
  it("are grouped, and bytes have a unit", () => {
    expect([0, 1234567, 0.5].map(formatCount)).toEqual(["0", "1,234,567", "0.5"]);
    expect([0, 1023, 1024, 246824, 2 ** 31, 2 ** 51].map(formatBytes)).toEqual([
      "0 B",
      "1023 B",
      "1.0 KiB",
      "241.0 KiB",
      "2.0 GiB",
      "2048.0 TiB",
    ]);
  });
});

describe("for other programs and documents", () => {
  it("comma-separated values have plain numbers, a row for each layer and the total", () => {
    const lines = csvOf(summary, { convention: "with-bias", backward: true }).split("\r\n");
    expect(lines[0]).toBe(
      "layer,type,output,parameters,frozen,shared,buffers,macs:with-bias,dx,dw,flops,connections,elements,activationBytes,movedBytes,parameterBytes,field,jump,start",
    );
    expect(lines[1]).toBe(
      "c1,conv 5×5,1×6×28×28,156,0,0,0,122304,0,117600,244608,122304,4704,18816,97840,624,5×5,1,-2",
    );
    expect(lines.slice(-2)).toEqual([
      "total,,,61706,0,0,0,423038,298920,416520,850794,429342,8094,32376,418880,246824,,,",
      "",
    ]);
    expect(lines.length).toBe(7 + 3);
    expect(
      csvOf({ ...summary, layers: [{ ...summary.layers[0], path: 'a "b", c' }] }).split("\r\n")[1],
    ).toMatch(/^"a ""b"", c",conv/);
  });
  it("Markdown has a table as wide as a page, and says what is counted", () => {
    const text = markdownOf(summary);
    expect(text.split("\n").slice(0, 5)).toEqual([
      "## lenet5, input 1×1×28×28",
      "",
      "| layer     | type        | output     | parameters |        MACs |  activations | field |",
      "| --------- | ----------- | ---------- | ---------: | ----------: | -----------: | ----: |",
      "| c1        | conv 5×5    | 1×6×28×28  |        156 |     117,600 |     18.4 KiB |   5×5 |",
    ]);
    expect(text).toContain(
      "| **total** |             |            | **61,706** | **416,520** | **31.6 KiB** |       |",
    );
    expect(text).toContain("- MACs: multiply-accumulates of convolutions and matrix products");
  });
});
