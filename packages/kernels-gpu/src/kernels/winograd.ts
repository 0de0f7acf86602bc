// Winograd's short convolutions, along one axis or two: convolution of any rank with small kernels, strides, dilation and groups, and its
// gradient to the input. Tiles of the source are transformed, multiplied point by point as matrix products over channels, and transformed back:
//   y[oc, tile] = Aᵀ[ Σ over c of (G·w[oc, c]·Gᵀ) ⊙ (Bᵀ·x[c, tile]·B) ]A
// The weights are transformed once, for as long as they stay. What lies between goes through memory, in parts if that would be too much.

import { gatherOf, isConvOrGradInput, ROUNDOFF, tilings, type Tiling } from "@conv/ops/plan";
import type { Caps } from "../caps.ts";
import { scratchAt, type GpuKernel, type GpuStage, type Scratch } from "../code.ts";
import { emitEpilogue } from "../wgsl.ts";
import { chosenFor } from "./direct.ts";
import type { Product } from "./product.ts";
import { registersShader } from "./registers.ts";
import { inputStage, outputStage, weightStage } from "./winogradTransforms.ts";

/** Bytes that transformed weights, and that transformed tiles or their products, may take. */
const MOST_WEIGHTS = 2 ** 28;
const MOST_TILES = 2 ** 26;

const weightBytes = ({ g, depth, points }: Tiling): number => 4 * g.groups * g.to * depth * points;

/** In how many parts the tiles are dealt with, and the tiles of one. */
function partsOf({ g, depth, points, tiles }: Tiling, caps: Caps): { readonly count: number; readonly columns: number } {
  const perTile = 4 * points * g.groups * Math.max(depth, g.to);
  const most = Math.max(1, Math.floor(Math.min(MOST_TILES, caps.bindingBytes) / perTile));
  const count = Math.ceil(tiles / most);
  const columns = Math.ceil(tiles / count);
  return { count, columns };
}

/** m[point][group][output channel][column] = Σ over channels and plain taps of u · v. */
function productOf({ g, depth, points }: Tiling, columns: number): Product {
  return {
    groups: { count: points * g.groups, a: g.to * depth, x: depth * columns, y: g.to * columns },
    rows: { count: g.to, a: depth, y: columns },
    axes: [
      { grid: 1, taps: depth, step: 0, delta: 1, first: 0, size: depth, a: 1, x: columns, y: 0 },
      { grid: columns, taps: 1, step: 1, delta: 0, first: 0, size: columns, a: 0, x: 1, y: 1 },
    ],
    offset: { a: 0, x: 0, y: 0 },
  };
}

/**
 * The family F(points − taps + 1, taps) along `dims` axes. Stated bound of the error: |Δy| ≤ factor · 2⁻²³ · Σ |x|*·|w|, where |x|* is the
 * largest |x| of the channel's plane; the error itself comes of those that share a tile.
 */
export const winograd = (points: 4 | 6 | 8, dims: 1 | 2): GpuKernel => ({
  name: `winograd${dims}d${points}`,
  fuses: ["channel", "element"],
  roundoff: ROUNDOFF[points],
  declines(task, caps) {
    if (!isConvOrGradInput(task)) return "does convolution and its gradient to the input";
    const all = tilings(gatherOf(task), points, dims);
    if (typeof all === "string") return all;
    const [bytes, most] = [Math.max(...all.map(weightBytes)), Math.min(MOST_WEIGHTS, caps.bindingBytes)];
    return bytes > most ? `transforms weights to at most ${most} bytes, not ${bytes}` : null;
  },
  estimate(task, caps) {
    const all = tilings(gatherOf(task), points, dims) as Tiling[];
    return all.reduce((total, t) => {
      const { count, columns } = partsOf(t, caps);
      return total + count * (chosenFor(productOf(t, columns), caps).seconds + transformTime(t, columns, caps));
    }, 0);
  },
  build(task, caps) {
    const all = tilings(gatherOf(task), points, dims) as Tiling[];
    const scratch: Scratch[] = [];
    const stages: GpuStage[] = [];
    const room = (s: Scratch) => scratchAt(scratch.push(s) - 1);
    const bytes = (rows: (t: Tiling) => number) => Math.max(...all.map((t) => 4 * t.points * t.g.groups * rows(t) * partsOf(t, caps).columns));
    const [v, m] = [room({ bytes: bytes((t) => t.depth) }), room({ bytes: bytes((t) => t.g.to) })];
    for (const t of all) {
      const u = room({ bytes: weightBytes(t), packs: 1 });
      stages.push(weightStage(t, u));
      const { count, columns } = partsOf(t, caps);
      const product = productOf(t, columns);
      const shader = registersShader(product, chosenFor(product, caps).tile, emitEpilogue(null, 0));
      for (let i = 0; i < count; i++) {
        const start = count > 1 ? room({ bytes: 4, element: "i32", data: Int32Array.of(i * columns) }) : null;
        const part = { columns, start };
        stages.push(
          inputStage(t, part, v),
          {
            label: "Winograd: products",
            reads: [
              { name: "a", place: u },
              { name: "x", place: v },
            ],
            writes: [{ name: "y", place: m }],
            ...shader,
          },
          outputStage(t, task, part, m),
        );
      }
    }
    return { scratch, stages };
  },
});

/** Seconds of the transforms of a part. */
function transformTime({ g, points, depth, w, h }: Tiling, columns: number, caps: Caps): number {
  const tiles = g.groups * columns;
  const bytes = 4 * tiles * (points * (depth + g.to) + w.m * h.m * (g.to + g.from));
  return bytes / caps.bandwidth + 2 * caps.launch;
}
