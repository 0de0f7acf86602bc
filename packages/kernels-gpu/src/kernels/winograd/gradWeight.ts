// The weight gradient of a convolution by Winograd's short convolutions: of each pair of tiles, r
// taps of an "output" m long.
// dw[oc, c] = Aᵀ[ Σ over tiles of (G·dy[oc, tile]·Gᵀ) ⊙ (Bᵀ·x[c, tile]·B) ]A, with F(r, m) instead
// of F(m, r) Tiles of x and of dy are transformed, multiplied point by point as matrix products
// over tiles, and the products are transformed to taps.

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
} from "../../wgsl/wgsl.ts";
import { overItems } from "../elementwise/each.ts";
import { matrixProduct } from "../gemm/product.ts";
import { plainFunction, scaleFor, spoiled } from "./repair.ts";
import {
  createWriter,
  loadPoint,
  locateTile,
  lookup,
  outputExists,
  plainNames,
  storePoint,
  tileLoader,
  transform,
  type Transform,
} from "./tiles.ts";
import { inputStage } from "./transforms.ts";
import { mustTile, productStage, productTime, transformTime, type Multiplied } from "./winograd.ts";

/** The most bytes that transformed tiles of x, or of dy, take. */
const MOST_BYTES = 2 ** 26;

/** The short convolution F(r, m) along an axis. */
const along = (x: TileAxis) => shortConvolution(x.n - x.m + 1, x.m);
const gradientMatrices = ({ h, w }: Tiling): Transform => [along(h).g, along(w).g];

/** p[point][group][output channel][channel × plain taps] = Σ over tiles of d · v. */
function multiplied({ g, depth, points, tiles }: Tiling, caps: Caps): Multiplied {
  const product = matrixProduct({
    count: points * g.groups,
    m: g.to,
    k: tiles,
    n: depth,
    transposeA: false,
    transposeB: true,
  });
  return productTime(product, product, caps);
}

