// Elements by index. The place of the next element is known only at run time, so elements are moved
// one by one.
//   gather: y[b, c, j] = x[b, c, index[b, j]]    scatterAdd: y[b, c, index[b, j]] += x[b, c, j]
// It also casts float32 to int32, since indices are whole numbers.

import { scatterAddOp, gatherOp, castOp } from "@conv/ops";
import { isOp, sizeOf } from "@conv/tensor";
import { inputAt, outputAt, type CpuKernel, type Stage, type Task } from "../../compile/code.ts";
import { type Local, f32, f32x4, i32, i32x4, v128 } from "../../wasm/asm.ts";
import { BLOCK } from "../gemm/blocking.ts";
import { inParts, partAt, storeLanes, streamTime } from "./walk.ts";

/** Rows that are read by one set of indices: each index is looked at once for all of them. */
const ROWS = 4;

/** Blocks of rows of x and of y; four elements of each row at a time. */
function gatherStage({ inputs: [x, index] }: Task): Stage {
  const [b, c, ...space] = x.shape;
  const [size, count] = [sizeOf(space), sizeOf(index.shape.slice(1))];
  const blocks = Math.ceil(c / ROWS);
  return {
    name: `take_${c}_${size}_${count}`,
    items: b * blocks,
    reads: [inputAt(0), inputAt(1)],
    writes: [outputAt(0)],
    emit(_, f, [from, indices, into], { lo, hi }) {
      const [item, batch, block, s, i, d] = f.ints("item", "batch", "block", "s", "i", "d");
      const places = f.ints("at0", "at1", "at2", "at3");
      const [at, kept, within, v] = ["at", "kept", "within", "v"].map((name) =>
        f.local("v128", name),
      );
      const some = (rows: number, lanes: number) => {
        f.set(at, v128.load(i));
        // The last element stands for one out of range.
        f.set(kept, i32x4.minU(at, i32x4.const(size - 1)));
        f.set(within, i32x4.eq(at, kept));
        f.set(kept, i32x4.shl(kept, 2));
        for (let l = 0; l < lanes; l++) f.set(places[l], i32.add(s, i32x4.lane(kept, l)));
        for (let r = 0; r < rows; r++) {
          for (let l = 0; l < lanes; l++)
            f.set(
              v,
              l
                ? v128.loadLane(places[l], v, l, r * size * 4)
                : v128.loadZero32(places[l], r * size * 4),
            );
          f.set(v, v128.and(v, within));
          storeLanes(f, d, v, lanes, r * count * 4);
        }
      };
      f.for(item, lo, hi, 1, () => {
        f.set(batch, i32.div(item, blocks));
        f.set(block, i32.rem(item, blocks));
        f.set(i, i32.add(indices, i32.mul(batch, count * 4)));
        f.set(
          s,
          i32.add(from, i32.add(i32.mul(batch, c * size * 4), i32.mul(block, ROWS * size * 4))),
        );
        f.set(
          d,
          i32.add(into, i32.add(i32.mul(batch, c * count * 4), i32.mul(block, ROWS * count * 4))),
        );
        partAt(f, block, c, ROWS, (rows) => {
          if (size === 0) return f.fill(d, 0, rows * count * 4);
          f.repeat(count >> 2, "vectors", () => {
            some(rows, 4);
            f.bump(i, 16);
            f.bump(d, 16);
          });
          if (count % 4) some(rows, count % 4);
        });
      });
    },
  };
}

const stageOf = new Map<unknown, (task: Task) => Stage>([
  [gatherOp, gatherStage],
  // A row after the other: two elements of one may have the same place.
  [
    scatterAddOp,
    ({ inputs: [x], outputs: [y] }) => {
      const [b, c, ...space] = x.shape;
      const [count, size] = [sizeOf(space), sizeOf(y.shape.slice(2))];
      // All may meet in one place: blocks are summed apart, and then added.
      const block = Math.max(BLOCK, size);
      const room = Math.ceil(size / 4) * 16;
      return {
        name: `put_${c}_${count}_${size}`,
        threadScratch: count > block ? room : 0,
        items: b * c,
        reads: [inputAt(0), inputAt(1)],
        writes: [outputAt(0)],
        emit(_, f, [from, indices, into], { lo, hi, threadScratch }) {
          const [row, s, i, d, at, to, p, q] = f.ints("row", "s", "i", "d", "at", "to", "p", "q");
          const elements = (count: number, d: Local) =>
            f.repeat(count, "elements", () => {
              f.set(at, i32.load(i));
              f.if(i32.ltU(at, size), () => {
                f.set(to, i32.add(d, i32.mul(at, 4)));
                f.storeF32(to, f32.add(f32.load(to), f32.load(s)));
              });
              f.bump(i, 4);
              f.bump(s, 4);
            });
          f.for(row, lo, hi, 1, () => {
            f.set(s, i32.add(from, i32.mul(row, count * 4)));
            f.set(i, i32.add(indices, i32.mul(i32.div(row, c), count * 4)));
            f.set(d, i32.add(into, i32.mul(row, size * 4)));
            f.fill(d, 0, size * 4);
            if (count <= block) return elements(count, d);
            inParts(f, count, block, (count) => {
              f.fill(threadScratch, 0, room);
              elements(count, threadScratch);
              f.set(p, threadScratch);
              f.set(q, d);
              inParts(f, size, 4, (lanes) => {
                const sum = f.let("v128", "sum", f32x4.add(v128.load(q), v128.load(p)));
                storeLanes(f, q, sum, lanes);
                f.bump(p, 16);
                f.bump(q, 16);
              });
            });
          });
        },
      };
    },
  ],
  // Buffers end on a cache line, so the last vector may run past the last element.
  [
    castOp,
    ({ inputs: [x] }) => ({
      name: "toInt32",
      items: Math.ceil(sizeOf(x.shape) / 4),
      reads: [inputAt(0)],
      writes: [outputAt(0)],
      emit(_, f, [from, into], { lo, hi }) {
        const item = f.local("i32", "item");
        const [s, d] = [from, into].map((base, i) =>
          f.let("i32", "sd".charAt(i), i32.add(base, i32.mul(lo, 16))),
        );
        f.for(item, lo, hi, 1, () => {
          f.store(d, f32x4.truncSat(v128.load(s)));
          f.bump(s, 16);
          f.bump(d, 16);
        });
      },
    }),
  ],
]);

export const gather: CpuKernel = {
  name: "gather",
  ops: [gatherOp, scatterAddOp, castOp],
  unsupportedReason: (task) =>
    isOp(task, castOp) && task.inputs[0].dtype !== "float32" ? "casts float32 to int32 only" : null,
  estimate: streamTime,
  build: (task) => ({ scratch: [], stages: [stageOf.get(task.op)!(task)] }),
};
