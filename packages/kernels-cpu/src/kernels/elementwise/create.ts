// Constants, random numbers and one-hot rows. The random numbers are those of the reference, bit by
// bit: integer arithmetic on four indices.

import { fullOp, oneHotOp, randomOp } from "@conv/ops";
import { isOp, sizeOf } from "@conv/tensor";
import { inputAt, outputAt, type CpuKernel, type Stage, type Task } from "../../compile/code.ts";
import { f32x4, i32, i32x4, v128, type Local } from "../../wasm/asm.ts";
import type { Func } from "../../wasm/module.ts";
import { storeLanes, streamTime } from "../move/walk.ts";

function stageOf(task: Task): Stage {
  const [y] = task.outputs;
  if (isOp(task, fullOp)) {
    const { value } = task.params;
    return vectors(`full_${value}`, sizeOf(y.shape), false, (f) => {
      const v = f.let("v128", "v", value);
      return () => v;
    });
  }
  return isOp(task, oneHotOp)
    ? oneHot(task.inputs[0].shape, task.params.classes)
    : vectors("random", sizeOf(y.shape), true, randomVector);
}

const oneHot = (shape: readonly number[], classes: number): Stage => ({
  name: `oneHot_${classes}`,
  items: sizeOf(shape),
  reads: [inputAt(0)],
  writes: [outputAt(0)],
  emit(_, f, [from, into], { lo, hi }) {
    const [item, label] = f.ints("item", "label");
    const zero = f.let("v128", "zero", 0);
    const row = f.let("i32", "row", i32.add(into, i32.mul(lo, classes * 4)));
    const p = f.local("i32", "p");
    f.for(item, lo, hi, 1, () => {
      f.set(p, row);
      f.repeat(classes >> 2, "vectors", () => {
        f.store(p, zero);
        f.bump(p, 16);
      });
      if (classes % 4) storeLanes(f, p, zero, classes % 4);
      f.set(label, i32.load(i32.add(from, i32.mul(item, 4))));
      f.if(i32.ltU(label, classes), () => f.storeF32(i32.add(row, i32.mul(label, 4)), 1));
      f.bump(row, classes * 4);
    });
  },
});

/** A stage that fills y vector by vector: `prepare` returns the value of vector `item`. */
function vectors(
  name: string,
  size: number,
  seeded: boolean,
  prepare: (f: Func, seed: Local) => (item: Local) => Local,
): Stage {
  return {
    name,
    items: Math.ceil(size / 4),
    reads: seeded ? [inputAt(0)] : [],
    writes: [outputAt(0)],
    emit(_, f, at, { lo, hi }) {
      const item = f.local("i32", "item");
      const value = prepare(f, at[0]);
      const q = f.let("i32", "q", i32.add(at.at(-1)!, i32.mul(lo, 16)));
      // Buffers end on a cache line, so the last vector may run past the last element.
      f.for(item, lo, hi, 1, () => {
        f.store(q, value(item));
        f.bump(q, 16);
      });
    },
  };
}

/**
 * y[i] = (mix(mix(i ^ k0) ^ k1) >>> 8) · 2⁻²⁴, with k0 = mix(seed[0] + 0x9e3779b9) and k1 =
 * mix(mix(k0) ^ seed[1]).
 */
function randomVector(f: Func, seed: Local): (item: Local) => Local {
  const mix = (x: Local) => {
    f.set(x, v128.xor(x, i32x4.shrU(x, 16)));
    f.set(x, i32x4.mul(x, i32x4.const(0x7feb352d)));
    f.set(x, v128.xor(x, i32x4.shrU(x, 15)));
    f.set(x, i32x4.mul(x, i32x4.const(0x846ca68b)));
    f.set(x, v128.xor(x, i32x4.shrU(x, 16)));
  };
  const k0 = f.let("v128", "k0", i32x4.add(v128.loadSplat(seed), i32x4.const(0x9e3779b9)));
  mix(k0);
  const k1 = f.let("v128", "k1", k0);
  mix(k1);
  f.set(k1, v128.xor(k1, v128.loadSplat(seed, 4)));
  mix(k1);
  const x = f.local("v128", "x");
  return (item) => {
    f.set(x, i32x4.add(i32x4.splat(i32.mul(item, 4)), i32x4.lanes(0, 1, 2, 3)));
    f.set(x, v128.xor(x, k0));
    mix(x);
    f.set(x, v128.xor(x, k1));
    mix(x);
    f.set(x, f32x4.mul(f32x4.fromInt(i32x4.shrU(x, 8)), 2 ** -24));
    return x;
  };
}

export const create: CpuKernel = {
  name: "create",
  ops: [fullOp, randomOp, oneHotOp],
  estimate: streamTime,
  build: (task) => ({ scratch: [], stages: [stageOf(task)] }),
};
