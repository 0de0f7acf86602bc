// Casts between all element types, comparisons, and choices by a mask. Elements of one or two bytes
// are stored in words of 32 bits: an invocation makes one word of y.

import { castOp, compareOp, whereOp, type Relation } from "@conv/ops";
import { dtypeNames, infoOf, isFloating, isOp, sizeOf, type DType } from "@conv/tensor";
import { inputAt, outputAt, type GpuKernel, type GpuStage, type Task } from "../../compile/code.ts";
import { indent } from "../../wgsl/wgsl.ts";
import { alone, overItems, streamTime } from "./each.ts";

/** Elements of a type in a word. */
export const perWord = (dtype: DType): number => 4 / infoOf(dtype).bytes;

/** The bits of element `i` of a binding that holds several in each word, as u32. */
export const bitsOf = (dtype: DType, name: string, i: string): string => {
  const per = perWord(dtype);
  return `extractBits(${name}[(${i}) / ${per}u], (${i}) % ${per}u * ${32 / per}u, ${32 / per}u)`;
};

/** Element `i` as a number: f32 of floating-point types, else i32. */
function loaded(dtype: DType, name: string, i: string): string {
  switch (dtype) {
    case "float32":
      return `f32(${name}[${i}])`;
    case "int32":
      return `${name}[${i}]`;
    case "uint8":
      return `i32(${bitsOf(dtype, name, i)})`;
    case "int8":
      return `extractBits(i32(${bitsOf(dtype, name, i)}), 0u, 8u)`;
    case "float16":
      return `half_to_float(${bitsOf(dtype, name, i)})`;
    case "bfloat16":
      return `bitcast<f32>(${bitsOf(dtype, name, i)} << 16u)`;
  }
}

/** A number of type `from` as an element of type `to`: as stored, or the lowest bits of a u32. */
function converted(from: DType, to: DType, value: string): string {
  const { range } = infoOf(to);
  if (range) {
    const whole = isFloating(from) ? `float_to_int(${value})` : value;
    if (to === "int32") return whole;
    const limited = isFloating(from) ? `clamp(${whole}, ${range[0]}, ${range[1]})` : whole;
    return `u32(${limited})`;
  }
  const float = isFloating(from) ? value : `f32(${value})`;
  if (to === "float16") return `float_to_half(${float})`;
  return to === "bfloat16" ? `float_to_brain(${float})` : float;
}

const relations: Readonly<Record<Exclude<Relation, "notEqual">, string>> = {
  equal: "==",
  less: "<",
  lessEqual: "<=",
  greater: ">",
  greaterEqual: ">=",
};

/** What element `i` of y is made of, as an expression, and a label. */
function elementOf(task: Task, i: string): { readonly label: string; readonly value: string } {
  const [{ dtype }] = task.inputs;
  if (isOp(task, castOp)) {
    const { dtype: to } = task.params;
    return { label: `${dtype} to ${to}`, value: converted(dtype, to, loaded(dtype, "a", i)) };
  }
  if (isOp(task, compareOp)) {
    const { relation } = task.params;
    const [a, b] = ["a", "b"].map((name) => loaded(dtype, name, i));
    // No relation but notEqual holds for NaN, so that one is the opposite of equal.
    const symbol = relations[relation === "notEqual" ? "equal" : relation];
    const numbers = isFloating(dtype) ? `!is_nan(${a}) && !is_nan(${b}) && ` : "";
    const test = `${numbers}${a} ${symbol} ${b}`;
    const holds = relation === "notEqual" ? `!(${test})` : test;
    return { label: relation, value: `u32(${holds})` };
  }
  const to = task.outputs[0].dtype;
  const [b, c] = ["b", "c"].map((name) =>
    perWord(to) === 1 ? loaded(to, name, i) : bitsOf(to, name, i),
  );
  return { label: "where", value: `select(${c}, ${b}, ${bitsOf("uint8", "a", i)} != 0u)` };
}

function typedStage(task: Task): GpuStage {
  const [y] = task.outputs;
  const size = sizeOf(y.shape);
  const per = perWord(y.dtype);
  const { label, value } = elementOf(task, per === 1 ? "index" : "i");
  return {
    label,
    reads: task.inputs.map((_, i) => ({ name: "abc".charAt(i), place: inputAt(i) })),
    writes: [{ name: "y", place: outputAt(0) }],
    ...overItems(Math.ceil(size / per), wordOf(size, per, value)),
  };
}

/** Statements that store word `index` of y, whose elements `i` have this value. */
function wordOf(size: number, per: number, value: string): string {
  if (per === 1) return `y[index] = Y(${value});`;
  const width = 32 / per;
  const loop = `let i = index * ${per}u + k;\nif (i < ${size}u) { word |= (${value} & ${2 ** width - 1}u) << (k * ${width}u); }`;
  return `var word = 0u;\nfor (var k = 0u; k < ${per}u; k++) {\n${indent(loop)}\n}\ny[index] = word;`;
}

export const typed: GpuKernel = {
  name: "typed",
  ops: [castOp, compareOp, whereOp],
  dtypes: dtypeNames,
  estimate: streamTime,
  build: (task) => alone(typedStage(task)),
};