/** See winograd.ts for the bound of the error. */
function winogradGradWeight(points: 4 | 6 | 8, dims: 1 | 2): GpuKernel<ConvGeometry> {
  const tilingOf = (g: ConvGeometry): Tiling => mustTile(gradWeightTiling(g, points, dims));
  return {
    ops: [convGradWeightOp],
    name: `winogradGradWeight${dims}d${points}`,
    fuses: ["element"],
    roundoff: ROUNDOFF[points],
    unsupportedReason(task, caps) {
      const t = gradWeightTiling(task.params, points, dims);
      if (typeof t === "string") return t;
      const { g, depth, tiles } = t;
      if (task.inputs.length + 2 > caps.storageBuffers)
        return `binds ${task.inputs.length + 2} buffers, the adapter at most ${caps.storageBuffers}`;
      const largest = Math.max(depth * tiles, g.to * tiles, g.to * depth);
      const bytes = 4 * points ** dims * g.groups * largest;
      const most = Math.min(MOST_BYTES, caps.bindingBytes);
      return bytes > most ? `transforms tiles to at most ${most} bytes, not ${bytes}` : null;
    },
    estimate({ params }, caps) {
      const t = tilingOf(params);
      const taps = t.points * t.g.groups * t.g.to * t.depth;
      return (
        multiplied(t, caps).seconds +
        transformTime(t, { columns: t.tiles, taps }, caps) +
        caps.launch
      );
    },
    build(task, caps) {
      const t = tilingOf(task.params);
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
  };
}

export const winogradGradWeight1d4: GpuKernel = /* @__PURE__ */ winogradGradWeight(4, 1);
export const winogradGradWeight1d6: GpuKernel = /* @__PURE__ */ winogradGradWeight(6, 1);
export const winogradGradWeight1d8: GpuKernel = /* @__PURE__ */ winogradGradWeight(8, 1);
export const winogradGradWeight2d4: GpuKernel = /* @__PURE__ */ winogradGradWeight(4, 2);
export const winogradGradWeight2d6: GpuKernel = /* @__PURE__ */ winogradGradWeight(6, 2);
export const winogradGradWeight2d8: GpuKernel = /* @__PURE__ */ winogradGradWeight(8, 2);

/** d[point][output channel][tile] = G·dy·Gᵀ. */
function gradientStage(t: Tiling, from: Place, into: Place): GpuStage {
  const { g, axes, tiles } = t;
  const strides = stridesOf(g.output);
  const channels = g.groups * g.to;
  const items = channels * tiles;
  const code = createWriter();
  const offsets = axes.map((_, a) => times(`at${a}`, strides[a]));
  code.lines.push(
    coordinates("index", [channels, tiles], ["channel", "column"]),
    locateTile(t, { columns: tiles, start: null, ragged: false }),
    `let base = (image * ${channels} + channel) * ${sizeOf(g.output)} + ${offsets.join(" + ")};`,
  );
  const load = tileLoader(code, {
    name: "dy",
    apart: axes.map((x, a) => x.spacing * strides[a]),
    sizes: axes.map((x) => x.m),
    exists: (a, i) => outputExists(t, a, i),
    scale: scaleFor(gradientMatrices(t)),
  });
  transform(code, gradientMatrices(t), load, storePoint(code, t, items, "d", "D"));
  return {
    label: "Winograd: gradients",
    reads: [{ name: "dy", place: from }],
    writes: [{ name: "d", place: into }],
    ...overItems(items, code.lines.join("\n")),
  };
}

/** Taps Aᵀ·P·A, finished by the epilogue. */
function tapStage(t: Tiling, task: Task, from: Place): GpuStage {
  const { g, axes, h, w, depth } = t;
  const rank = axes.length;
  const strides = stridesOf(g.kernel);
  const items = g.groups * g.to * depth;
  const epilogue = emitEpilogue(task.epilogue, 2);
  const code = createWriter();
  code.lines.push(...locateTaps(t));
  const store = (r: string, element: string, out: string) => [
    epilogue.store({ r, channel: "0", column: "0", element }, out),
    `dw[${element}] = Dw(${out});`,
  ];
  // A transformed axis has its taps here; an axis that is not has one tap, which `base` includes.
  const tapOf = (x: TileAxis, i: number, a: number) =>
    a >= 0 && (x.n > 1 || x.plain.length === 1) ? x.taps[0][i] * strides[a] : 0;
  const [results, offsets]: [string[], number[]] = [[], []];
  const whole = literal(1 / scaleFor(gradientMatrices(t)));
  transform(code, [along(h).at, along(w).at], loadPoint(code, t, items, "p"), (i, j, sum) => {
    const offset = tapOf(h, i, rank - 2) + tapOf(w, j, rank - 1);
    const r = code.name(`${sum} * ${whole}`);
    results.push(r);
    offsets.push(offset);
    code.lines.push(...store(r, plus("base", offset), `dw${i}_${j}`));
  });
  const again = [
    `let element = base + u32(${lookup(offsets, "tap")});`,
    "let r = plain(element);",
    ...store("r", "element", "out"),
  ];
  const loop = `for (var tap = 0; tap < ${offsets.length}; tap++) {\n${indent(again.join("\n"))}\n}`;
  code.lines.push(`if (${spoiled(results)}) {\n${indent(loop)}\n}`);
  return {
    label: "Winograd: taps",
    reads: [
      { name: "p", place: from },
      { name: "dy", place: inputAt(0) },
      { name: "x", place: inputAt(1) },
      ...epilogue.reads,
    ],
    writes: [{ name: "dw", place: outputAt(0) }],
    ...overItems(items, code.lines.join("\n"), [
      epilogue.functions,
      plainFunction(task, "dy", "x"),
    ]),
  };
}

/** Declares the channels of a thread, and where its taps begin in dw: `base`. */
function locateTaps({ g, axes }: Tiling): string[] {
  const names = plainNames(axes);
  const strides = stridesOf(g.kernel);
  const channels = offsetOf(
    ["problem", "row", "channel"],
    [g.to * g.from * sizeOf(g.kernel), g.wTo, g.wFrom],
  );
  const plain = axes.flatMap((x, a) => {
    if (x.n > 1 || x.plain.length === 1) return [];
    const distances = x.taps.map(([tap]) => tap * strides[a]);
    return [` + u32(${lookup(distances, names[a])})`];
  });
  return [
    coordinates(
      "index",
      [g.groups, g.to, g.from, ...axes.map((x) => x.plain.length)],
      ["problem", "row", "channel", ...names],
    ),
    `let base = ${channels}${plain.join("")};`,
  ];
}
