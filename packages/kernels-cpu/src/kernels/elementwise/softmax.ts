// Softmax and its logarithm, in three passes over a row: m = max x, t = Σ exp(x − m), then y =
// exp(x − m) / t or x − m − log t.
//   along the innermost axis:  a row is vectors, the last one masked
//   along any other:           four neighboring rows are the lanes of a vector

import { logSoftmaxOp, softmaxOp, type Expr, type SoftmaxParams } from "@conv/ops";
import { sizeOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import { inputAt, outputAt, type CpuKernel, type Stage } from "../../compile/code.ts";
import { f32x4, i32, v128, type Local, type Operand } from "../../wasm/asm.ts";
import type { Func } from "../../wasm/module.ts";
import { BLOCK } from "../gemm/blocking.ts";
import { acrossLanes } from "../move/pad.ts";
import { inParts, keepLanes, partAt, storeLanes, totalsOf } from "../move/walk.ts";
import { emitExpr } from "./expr.ts";

/** Rows of up to this many vectors are unrolled. */
const UNROLLED = 8;

export const softmax: CpuKernel<SoftmaxParams> = {
  name: "softmax",
  ops: [softmaxOp, logSoftmaxOp],
  // 1.5 ns an element: an exponential of four elements takes 20 operations.
  estimate: ({ inputs: [x] }, { threads }) => (sizeOf(x.shape) * 1.5e-9) / threads + 1e-6,
  build({ op, params, inputs: [{ shape }] }, caps) {
    const { axis } = params;
    const logarithm = op === logSoftmaxOp;
    const [outer, size, inner] = [
      sizeOf(shape.slice(0, axis)),
      shape[axis],
      sizeOf(shape.slice(axis + 1)),
    ];
    return {
      scratch: [],
      stages: [
        inner === 1
          ? alongRows(outer, size, logarithm, caps)
          : acrossRows(outer, size, inner, logarithm, caps),
      ],
    };
  },
};

/**
 * The steps on a vector of x, and where the results of the passes are stored; y has exp(x − m)
 * after the second pass, unless only the sum is needed.
 */
interface Passes {
  /**
   * Calls `body` with pointers into x and y for every vector of the row, `lanes` of which count,
   * and `after` after each block of them.
   */
  each(body: (x: Local, y: Local, lanes: number, offset: number) => void, after?: () => void): void;
  /** Combines the lanes, if they belong to one row. */
  join(v: Local, combine: typeof f32x4.add): void;
}

function emitPasses(
  f: Func,
  caps: Caps,
  logarithm: boolean,
  maskRows: boolean,
  { each, join }: Passes,
): void {
  const largest = f.let("v128", "largest", -Infinity);
  const total = f.let("v128", "total", 0);
  const { flush, finish } = totalsOf(f, [total]);
  const evaluate = (e: Expr, values: Record<string, Operand>): Local =>
    f.let("v128", "value", emitExpr(f, caps, e, values));
  const kept = (v: Operand, lanes: number, other: number): Operand =>
    lanes < 4 && maskRows ? keepLanes(v, lanes, other) : v;
  each((x, _, lanes, offset) =>
    f.set(largest, f32x4.max(largest, kept(v128.load(x, offset), lanes, -Infinity))),
  );
  join(largest, f32x4.max);
  each((x, y, lanes, offset) => {
    const e = evaluate(["exp", ["sub", "x", "m"]], { x: v128.load(x, offset), m: largest });
    f.set(total, f32x4.add(total, kept(e, lanes, 0)));
    if (!logarithm) storeLanes(f, y, e, lanes, offset);
  }, flush);
  finish();
  join(total, f32x4.add);
  if (logarithm) {
    const log = evaluate(["log", "t"], { t: total });
    each((x, y, lanes, offset) =>
      storeLanes(
        f,
        y,
        f.let("v128", "value", f32x4.sub(f32x4.sub(v128.load(x, offset), largest), log)),
        lanes,
        offset,
      ),
    );
    return;
  }
  f.set(total, f32x4.div(1, total));
  each((_, y, lanes, offset) =>
    storeLanes(f, y, f.let("v128", "value", f32x4.mul(v128.load(y, offset), total)), lanes, offset),
  );
}

const nameOf = (logarithm: boolean, caps: Caps, ...sizes: number[]) =>
  `${logarithm ? "logSoftmax" : "softmax"}_${sizes.join("_")}${caps.relaxed ? "_relaxed" : ""}`;

function alongRows(rows: number, size: number, logarithm: boolean, caps: Caps): Stage {
  return {
    name: nameOf(logarithm, caps, size),
    items: rows,
    reads: [inputAt(0)],
    writes: [outputAt(0)],
    emit(_, f, [x, y], { lo, hi }) {
      const item = f.local("i32", "item");
      const p = f.let("i32", "p", i32.add(x, i32.mul(lo, size * 4)));
      const q = f.let("i32", "q", i32.add(y, i32.mul(lo, size * 4)));
      const [s, d] = [f.local("i32", "s"), f.local("i32", "d")];
      const vectors = size >> 2;
      const tail = size % 4;
      f.for(item, lo, hi, 1, () => {
        emitPasses(f, caps, logarithm, true, {
          join: (v, combine) => acrossLanes(f, v, combine),
          each(body, after) {
            if (vectors <= UNROLLED) {
              for (let v = 0; v < vectors; v++) body(p, q, 4, v * 16);
              return tail ? body(p, q, tail, vectors * 16) : undefined;
            }
            f.set(s, p);
            f.set(d, q);
            inParts(f, vectors, BLOCK, (count) => {
              f.repeat(count, "vectors", () => {
                body(s, d, 4, 0);
                f.bump(s, 16);
                f.bump(d, 16);
              });
              after?.();
            });
            return tail ? body(s, d, tail, 0) : undefined;
          },
        });
        f.bump(p, size * 4);
        f.bump(q, size * 4);
      });
    },
  };
}

function acrossRows(
  outer: number,
  size: number,
  inner: number,
  logarithm: boolean,
  caps: Caps,
): Stage {
  const groups = Math.ceil(inner / 4);
  return {
    name: nameOf(logarithm, caps, size, inner),
    items: outer * groups,
    reads: [inputAt(0)],
    writes: [outputAt(0)],
    emit(_, f, [x, y], { lo, hi }) {
      const [item, group, start] = f.ints("item", "group", "start");
      const [s, d] = [f.local("i32", "s"), f.local("i32", "d")];
      f.for(item, lo, hi, 1, () => {
        f.set(group, i32.rem(item, groups));
        f.set(start, i32.add(i32.mul(i32.div(item, groups), size * inner * 4), i32.mul(group, 16)));
        partAt(f, group, inner, 4, (lanes) =>
          emitPasses(f, caps, logarithm, false, {
            join() {},
            each(body, after) {
              f.set(s, i32.add(x, start));
              f.set(d, i32.add(y, start));
              inParts(f, size, BLOCK, (count) => {
                f.repeat(count, "along", () => {
                  body(s, d, lanes, 0);
                  f.bump(s, inner * 4);
                  f.bump(d, inner * 4);
                });
                after?.();
              });
            },
          }),
        );
      });
    },
  };
}
