// Winograd's short convolutions, along one axis or two: convolution of any rank with small kernels,
// strides, dilation and groups, and its gradient to the input. Tiles of the source are transformed,
// multiplied point by point as matrix products over channels, and transformed back:
//   y[oc, tile] = Aᵀ[ Σ over c of (G·w[oc, c]·Gᵀ) ⊙ (Bᵀ·x[c, tile]·B) ]A
// The weights are transformed once, for as long as they stay. What is not finite then is summed
// plainly (repair.ts). What lies between goes through memory, in parts if that would be too much.

import { gatherOf, isConvOrGradInput, ROUNDOFF, tilings, type Tiling } from "@conv/compiler";
import type { Caps } from "../../compile/caps.ts";
import {
  inputAt,
  scratchAt,
  type GpuKernel,
  type GpuStage,
  type Place,
  type Scratch,
} from "../../compile/code.ts";
import { emitEpilogue } from "../../wgsl/wgsl.ts";
import { registersShader } from "../direct/registersShader.ts";
import { chosenFor } from "../direct/tiles.ts";
import type { Product } from "../gemm/product.ts";
import type { Tile } from "../gemm/tile.ts";
import { tiledShader, widthsOf } from "../gemm/tiledShader.ts";
import { tileFor } from "../gemm/tiles.ts";
import { inputStage, outputStage, weightStage } from "./transforms.ts";

/** Bytes that transformed weights, and that transformed tiles or their products, may take. */
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
 * The faster of products by threads that work alone and by workgroups, which want their operands to
 * lie in another way.
 */
export function productTime(alone: Product, together: Product, caps: Caps): Multiplied {
  const [byThreads, byWorkgroups] = [chosenFor(alone, caps), tileFor(together, false, caps)];
  return byThreads.seconds < byWorkgroups.seconds
    ? { product: alone, tile: null, seconds: byThreads.seconds }
    : { product: together, tile: byWorkgroups.tile, seconds: byWorkgroups.seconds };
}

/** How the tiles of a convolution are multiplied: in so many parts of so many columns. */
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
 * m[point][group][output channel][column] = Σ over channels and plain taps of u · v; `across`: u
 * has output channels innermost.
 */
function productOf({ g, depth, points }: Tiling, columns: number, across: boolean): Product {
  return {
    groups: { count: points * g.groups, a: g.to * depth, x: depth * columns, y: g.to * columns },
    rows: { count: g.to, a: across ? 1 : depth, y: columns },
    axes: [
      {
        grid: 1,
        taps: depth,
        step: 0,
        delta: 1,
        first: 0,
        size: depth,
        a: across ? g.to : 1,
        x: columns,
        y: 0,
      },
      { grid: columns, taps: 1, step: 1, delta: 0, first: 0, size: columns, a: 0, x: 1, y: 1 },
    ],
    offset: { a: 0, x: 0, y: 0 },
  };
}

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

/**
 * The family F(points − taps + 1, taps) along `dims` axes. Stated bound of the error: |Δy| ≤ factor
 * · 2⁻²³ · Σ |x|*·|w|, where |x|* is the largest |x| of the channel's plane; the error itself comes
 * of those that share a tile.
 */
export const winograd = (points: 4 | 6 | 8, dims: 1 | 2): GpuKernel => ({
  name: `winograd${dims}d${points}`,
  fuses: ["channel", "element"],
  roundoff: ROUNDOFF[points],
  unsupportedReason(task, caps) {
    if (!isConvOrGradInput(task)) return "does convolution and its gradient to the input";
    const all = tilings(gatherOf(task), points, dims);
    if (typeof all === "string") return all;
    // Beside the operands: products, where they begin, and the output.
    if (task.inputs.length + 3 > caps.storageBuffers)
      return `binds ${task.inputs.length + 3} buffers, the adapter ${caps.storageBuffers}`;
    const [bytes, most] = [
      Math.max(...all.map(weightBytes)),
      Math.min(MOST_WEIGHTS, caps.bindingBytes),
    ];
    return bytes > most ? `transforms weights to at most ${most} bytes, not ${bytes}` : null;
  },
  estimate(task, caps) {
    const all = tilings(gatherOf(task), points, dims) as Tiling[];
    return all.reduce((total, t) => {
      const plan = planFor(t, caps);
      return total + plan.count * (plan.seconds + transformTime(t, plan, caps));
    }, 0);
  },
  build(task, caps) {
    const all = tilings(gatherOf(task), points, dims) as Tiling[];
    const plans = all.map((t) => planFor(t, caps));
    const scratch: Scratch[] = [];
    const stages: GpuStage[] = [];
    const room = (s: Scratch) => scratchAt(scratch.push(s) - 1);
    const bytes = (rows: (t: Tiling) => number) =>
      Math.max(...all.map((t, i) => 4 * t.points * t.g.groups * rows(t) * plans[i].columns));
    const [v, m] = [room({ bytes: bytes((t) => t.depth) }), room({ bytes: bytes((t) => t.g.to) })];
    all.forEach((t, i) => {
      const { count, columns, tile } = plans[i];
      const u = room({ bytes: weightBytes(t), packs: 1 });
      const product = productStage(plans[i], caps, { a: u, x: v, y: m });
      stages.push(weightStage(t, tile !== null, u));
      for (let n = 0; n < count; n++) {
        const start =
          count > 1 ? room({ bytes: 4, element: "i32", data: Int32Array.of(n * columns) }) : null;
        const part = { columns, start, ragged: count * columns > t.tiles };
        stages.push(inputStage(t, part, inputAt(0), v), product, outputStage(t, task, part, m));
      }
    });
    return { scratch, stages };
  },
});

/**
 * Seconds of the transforms of so many tiles, and of products that become `taps`: what they and the
 * products move through memory.
 */
export function transformTime(
  { g, points, depth, w, h }: Tiling,
  { columns, taps = 0 }: { columns: number; taps?: number | undefined },
  caps: Caps,
): number {
  const elements = points * g.groups * (depth + g.to) * columns + taps;
  const outputs = g.groups * (g.from + g.to) * w.m * h.m * columns;
  const bytes = 4 * (2 * elements + points * g.groups * g.to * depth + outputs);
  const software = caps.software ? SOFTWARE * elements + COMPILING * points ** 1.5 : 0;
  return bytes / caps.bandwidth + 2 * caps.launch + software;
}

/**
 * Seconds that SwiftShader takes, on two cores, to load an element of a tile and to store one,
 * besides the memory's time (see direct.ts).
 */
const SOFTWARE = 4.5e-9;

/**
 * Seconds that a transform may cost a run on a software adapter, times points^1.5: compiling it
 * takes there a millisecond times that, for programs that run a thousand times.
 */
const COMPILING = 1e-6;
