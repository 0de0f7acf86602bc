// Elements by index: take, put, and the whole numbers that indices are. A piece of work is a row, element by element, as where the
// next one lies is known at run time only.
//   take: y[b, c, j] = x[b, c, index[b, j]]        put: y[b, c, index[b, j]] += x[b, c, j]

import { putOp, takeOp, toInt32Op } from "@conv/ops";
import { sizeOf } from "@conv/tensor";
import { inputAt, outputAt, type CpuKernel, type Stage, type Task } from "../code.ts";
import { f32, f32x4, i32, v128, type Func, type Local } from "../wasm/asm.ts";
import { streamTime } from "./walk.ts";

/** A stage over rows of x and of y, with the row of indices that they share. */
function rows(name: string, { inputs: [x, index], outputs: [y] }: Task, body: (f: Func, s: Local, i: Local, d: Local, count: number) => void): Stage {
  const [b, c, size] = x.shape;
  const count = index.shape[1];
  return {
    name: `${name}_${c}_${size}_${y.shape[2]}`,
    items: b * c,
    reads: [inputAt(0), inputAt(1)],
    writes: [outputAt(0)],
    emit(_, f, [from, indices, into], { lo, hi }) {
      const [row, s, i, d] = f.ints("row", "s", "i", "d");
      f.for(row, lo, hi, 1, () => {
        f.set(s, i32.add(from, i32.mul(row, size * 4)));
        f.set(i, i32.add(indices, i32.mul(i32.div(row, c), count * 4)));
        f.set(d, i32.add(into, i32.mul(row, y.shape[2] * 4)));
        body(f, s, i, d, count);
      });
    },
  };
}

const stages: Readonly<Record<string, (task: Task) => Stage>> = {
  [takeOp.name](task) {
    const [, , size] = task.inputs[0].shape;
    return rows("take", task, (f, s, i, d, count) => {
      if (size === 0) return f.fill(d, 0, count * 4);
      const [at, within] = f.ints("at", "within");
      f.repeat(count, "elements", () => {
        f.set(at, i32.load(i));
        f.set(within, i32.ltU(at, size));
        // The first element stands for one out of range.
        f.storeI32(d, i32.select(within, i32.load(i32.add(s, i32.mul(i32.select(within, at, 0), 4))), 0));
        f.bump(i, 4);
        f.bump(d, 4);
      });
    });
  },
  [putOp.name](task) {
    const [, , size] = task.outputs[0].shape;
    return rows("put", task, (f, s, i, d, count) => {
      f.fill(d, 0, size * 4);
      const [at, to] = f.ints("at", "to");
      f.repeat(count, "elements", () => {
        f.set(at, i32.load(i));
        f.if(i32.ltU(at, size), () => {
          f.set(to, i32.add(d, i32.mul(at, 4)));
          f.storeF32(to, f32.add(f32.load(to), f32.load(s)));
        });
        f.bump(i, 4);
        f.bump(s, 4);
      });
    });
  },
  // Buffers end on a cache line, so the last vector may run past the last element.
  [toInt32Op.name]: ({ inputs: [x] }) => ({
    name: "toInt32",
    items: Math.ceil(sizeOf(x.shape) / 4),
    reads: [inputAt(0)],
    writes: [outputAt(0)],
    emit(_, f, [from, into], { lo, hi }) {
      const item = f.local("i32", "item");
      const [s, d] = [from, into].map((base, i) => f.let("i32", "sd".charAt(i), i32.add(base, i32.mul(lo, 16))));
      f.for(item, lo, hi, 1, () => {
        f.store(d, f32x4.truncSat(v128.load(s)));
        f.bump(s, 16);
        f.bump(d, 16);
      });
    },
  }),
};

export const take: CpuKernel = {
  name: "take",
  declines: (task) => (task.op.name in stages ? null : "takes elements by index"),
  estimate: streamTime,
  build: (task) => ({ scratch: [], stages: [stages[task.op.name](task)] }),
};
