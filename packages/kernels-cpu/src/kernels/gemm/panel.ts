// Fills the two sides of a matrix product (gemm.ts) from rows in memory.

import { exactly } from "@conv/tensor";
import type { Place, Stage } from "../../compile/code.ts";
import { i32, v128, type Local, type Operand } from "../../wasm/asm.ts";
import type { Func } from "../../wasm/module.ts";
import { loadStepped } from "../move/pad.ts";
import { partAt } from "../move/walk.ts";
import { rowsPerTile } from "./blocking.ts";
import type { TileSetup } from "./gemm.ts";

/**
 * Rows m of a matrix, k long, in pieces: element (m, k) of product `problem`, piece `p` is at the
 * sum of its strides (in elements).
 */
export interface Rows {
  readonly problems: number;
  readonly m: number;
  /** Pieces of k (images of a batch), and elements of k in each. */
  readonly pieces: number;
  readonly k: number;
  readonly problemStride: number;
  readonly rowStride: number;
  readonly pieceStride: number;
  readonly kStride: number;
}

/** The stage that packs the left side: [problem][block][piece][k][row of the block]. */
export function packRows(r: Rows, from: Place, into: Place): Stage {
  const mr = rowsPerTile(r.m);
  const blocks = Math.ceil(r.m / mr);
  const depth = r.pieces * r.k;
  return {
    name: `rows${exactly(r)}`,
    items: r.problems * blocks * r.pieces,
    reads: [from],
    writes: [into],
    emit(_, f, [source, target], { lo, hi }) {
      const [item, piece, block, problem, s, d, k] = f.ints(
        "item",
        "piece",
        "block",
        "problem",
        "s",
        "d",
        "k_",
      );
      f.for(item, lo, hi, 1, () => {
        f.set(piece, i32.rem(item, r.pieces));
        f.set(block, i32.div(item, r.pieces));
        f.set(problem, i32.div(block, blocks));
        f.set(block, i32.rem(block, blocks));
        f.set(s, i32.add(source, i32.mul(problem, r.problemStride * 4)));
        f.bump(s, i32.add(i32.mul(block, mr * r.rowStride * 4), i32.mul(piece, r.pieceStride * 4)));
        f.set(
          d,
          i32.add(
            target,
            i32.add(i32.mul(problem, r.m * depth * 4), i32.mul(block, mr * depth * 4)),
          ),
        );
        const rows = (count: number) => {
          f.bump(d, i32.mul(piece, r.k * count * 4));
          const v = f.local("v128", "v");
          // Four steps of k at once if they are neighbors.
          const wide = r.kStride === 1 ? 4 : 1;
          const steps = (n: number) => {
            for (let row = 0; row < count; row++) {
              f.set(
                v,
                n === 4
                  ? v128.load(s, row * r.rowStride * 4)
                  : v128.loadZero32(s, row * r.rowStride * 4),
              );
              for (let lane = 0; lane < n; lane++)
                f.storeLane(d, v, lane, (lane * count + row) * 4);
            }
            f.bump(s, n * r.kStride * 4);
            f.bump(d, n * count * 4);
          };
          f.for(k, 0, Math.floor(r.k / wide), 1, () => steps(wide));
          if (wide > 1) f.for(k, 0, r.k % wide, 1, () => steps(1));
        };
        partAt(f, block, r.m, mr, rows);
      });
    },
  };
}

/** The first `count` columns of four vectors of four. */
export function transpose4(f: Func, [a, b, c, d]: readonly Local[], count = 4): Local[] {
  const t = (name: string, x: Local, y: Local, ...lanes: number[]) =>
    f.let("v128", name, v128.shuffle(x, y, ...lanes));
  const columns: Local[] = [];
  for (let pair = 0; pair < count; pair += 2) {
    const [ab, cd] = [
      t("ab", a, b, pair, pair + 4, pair + 1, pair + 5),
      t("cd", c, d, pair, pair + 4, pair + 1, pair + 5),
    ];
    columns.push(t("column", ab, cd, 0, 1, 4, 5));
    if (pair + 1 < count) columns.push(t("column", ab, cd, 2, 3, 6, 7));
  }
  return columns;
}

/**
 * Emits a piece of a panel whose columns run along k in memory: `count` steps of k, `step` elements
 * apart, of the columns at `pointers`, to [k][columns] at `into`. Pointers and `into` are moved
 * past what was read and written.
 */
export function transposedPanel(
  f: Func,
  pointers: readonly Local[],
  into: Local,
  count: number | Local,
  step: number,
): void {
  const nr = pointers.length;
  const four = (store: number | null) => {
    for (let half = 0; half < nr / 4; half++) {
      const rows = transpose4(
        f,
        pointers
          .slice(half * 4, half * 4 + 4)
          .map((p) => loadStepped(f, p, 0, step, "row", store ?? 4)),
      );
      rows.slice(0, store ?? 4).forEach((r, k) => f.store(into, r, k * nr * 4 + half * 16));
    }
    const moved = store ?? 4;
    for (const p of pointers) f.bump(p, moved * step * 4);
    f.bump(into, moved * nr * 4);
  };
  const i = f.local("i32", "i");
  const fours: Operand = typeof count === "number" ? count >> 2 : i32.shr(count, 2);
  f.for(i, 0, fours, 1, () => four(null));
  if (typeof count === "number") {
    if (count % 4) four(count % 4);
  } else f.for(i, 0, i32.and(count, 3), 1, () => four(1));
}

/**
 * Emits the setup of a tile whose columns are neighbors in y. Its record holds the address from
 * which each column is read: `address` of the column's number. Columns past the last have the
 * address of the last.
 */
export function eachColumn(
  { f, column, columns, lanes, own, joined, scattered }: TileSetup,
  address: (column: Local) => Operand,
): void {
  const [lane, c] = f.ints("lane", "c");
  f.if(i32.eq(lanes, columns), () => joined(i32.mul(column, 4)));
  f.for(lane, 0, columns, 1, () => {
    f.set(c, i32.add(column, i32.select(i32.lt(lane, lanes), lane, i32.sub(lanes, 1))));
    scattered(lane, i32.mul(c, 4));
    f.storeI32(i32.add(own, i32.mul(lane, 4)), address(c));
  });
}
