// Winograd's short convolutions, along one axis or two: convolution of any rank with small kernels,
// strides, dilation and groups, and its input gradient. Tiles of the source are transformed,
// multiplied point by point as matrix products over channels, and transformed back:
//   y[oc, tile] = Aᵀ[ Σ over c of (G·w[oc, c]·Gᵀ) ⊙ (Bᵀ·x[c, tile]·B) ]A
// The weights are transformed once for as long as they stay the same. Tiles with results that are
// not finite are summed plainly (repair.ts). Transformed tiles and products pass through memory, in
// parts where they would take too much of it.

import { gatherOf, ROUNDOFF, tilings, type Tiling } from "@conv/compiler";
import type { ConvGeometry } from "@conv/ops";
import type { Caps } from "../../compile/caps.ts";
import {
  inputAt,
  scratchAt,
  type GpuKernel,
  type GpuStage,
  type Place,
  type Scratch,
  type Task,
} from "../../compile/code.ts";
import { emitEpilogue } from "../../wgsl/wgsl.ts";
import { SWIFTSHADER } from "../costs.ts";
import { registersShader } from "../direct/registersShader.ts";
import { chosenFor } from "../direct/tiles.ts";
import { CONV, matrixProduct, type Product } from "../gemm/product.ts";
import type { Tile } from "../gemm/tile.ts";
import { tiledShader, widthsOf } from "../gemm/tiledShader.ts";
import { tileFor } from "../gemm/tiles.ts";
import { inputStage, outputStage, weightStage } from "./transforms.ts";

/** The most bytes that transformed weights take, and transformed tiles or their products. */
const MOST_WEIGHTS = 2 ** 28;
const MOST_TILES = 2 ** 26;

const weightBytes = ({ g, depth, points }: Tiling): number => 4 * g.groups * g.to * depth * points;

/** Products of all points, and how they are made. */
export interface Multiplied {
  readonly product: Product;
  /** Null where threads work alone. */
  readonly tile: Tile | null;
  readonly seconds: number;
}

/**
 * The faster of products by threads that work alone and by workgroups, which want their operands in
 * different orders.
 */
export function productTime(alone: Product, together: Product, caps: Caps): Multiplied {
  const [byThreads, byWorkgroups] = [chosenFor(alone, caps), tileFor(together, false, caps)];
  return byThreads.seconds < byWorkgroups.seconds
    ? { product: alone, tile: null, seconds: byThreads.seconds }
    : { product: together, tile: byWorkgroups.tile, seconds: byWorkgroups.seconds };
}

/** How the tiles of a convolution are multiplied: in `count` parts of `columns` tiles. */
interface Plan extends Multiplied {
  readonly count: number;
  readonly columns: number;
}

function planFor(t: Tiling, caps: Caps): Plan {
  const { g, depth, points, tiles } = t;
  const perTile = 4 * points * g.groups * Math.max(depth, g.to);
  const most = Math.max(4, Math.floor(Math.min(MOST_TILES, caps.bindingBytes) / perTile) - 3);
  const columns = Math.ceil(tiles / Math.ceil(tiles / most));
  const whole = Math.ceil(columns / 4) * 4; // workgroups load vectors of four
  const multiplied = productTime(productOf(t, columns, false), productOf(t, whole, true), caps);
  const own = multiplied.tile ? whole : columns;
  return { ...multiplied, count: Math.ceil(tiles / own), columns: own };
}

/**
 * m[point][group][output channel][column] = Σ over channels and plain taps of u · v; `across`:
 * output channels are innermost in u.
 */
const productOf = ({ g, depth, points }: Tiling, columns: number, across: boolean): Product =>
  matrixProduct({
    count: points * g.groups,
    m: g.to,
    k: depth,
    n: columns,
    transposeA: across,
    transposeB: false,
  });

export function productStage(
  { product, tile }: Multiplied,
  caps: Caps,
  { a, x, y }: Readonly<Record<"a" | "x" | "y", Place>>,
): GpuStage {
  const none = emitEpilogue(null, 0);
  const width = tile ? widthsOf(product) : ({ a: 1, x: 1, y: 1 } as const);
  return {
    label: "Winograd: products",
    reads: [
      { name: "a", place: a, width: width.a },
      { name: "x", place: x, width: width.x },
    ],
    writes: [{ name: "y", place: y, width: width.y }],
    ...(tile
      ? tiledShader(product, tile, none, 0)
      : registersShader(product, chosenFor(product, caps).tile, none)),
  };
}

