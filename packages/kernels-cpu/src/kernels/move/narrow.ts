// Moves of elements of one or two bytes, one by one: boxes of strided elements, padding and gather.

import { boxesOf, paddedBox, type Box } from "@conv/compiler";
import { broadcastToOp, concatOp, gatherOp, padOp, sliceOp, transposeOp } from "@conv/ops";
import { dtypeNames, infoOf, isOp, sizeOf } from "@conv/tensor";
import { inputAt, outputAt, type CpuKernel, type Stage, type Task } from "../../compile/code.ts";
import { i32 } from "../../wasm/asm.ts";
import { loadBits } from "../elementwise/typed.ts";
import { locate, streamTime } from "./walk.ts";

/** Copies a box of input `index`, a row along the last axis at a time. */
function boxStage({ shape, from, into }: Box, index: number, bytes: number): Stage {
  const rows = shape.slice(0, -1);
  const count = shape.at(-1) ?? 1;
  // Strides of `locate` count elements of four bytes.
  const axes = rows.map((size, a) => ({
    size,
    strides: [from.strides[a], into.strides[a]].map((s) => (s * bytes) / 4),
  }));
  const [stepFrom, stepInto] = [from, into].map(({ strides }) => (strides.at(-1) ?? 0) * bytes);
  const [baseFrom, baseInto] = [from, into].map(({ base = 0 }) => base * bytes);
  return {
    name: `box_${bytes}_${[shape, from.strides, into.strides, baseFrom, baseInto].join("_")}`,
    items: count ? sizeOf(rows) : 0,
    reads: [inputAt(index)],
    writes: [outputAt(0)],
    disjointFromPrevious: index > 0,
    emit(_, f, [source, target], { lo, hi }) {
      const [item, s, d] = f.ints("item", "s", "d");
      f.for(item, lo, hi, 1, () => {
        locate(f, item, axes, [
          { at: s, base: i32.add(source, baseFrom), stride: 0 },
          { at: d, base: i32.add(target, baseInto), stride: 1 },
        ]);
        f.repeat(count, "elements", () => {
          f.storeBytes(d, loadBits(bytes, s), bytes);
          f.bump(s, stepFrom);
          f.bump(d, stepInto);
        });
      });
    },
  };
}

/** Zeros in all of y. */
const clearStage = (bytes: number): Stage => ({
  name: `clear_${bytes}`,
  items: 1,
  reads: [],
  writes: [outputAt(0)],
  emit: (_, f, [y]) => f.fill(y, 0, bytes),
});

/** y[b, c, j] = x[b, c, index[b, j]], or 0 where the index is out of range. */
function gatherStage({ inputs: [x, index], outputs: [y] }: Task, bytes: number): Stage {
  const [b, c, ...space] = x.shape;
  const [size, count] = [sizeOf(space), sizeOf(index.shape.slice(1))];
  return {
    name: `gather_${bytes}_${c}_${size}_${count}`,
    items: sizeOf(y.shape) ? b * c : 0,
    reads: [inputAt(0), inputAt(1)],
    writes: [outputAt(0)],
    emit(_, f, [from, indices, into], { lo, hi }) {
      const [row, i, at, p, d] = f.ints("row", "i", "at", "p", "d");
      f.set(d, i32.add(into, i32.mul(lo, count * bytes)));
      f.for(row, lo, hi, 1, () => {
        f.set(i, i32.add(indices, i32.mul(i32.div(row, c), count * 4)));
        f.repeat(count, "elements", () => {
          f.set(at, i32.load(i));
          f.storeBytes(d, 0, bytes);
          f.if(i32.ltU(at, size), () => {
            f.set(p, i32.add(from, i32.mul(i32.add(i32.mul(row, size), at), bytes)));
            f.storeBytes(d, loadBits(bytes, p), bytes);
          });
          f.bump(i, 4);
          f.bump(d, bytes);
        });
      });
    },
  };
}

function stagesOf(task: Task): Stage[] {
  const [y] = task.outputs;
  const { bytes } = infoOf(y.dtype);
  if (isOp(task, gatherOp)) return [gatherStage(task, bytes)];
  if (isOp(task, padOp))
    return [
      clearStage(sizeOf(y.shape) * bytes),
      boxStage(paddedBox(task.inputs[0].shape, y.shape, task.params), 0, bytes),
    ];
  return boxesOf(task, task.inputs)!.map((box, i) => boxStage(box, i, bytes));
}

export const narrow: CpuKernel = {
  name: "narrow",
  ops: [transposeOp, broadcastToOp, sliceOp, concatOp, padOp, gatherOp],
  dtypes: dtypeNames,
  unsupportedReason: ({ outputs: [y] }) =>
    infoOf(y.dtype).bytes < 4 ? null : "moves elements of one or two bytes",
  estimate: (task, caps) => 8 * streamTime(task, caps),
  build: (task) => ({ scratch: [], stages: stagesOf(task) }),
};
