// The gradient of a convolution to its weight by Winograd's short convolutions: of each pair of
// tiles, r taps of an "output" m long.
//   dw[oc, c] = Aᵀ[ Σ over tiles of (G·dy[oc, tile]·Gᵀ) ⊙ (Bᵀ·x[c, tile]·B) ]A, with F(r, m) instead of F(m, r)
// Tiles of x and of dy are transformed, multiplied point by point as matrix products over tiles,
// and these transformed to taps.

import {
  gradWeightTiling,
  ROUNDOFF,
  shortConvolution,
  type TileAxis,
  type Tiling,
} from "@conv/compiler";
import { convGradWeightOp, type ConvGeometry } from "@conv/ops";
import { sizeOf, stridesOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import {
  inputAt,
  outputAt,
  scratchAt,
  type GpuKernel,
  type GpuStage,
  type Place,
  type Task,
} from "../../compile/code.ts";
import {
  coordinates,
  emitEpilogue,
  indent,
  literal,
  offsetOf,
  plus,
  times,
  guarded,
} from "../../wgsl/wgsl.ts";
import { overItems } from "../elementwise/each.ts";
import type { Product } from "../gemm/product.ts";
import { plainFunction, scaleFor, spoiled } from "./repair.ts";
import {
  inputStage,
  lastTile,
  lookup,
  plainNames,
  tileOf,
  transform,
  writer,
} from "./transforms.ts";
import { productStage, productTime, transformTime, type Multiplied } from "./winograd.ts";

/** Bytes that transformed tiles of x, or of dy, may take. */
const MOST_BYTES = 2 ** 26;

const along = (x: TileAxis) => shortConvolution(x.n - x.m + 1, x.m);

/** p[point][group][output channel][channel × plain taps] = Σ over tiles of d · v. */
function productOf({ g, depth, points, tiles }: Tiling): Product {
  return {
    groups: { count: points * g.groups, a: g.to * tiles, x: depth * tiles, y: g.to * depth },
    rows: { count: g.to, a: tiles, y: depth },
    axes: [
      { grid: 1, taps: tiles, step: 0, delta: 1, first: 0, size: tiles, a: 1, x: 1, y: 0 },
      { grid: depth, taps: 1, step: 1, delta: 0, first: 0, size: depth, a: 0, x: tiles, y: 1 },
    ],
    offset: { a: 0, x: 0, y: 0 },
  };
}

const multiplied = (t: Tiling, caps: Caps): Multiplied =>
  productTime(productOf(t), productOf(t), caps);

/** See winograd.ts for the bound of the error. */
export const winogradGradWeight = (points: 4 | 6 | 8, dims: 1 | 2): GpuKernel => ({
  name: `winogradGradWeight${dims}d${points}`,
  fuses: ["element"],
  roundoff: ROUNDOFF[points],
  unsupportedReason(task, caps) {
    if (task.op !== convGradWeightOp) return "does the gradient of convolution to the weight";
    const t = gradWeightTiling(task.params as ConvGeometry, points, dims);
    if (typeof t === "string") return t;
    const { g, depth, tiles } = t;
    if (task.inputs.length + 2 > caps.storageBuffers)
      return `binds ${task.inputs.length + 2} buffers, the adapter ${caps.storageBuffers}`;
    const bytes =
      4 * points ** dims * g.groups * Math.max(depth * tiles, g.to * tiles, g.to * depth);
    const most = Math.min(MOST_BYTES, caps.bindingBytes);
    return bytes > most ? `transforms tiles to at most ${most} bytes, not ${bytes}` : null;
  },
  estimate(task, caps) {
    const t = gradWeightTiling(task.params as ConvGeometry, points, dims) as Tiling;
    const taps = t.points * t.g.groups * t.g.to * t.depth;
    return (
      multiplied(t, caps).seconds + transformTime(t, { columns: t.tiles, taps }, caps) + caps.launch
    );
  },
  build(task, caps) {
    const t = gradWeightTiling(task.params as ConvGeometry, points, dims) as Tiling;
    const { g, depth, tiles } = t;
    const [v, d, p] = [0, 1, 2].map(scratchAt);
    return {
      scratch: [depth * tiles, g.to * tiles, g.to * depth].map((size) => ({
        bytes: 4 * t.points * g.groups * size,
      })),
      stages: [
        inputStage(t, { columns: tiles, start: null, ragged: false }, inputAt(1), v),
        gradientStage(t, inputAt(0), d),
        productStage(multiplied(t, caps), caps, { a: d, x: v, y: p }),
        tapStage(t, task, p),
      ],
    };
  },
});

/** d[point][output channel][tile] = G·dy·Gᵀ. */
function gradientStage(t: Tiling, from: Place, into: Place): GpuStage {
  const { g, phase, axes, h, w, tiles } = t;
  const rank = axes.length;
  const strides = stridesOf(g.output);
  const channels = g.groups * g.to;
  const items = channels * tiles;
  const { lines, sums, name } = writer();
  lines.push(
    coordinates("index", [channels, tiles], ["channel", "column"]),
    tileOf(t, { columns: tiles, start: null, ragged: false }),
    `let base = (image * ${channels} + channel) * ${sizeOf(g.output)} + ${axes.map((_, a) => times(`at${a}`, strides[a])).join(" + ")};`,
  );
  const exists = axes.map((x, a) =>
    Array.from({ length: x.m }, (_, i) =>
      lastTile(x) + i * x.spacing < phase.grid[a]
        ? null
        : name(`${plus(`at${a}`, i * x.spacing)} < ${phase.grid[a]}`),
    ),
  );
  transform(
    sums,
    [along(h).g, along(w).g],
    (i, j) => {
      const tests = [rank > 1 ? exists[rank - 2][i] : null, exists[rank - 1][j]].filter(
        (test) => test !== null,
      );
      const element = `f32(dy[${plus("base", (rank > 1 ? i * h.spacing * strides[rank - 2] : 0) + j * w.spacing)}])`;
      return name(`${guarded(element, tests)} * ${literal(scaleFor([along(h).g, along(w).g]))}`);
    },
    (i, j, value) => lines.push(`d[${plus("index", (i * w.n + j) * items)}] = D(${value});`),
  );
  return {
    label: "Winograd: gradients",
    reads: [{ name: "dy", place: from }],
    writes: [{ name: "d", place: into }],
    ...overItems(items, lines.join("\n")),
  };
}

/** Taps Aᵀ·P·A, finished by the epilogue. */
function tapStage({ g, axes, h, w, depth }: Tiling, task: Task, from: Place): GpuStage {
  const rank = axes.length;
  const strides = stridesOf(g.kernel);
  const items = g.groups * g.to * depth;
  const epilogue = emitEpilogue(task.epilogue, 2);
  const { lines, sums, name } = writer();
  const names = plainNames(axes);
  lines.push(
    coordinates(
      "index",
      [g.groups, g.to, g.from, ...axes.map((x) => x.plain.length)],
      ["problem", "row", "channel", ...names],
    ),
    `let base = ${offsetOf(["problem", "row", "channel"], [g.to * g.from * sizeOf(g.kernel), g.wTo, g.wFrom])}${axes
      .flatMap((x, a) =>
        x.n > 1 || x.plain.length === 1
          ? []
          : [
              ` + u32(${lookup(
                x.taps.map(([tap]) => tap * strides[a]),
                names[a],
              )})`,
            ],
      )
      .join("")};`,
  );
  // Where a transformed axis has its taps; an axis that is not has one, which `base` knows.
  const tapOf = (x: TileAxis, i: number, a: number) =>
    a >= 0 && (x.n > 1 || x.plain.length === 1) ? x.taps[0][i] * strides[a] : 0;
  const [results, offsets]: [string[], number[]] = [[], []];
  const whole = literal(1 / scaleFor([along(h).g, along(w).g]));
  transform(
    sums,
    [along(h).at, along(w).at],
    (i, j) => name(`f32(p[${plus("index", (i * w.n + j) * items)}])`),
    (i, j, sum) => {
      const element = plus("base", tapOf(h, i, rank - 2) + tapOf(w, j, rank - 1));
      const r = name(`${sum} * ${whole}`);
      results.push(r);
      offsets.push(tapOf(h, i, rank - 2) + tapOf(w, j, rank - 1));
      lines.push(
        epilogue.store({ r, channel: "0", column: "0", element }, `dw${i}_${j}`),
        `dw[${element}] = Dw(dw${i}_${j});`,
      );
    },
  );
  const again = [
    `let element = base + u32(${lookup(offsets, "tap")});`,
    "let r = plain(element);",
    epilogue.store({ r: "r", channel: "0", column: "0", element: "element" }, "out"),
    "dw[element] = Dw(out);",
  ];
  const loop = `for (var tap = 0; tap < ${offsets.length}; tap++) {\n${indent(again.join("\n"))}\n}`;
  lines.push(`if (${spoiled(results)}) {\n${indent(loop)}\n}`);
  return {
    label: "Winograd: taps",
    reads: [
      { name: "p", place: from },
      { name: "dy", place: inputAt(0) },
      { name: "x", place: inputAt(1) },
      ...epilogue.reads,
    ],
    writes: [{ name: "dw", place: outputAt(0) }],
    ...overItems(items, lines.join("\n"), [epilogue.functions, plainFunction(task, "dy", "x")]),
  };
}
