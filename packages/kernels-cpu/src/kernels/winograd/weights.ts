// The transform of the weights for Winograd's short convolutions: G·w·Gᵀ, packed for the products.

import { combinations, type Tiling } from "@conv/compiler";
import { exactly, sizeOf, stridesOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import { inputAt, type Place, type Stage } from "../../compile/code.ts";
import { i32, v128, type Local } from "../../wasm/asm.ts";
import type { Func } from "../../wasm/module.ts";
import { rowsPerTile } from "../gemm/blocking.ts";
import { partAt } from "../move/walk.ts";
import { combine } from "./toomCook.ts";

/** Lines of taps along h: each gives a vector for every point along w. */
const linesOf = ({ h }: Tiling): number => h.short.g[0].length;

const VARIABLES = [
  ...["item", "s", "d", "channel", "block", "group", "line", "column", "j", "into"],
] as const;

/**
 * The stage that transforms the weights: [group][point][block of rows][depth][row of the block].
 */
export function weightStage(t: Tiling, caps: Caps, packed: Place): Stage {
  const { g, h, w, axes, depth, points } = t;
  const mr = rowsPerTile(g.to);
  const perGroup = Math.ceil(g.to / mr);
  // For each step of the depth but channels, the taps along every axis.
  const summed = combinations(axes.map((x) => x.taps));
  return {
    name: `winogradWeights${exactly([g.kernel, g.to, g.from, g.groups, g.wTo, g.wFrom, h, w, summed, caps.relaxed])}`,
    items: g.groups * perGroup,
    reads: [inputAt(1)],
    writes: [packed],
    threadScratch: linesOf(t) * w.n * 16,
    emit(_, f, [from, to], { lo, hi, threadScratch }) {
      const v = f.vars(...VARIABLES);
      const { item, s, d, channel, block, group } = v;
      f.for(item, lo, hi, 1, () => {
        f.set(group, i32.div(item, perGroup));
        f.set(block, i32.rem(item, perGroup));
        f.set(
          s,
          i32.add(
            from,
            i32.add(
              i32.mul(group, g.to * g.from * sizeOf(g.kernel) * 4),
              i32.mul(block, mr * g.wTo * 4),
            ),
          ),
        );
        f.set(
          d,
          i32.add(
            to,
            i32.add(i32.mul(group, g.to * depth * points * 4), i32.mul(block, mr * depth * 4)),
          ),
        );
        partAt(f, block, g.to, mr, (count) =>
          f.for(channel, 0, g.from, 1, () => {
            for (const taps of summed) {
              for (let row = 0; row < count; row += 4)
                transformRows(
                  { f, t, caps, v, threadScratch },
                  taps,
                  row,
                  Math.min(4, count - row),
                );
              f.bump(d, count * 4);
            }
            f.bump(s, g.wFrom * 4);
          }),
        );
      });
    },
  };
}

/** What the code of a transform reads and writes. */
interface Emission {
  readonly f: Func;
  readonly t: Tiling;
  readonly caps: Caps;
  readonly v: Readonly<Record<(typeof VARIABLES)[number], Local>>;
  readonly threadScratch: Local;
}

/** Emits G·w·Gᵀ of the taps of `lanes` output channels from `row` on, at most four. */
function transformRows(
  { f, t, caps, v: { s, d, line, column, j, into }, threadScratch }: Emission,
  taps: readonly (readonly number[])[],
  row: number,
  lanes: number,
): void {
  const { g, h, w, depth } = t;
  const lines = linesOf(t);
  const strides = stridesOf(g.kernel);
  const alongH = strides.at(-2) ?? 0;
  const offset = taps.slice(0, -2).reduce((sum, [k], a) => sum + k * strides[a], 0);
  const [tapsH, tapsW] = [taps.at(-2) ?? [0], taps.at(-1)!];
  const load = (kw: number) => {
    if (kw < 0) return f.let("v128", "none", 0);
    const at = offset + tapsH[0] * alongH + kw;
    const v = f.let("v128", "w_", v128.loadZero32(line, (at + row * g.wTo) * 4));
    for (let lane = 1; lane < lanes; lane++)
      f.set(v, v128.loadLane(line, v, lane, (at + (row + lane) * g.wTo) * 4));
    return v;
  };
  // Along w, line by line. Taps along h have equal distances; missing ones come last.
  const known = tapsH.filter((kh) => kh >= 0).length;
  const apart = known > 1 ? tapsH[1] - tapsH[0] : 0;
  f.set(column, threadScratch);
  f.set(line, s);
  f.for(j, 0, known, 1, () => {
    combine(f, caps, w.short.g, tapsW.map(load)).forEach((v, i) =>
      f.store(column, v, i * lines * 16),
    );
    f.bump(column, 16);
    f.bump(line, apart * alongH * 4);
  });
  for (let r = known; r < lines; r++)
    for (let i = 0; i < w.n; i++) f.store(threadScratch, 0, (i * lines + r) * 16);
  // Along h, column by column.
  f.set(column, threadScratch);
  f.set(into, d);
  f.for(j, 0, w.n, 1, () => {
    const half = tapsH.map((_, r) => f.let("v128", "half", v128.load(column, r * 16)));
    combine(f, caps, h.short.g, half).forEach((v, i) => {
      const at = (i * w.n * depth * g.to + row) * 4;
      if (lanes === 4) f.store(into, v, at);
      else for (let lane = 0; lane < lanes; lane++) f.storeLane(into, v, lane, at + lane * 4);
    });
    f.bump(column, lines * 16);
    f.bump(into, depth * g.to * 4);
  });
}
