// Casts between all element types, comparisons, and choices by a mask, element by element.

import { castOp, compareOp, whereOp, type Relation } from "@conv/ops";
import { dtypeNames, infoOf, isFloating, isOp, sizeOf, type DType } from "@conv/tensor";
import { inputAt, outputAt, type CpuKernel, type Stage, type Task } from "../../compile/code.ts";
import { f32, i32, type Code, type Local } from "../../wasm/asm.ts";
import type { Func } from "../../wasm/module.ts";
import { streamTime } from "../move/walk.ts";

/** Elements of a piece of work. */
const CHUNK = 1024;

/** The bits of an element of 1, 2 or 4 bytes, as an integer. */
export const loadBits = (bytes: number, address: Local): Code =>
  (bytes === 1 ? i32.load8U : bytes === 2 ? i32.load16U : i32.load)(address);

/** An element as a number: f32 of floating-point types, else i32. */
function load(f: Func, dtype: DType, address: Local): Code {
  switch (dtype) {
    case "float32":
      return f32.load(address);
    case "int8":
      return i32.load8(address);
    case "bfloat16":
      return f32.fromBits(i32.shl(i32.load16U(address), 16));
    case "float16":
      return halfToFloat(f, i32.load16U(address));
    default:
      return loadBits(infoOf(dtype).bytes, address);
  }
}

/**
 * float16 to float32: exponent and fraction are moved to their places, and the difference of the
 * biases, 127 − 15, is multiplied in, which also normalizes subnormal numbers.
 */
function halfToFloat(f: Func, bits: Code): Code {
  const half = f.let("i32", "half", bits);
  const moved = f.let("i32", "moved", i32.shl(i32.and(half, 0x7fff), 13));
  const scaled = i32.bits(f32.mul(f32.fromBits(moved), 2 ** 112));
  // the largest exponent means infinity or NaN
  const magnitude = i32.select(i32.le(0x0f800000, moved), i32.or(moved, 0x7f800000), scaled);
  return f32.fromBits(i32.or(magnitude, i32.shl(i32.and(half, 0x8000), 16)));
}

/** float32 to float16, to the nearest, ties to even. */
function floatToHalf(f: Func, value: Code): Code {
  const bits = f.let("i32", "bits", i32.bits(value));
  const u = f.let("i32", "u", i32.and(bits, 0x7fffffff));
  const odd = i32.and(i32.shr(u, 13), 1);
  const normal = i32.shr(i32.add(i32.add(u, odd), ((15 - 127) << 23) + 0xfff), 13);
  // Below 2⁻¹⁴ the addition of ½ rounds to multiples of 2⁻²⁴.
  const subnormal = i32.sub(i32.bits(f32.add(f32.fromBits(u), 0.5)), 126 << 23);
  const special = i32.select(i32.lt(0x7f800000, u), 0x7e00, 0x7c00);
  const finite = i32.select(i32.lt(u, 0x38800000), subnormal, normal);
  const magnitude = i32.select(i32.le(0x47800000, u), special, finite);
  return i32.or(magnitude, i32.and(i32.shr(bits, 16), 0x8000));
}

/** float32 to bfloat16, to the nearest, ties to even. */
function floatToBrain(f: Func, value: Code): Code {
  const bits = f.let("i32", "bits", i32.bits(value));
  const odd = i32.and(i32.shr(bits, 16), 1);
  const rounded = i32.shr(i32.add(i32.add(bits, odd), 0x7fff), 16);
  const isNaN = i32.lt(0x7f800000, i32.and(bits, 0x7fffffff));
  return i32.select(isNaN, 0x7fc0, rounded);
}

/** The bits of a number of type `from` as an element of type `to`. */
function converted(f: Func, from: DType, to: DType, value: Code): Code {
  const { range } = infoOf(to);
  if (range) {
    if (!isFloating(from)) return value; // the lowest bits are stored
    const whole = f.let("i32", "whole", i32.truncSat(value));
    if (to === "int32") return whole.get;
    f.set(whole, i32.select(i32.lt(whole, range[0]), range[0], whole));
    return i32.select(i32.gt(whole, range[1]), range[1], whole);
  }
  const float = isFloating(from) ? value : f32.fromInt(value);
  if (to === "float16") return floatToHalf(f, float);
  return to === "bfloat16" ? floatToBrain(f, float) : i32.bits(float);
}

/** Which operations compare, by relation. */
const comparisons: Readonly<Record<Relation, "eq" | "ne" | "lt" | "le" | "gt" | "ge">> = {
  equal: "eq",
  notEqual: "ne",
  less: "lt",
  lessEqual: "le",
  greater: "gt",
  greaterEqual: "ge",
};

/** The name of the stage, and the bits of an element of y from the addresses of the inputs'. */
function elementOf(task: Task): readonly [string, (f: Func, at: readonly Local[]) => Code] {
  const [{ dtype }] = task.inputs;
  if (isOp(task, castOp)) {
    const to = task.params.dtype;
    return [`cast_${dtype}_${to}`, (f, [x]) => converted(f, dtype, to, load(f, dtype, x))];
  }
  if (isOp(task, compareOp)) {
    const { relation } = task.params;
    const compare = (isFloating(dtype) ? f32 : i32)[comparisons[relation]];
    return [`${relation}_${dtype}`, (f, [a, b]) => compare(load(f, dtype, a), load(f, dtype, b))];
  }
  const { bytes } = infoOf(task.outputs[0].dtype);
  return [
    `where_${bytes}`,
    (_, [c, a, b]) => i32.select(i32.load8U(c), loadBits(bytes, a), loadBits(bytes, b)),
  ];
}

function typedStage(task: Task): Stage {
  const [y] = task.outputs;
  const size = sizeOf(y.shape);
  const widths = [...task.inputs, y].map(({ dtype }) => infoOf(dtype).bytes);
  const [name, element] = elementOf(task);
  return {
    name: `${name}_${size}`,
    items: Math.ceil(size / CHUNK),
    reads: task.inputs.map((_, i) => inputAt(i)),
    writes: [outputAt(0)],
    emit(_, f, at, { lo, hi }) {
      const pointers = at.map((base, i) =>
        f.let("i32", `p${i}`, i32.add(base, i32.mul(lo, CHUNK * widths[i]))),
      );
      const left = f.let("i32", "left", i32.sub(size, i32.mul(lo, CHUNK)));
      const count = f.let("i32", "count", i32.mul(i32.sub(hi, lo), CHUNK));
      f.set(count, i32.select(i32.lt(left, count), left, count));
      const i = f.local("i32", "i");
      f.for(i, 0, count, 1, () => {
        f.storeBytes(pointers.at(-1)!, element(f, pointers), widths.at(-1)!);
        pointers.forEach((p, j) => f.bump(p, widths[j]));
      });
    },
  };
}

export const typed: CpuKernel = {
  name: "typed",
  ops: [castOp, compareOp, whereOp],
  dtypes: dtypeNames,
  estimate: (task, caps) => 8 * streamTime(task, caps),
  build: (task) => ({ scratch: [], stages: [typedStage(task)] }),
};
