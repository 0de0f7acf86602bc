// What Winograd's transforms cannot hold: near the ends of the range of float32 a transformed value
// overflows although the result does not, and a NaN or an infinity reaches every output of its
// tile. Where a result is not finite, its tile is summed again by the definition of the op.

import { convGradInputOp, convGradWeightOp, convOp, type ConvGeometry } from "@conv/ops";
import { isOp, sizeOf, stridesOf } from "@conv/tensor";
import type { Task } from "../../compile/code.ts";
import { sumInBlocks } from "../../wgsl/sums.ts";
import { coordinates, indent, plus, times } from "../../wgsl/wgsl.ts";

/** Loops and statements, the outermost first, around a body. */
const nest = (heads: readonly string[], body: string): string =>
  heads.reduceRight(
    (inner, head) => (head.endsWith(";") ? `${head}\n${inner}` : `${head} {\n${indent(inner)}\n}`),
    body,
  );

const loop = (name: string, count: number): string =>
  `for (var ${name} = 0; ${name} < ${count}; ${name}++)`;

/** How one element is summed by definition. */
interface Sum {
  /** Coordinates of the element: their names and sizes. */
  readonly names: readonly string[];
  readonly sizes: readonly number[];
  /** Loops over the terms: of channels or images, then of each axis. */
  readonly outer: readonly string[];
  axis(a: number): readonly string[];
  readonly terms: number;
  /** The two operands. */
  readonly operands: readonly ["x" | "w" | "y", "x" | "w" | "y"];
}

const axisNames = (letter: string, of: readonly number[]) => of.map((_, a) => `${letter}${a}`);

/** Tap k of output o reads input i = o·stride + k·dilation − padding, where there is one. */
const findInput = (g: ConvGeometry, a: number): string[] => {
  const reads = `${times(`o${a}`, g.stride[a])} + ${times(`k${a}`, g.dilation[a])}`;
  return [`let i${a} = ${plus(reads, -g.padLo[a])};`, `if (u32(i${a}) < ${g.input[a]})`];
};

/** y[n, oc, o] = Σ x[n, ic, i]·w[oc, ic, k] */
const forward = (g: ConvGeometry): Sum => ({
  names: ["n", "oc", ...axisNames("o", g.output)],
  sizes: [g.n, g.oc, ...g.output],
  outer: [
    loop("icl", g.ic / g.groups),
    `let ic = oc / ${g.oc / g.groups} * ${g.ic / g.groups} + icl;`,
  ],
  axis: (a) => [loop(`k${a}`, g.kernel[a]), ...findInput(g, a)],
  terms: (g.ic / g.groups) * sizeOf(g.kernel),
  operands: ["x", "w"],
});

/** dx[n, ic, i] = Σ dy[n, oc, o]·w[oc, ic, k] */
const inputGradient = (g: ConvGeometry): Sum => ({
  names: ["n", "ic", ...axisNames("i", g.input)],
  sizes: [g.n, g.ic, ...g.input],
  outer: [
    loop("ocl", g.oc / g.groups),
    `let oc = ic / ${g.ic / g.groups} * ${g.oc / g.groups} + ocl;`,
    `let icl = ic % ${g.ic / g.groups};`,
  ],
  axis: (a) => [
    loop(`k${a}`, g.kernel[a]),
    `let from${a} = ${plus(`i${a}`, g.padLo[a])} - ${times(`k${a}`, g.dilation[a])};`,
    `let o${a} = from${a} / ${g.stride[a]};`,
    `if (from${a} >= 0 && from${a} % ${g.stride[a]} == 0 && o${a} < ${g.output[a]})`,
  ],
  terms: (g.oc / g.groups) * sizeOf(g.kernel),
  operands: ["y", "w"],
});

/** dw[oc, ic, k] = Σ dy[n, oc, o]·x[n, ic, i] */
const weightGradient = (g: ConvGeometry): Sum => ({
  names: ["oc", "icl", ...axisNames("k", g.kernel)],
  sizes: [g.oc, g.ic / g.groups, ...g.kernel],
  outer: [loop("n", g.n), `let ic = oc / ${g.oc / g.groups} * ${g.ic / g.groups} + icl;`],
  axis: (a) => [loop(`o${a}`, g.output[a]), ...findInput(g, a)],
  terms: g.n * sizeOf(g.output),
  operands: ["y", "x"],
});

function sumOfTask(task: Task): { readonly g: ConvGeometry; readonly sum: Sum } {
  if (isOp(task, convOp)) return { g: task.params, sum: forward(task.params) };
  if (isOp(task, convGradInputOp)) return { g: task.params, sum: inputGradient(task.params) };
  if (isOp(task, convGradWeightOp)) return { g: task.params, sum: weightGradient(task.params) };
  throw new Error(`Winograd's algorithm does not compute ${task.op.name}`);
}

/**
 * The function `plain(element)`: an element of a convolution or of one of its gradients by
 * definition, over bindings `p` and `q`, the inputs of the task.
 */
export function plainFunction(task: Task, p: string, q: string): string {
  const { g, sum } = sumOfTask(task);
  const offset = (letter: string, sizes: readonly number[]) =>
    sizes.map((_, a) => times(`${letter}${a}`, stridesOf(sizes)[a])).join(" + ");
  const at = {
    x: `(n * ${g.ic} + ic) * ${sizeOf(g.input)} + ${offset("i", g.input)}`,
    w: `(oc * ${g.ic / g.groups} + icl) * ${sizeOf(g.kernel)} + ${offset("k", g.kernel)}`,
    y: `(n * ${g.oc} + oc) * ${sizeOf(g.output)} + ${offset("o", g.output)}`,
  };
  const [first, second] = sum.operands.map((name) => at[name]);
  const blocks = sumInBlocks(sum.terms);
  const heads = [...sum.outer, ...g.kernel.flatMap((_, a) => sum.axis(a))];
  const body = [
    coordinates(
      "element",
      sum.sizes,
      sum.names.map((name) => `u_${name}`),
    ),
    ...sum.names.map((name) => `let ${name} = i32(u_${name});`),
    blocks.before,
    nest(heads, blocks.add(`f32(${p}[${first}]) * f32(${q}[${second}])`)),
    blocks.after,
  ];
  return `fn plain(element: u32) -> f32 {\n${indent(body.filter(Boolean).join("\n"))}\n  return sum;\n}`;
}

/** Whether one of these results is not finite. */
export const spoiled = (results: readonly string[]): string =>
  `(bitcast<u32>(${results.map((r) => `abs(${r})`).join(" + ")}) & 0x7f800000u) == 0x7f800000u`;

/**
 * A power of two by which transformed numbers are multiplied, so that the least coefficient of the
 * transforms makes none too small.
 */
export const scaleFor = (matrices: readonly (readonly (readonly number[])[])[]): number =>
  2 **
  Math.ceil(
    -Math.log2(
      matrices.reduce((least, m) => least * Math.min(...m.flat().filter(Boolean).map(Math.abs)), 1),
    ),
  );