/** The tiling; throws where there is none, which `unsupportedReason` has said before. */
export function mustTile<T extends object>(tiling: T | string): T {
  if (typeof tiling === "string") throw new Error(`Winograd's algorithm ${tiling}`);
  return tiling;
}

/**
 * The family F(points − taps + 1, taps) along `dims` axes. Stated bound of the error: |Δy| ≤ factor
 * · 2⁻²³ · Σ |x|*·|w|, where |x|* is the largest |x| of the channel's plane; the error itself comes
 * from values that share a tile.
 */
function winograd(points: 4 | 6 | 8, dims: 1 | 2): GpuKernel<ConvGeometry> {
  const tilingsOf = (task: Task<ConvGeometry>): Tiling[] =>
    mustTile(tilings(gatherOf(task), points, dims));
  return {
    name: `winograd${dims}d${points}`,
    ...CONV,
    roundoff: ROUNDOFF[points],
    unsupportedReason(task, caps) {
      const all = tilings(gatherOf(task), points, dims);
      if (typeof all === "string") return all;
      // Beside the operands: products, where they begin, and the output.
      const buffers = task.inputs.length + 3;
      if (buffers > caps.storageBuffers)
        return `binds ${buffers} buffers, the adapter at most ${caps.storageBuffers}`;
      const bytes = Math.max(...all.map(weightBytes));
      const most = Math.min(MOST_WEIGHTS, caps.bindingBytes);
      return bytes > most ? `transforms weights to at most ${most} bytes, not ${bytes}` : null;
    },
    estimate: (task, caps) =>
      tilingsOf(task).reduce((total, t) => {
        const plan = planFor(t, caps);
        return total + plan.count * (plan.seconds + transformTime(t, plan, caps));
      }, 0),
    build(task, caps) {
      const all = tilingsOf(task).map((t) => ({ t, plan: planFor(t, caps) }));
      const scratch: Scratch[] = [];
      const room = (s: Scratch) => scratchAt(scratch.push(s) - 1);
      const bytes = (rows: (t: Tiling) => number) =>
        Math.max(...all.map(({ t, plan }) => 4 * t.points * t.g.groups * rows(t) * plan.columns));
      const v = room({ bytes: bytes((t) => t.depth) });
      const m = room({ bytes: bytes((t) => t.g.to) });
      const stages = all.flatMap(({ t, plan }): GpuStage[] => {
        const { count, columns, tile } = plan;
        const u = room({ bytes: weightBytes(t), packs: 1 });
        const product = productStage(plan, caps, { a: u, x: v, y: m });
        const parts = Array.from({ length: count }, (_, n): GpuStage[] => {
          const data = Int32Array.of(n * columns);
          const start = count > 1 ? room({ bytes: 4, element: "i32", data }) : null;
          const part = { columns, start, ragged: count * columns > t.tiles };
          return [inputStage(t, part, inputAt(0), v), product, outputStage(t, task, part, m)];
        });
        return [weightStage(t, tile !== null, u), ...parts.flat()];
      });
      return { scratch, stages };
    },
  };
}

export const winograd1d4: GpuKernel = /* @__PURE__ */ winograd(4, 1);
export const winograd1d6: GpuKernel = /* @__PURE__ */ winograd(6, 1);
export const winograd1d8: GpuKernel = /* @__PURE__ */ winograd(8, 1);
export const winograd2d4: GpuKernel = /* @__PURE__ */ winograd(4, 2);
export const winograd2d6: GpuKernel = /* @__PURE__ */ winograd(6, 2);
export const winograd2d8: GpuKernel = /* @__PURE__ */ winograd(8, 2);

/**
 * Seconds of the transforms of `columns` tiles, and of products that become `taps`: the memory that
 * transforms and products move.
 */
export function transformTime(
  { g, points, depth, w, h }: Tiling,
  { columns, taps = 0 }: { readonly columns: number; readonly taps?: number | undefined },
  caps: Caps,
): number {
  const elements = points * g.groups * (depth + g.to) * columns + taps;
  const outputs = g.groups * (g.from + g.to) * w.m * h.m * columns;
  const bytes = 4 * (2 * elements + points * g.groups * g.to * depth + outputs);
  const { winograd: element, winogradCompiling } = SWIFTSHADER;
  const software = caps.software ? element * elements + winogradCompiling * points ** 1.5 : 0;
  return bytes / caps.bandwidth + 2 * caps.launch + software;
}
