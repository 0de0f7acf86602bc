// What Winograd's transforms cannot hold: near the ends of the range of float32 a transformed value
// overflows although the result does not, and a NaN or an infinity reaches every output of its
// tile. Where a result is not finite, its tile is summed again, plainly.

import { convGradInputOp, convGradWeightOp, type ConvGeometry } from "@conv/ops";
import { sizeOf, stridesOf } from "@conv/tensor";
import type { Task } from "../../compile/code.ts";
import { sumInBlocks } from "../../wgsl/sums.ts";
import { coordinates, indent, plus, times } from "../../wgsl/wgsl.ts";

/** Loops, the outermost first, around a body. */
const nest = (heads: readonly string[], body: string): string =>
  heads.reduceRight(
    (inner, head) =>
      `${head.endsWith(";") ? `${head}\n${inner}` : `${head} {\n${indent(inner)}\n}`}`,
    body,
  );

const loop = (name: string, count: number): string =>
  `for (var ${name} = 0; ${name} < ${count}; ${name}++)`;

/**
 * `plain(element)`: an element of what a convolution or one of its gradients makes, by its
 * definition, over `p` and `q`, the inputs of the task:
 *   y[n, oc, o] = Σ x[n, ic, i]·w[oc, ic, k] and dx, dw alike, over all i = o·stride + k·dilation − padding
 */
export function plainFunction(task: Task, p: string, q: string): string {
  const g = task.params as ConvGeometry;
  const [icg, ocg, taps] = [g.ic / g.groups, g.oc / g.groups, sizeOf(g.kernel)];
  const [byInput, byWeight] = [task.op === convGradInputOp, task.op === convGradWeightOp];
  const names = (letter: string, of: readonly number[]) => of.map((_, a) => `${letter}${a}`);
  // prettier-ignore
  const at = (letter: string, sizes: readonly number[]) => names(letter, sizes).map((name, a) => times(name, stridesOf(sizes)[a])).join(" + ");
  const whole = (list: readonly string[]) =>
    list.map((name) => `let ${name} = i32(u_${name});`).join("\n");
  const known = byWeight
    ? ["oc", "icl", ...names("k", g.kernel)]
    : ["n", byInput ? "ic" : "oc", ...names(byInput ? "i" : "o", g.input)];
  const sizes = byWeight
    ? [g.oc, icg, ...g.kernel]
    : byInput
      ? [g.n, g.ic, ...g.input]
      : [g.n, g.oc, ...g.output];
  const channels = byInput
    ? [loop("ocl", ocg), `let oc = ic / ${icg} * ${ocg} + ocl;`, `let icl = ic % ${icg};`]
    : byWeight
      ? [loop("n", g.n), `let ic = oc / ${ocg} * ${icg} + icl;`]
      : [loop("icl", icg), `let ic = oc / ${ocg} * ${icg} + icl;`];
  const axes = g.kernel.flatMap((size, a) => {
    const [s, d, lo] = [g.stride[a], g.dilation[a], g.padLo[a]];
    if (!byInput)
      return [
        byWeight ? loop(`o${a}`, g.output[a]) : loop(`k${a}`, size),
        `let i${a} = ${plus(`${times(`o${a}`, s)} + ${times(`k${a}`, d)}`, -lo)};`,
        `if (u32(i${a}) < ${g.input[a]})`,
      ];
    return [
      loop(`k${a}`, size),
      `let from${a} = ${plus(`i${a}`, lo)} - ${times(`k${a}`, d)};`,
      `let o${a} = from${a} / ${s};`,
      `if (from${a} >= 0 && from${a} % ${s} == 0 && o${a} < ${g.output[a]})`,
    ];
  });
  const x = `(n * ${g.ic} + ic) * ${sizeOf(g.input)} + ${at("i", g.input)}`;
  const w = `(oc * ${icg} + icl) * ${taps} + ${at("k", g.kernel)}`;
  const y = `(n * ${g.oc} + oc) * ${sizeOf(g.output)} + ${at("o", g.output)}`;
  const [first, second] = byWeight ? [y, x] : byInput ? [y, w] : [x, w];
  const sum = sumInBlocks(byWeight ? g.n * sizeOf(g.output) : (byInput ? ocg : icg) * taps);
  return `fn plain(element: u32) -> f32 {
${indent([coordinates("element", sizes, known.map((name) => `u_${name}`)), whole(known), sum.before, nest([...channels, ...axes], sum.add(`f32(${p}[${first}]) * f32(${q}[${second}])`)), sum.after].filter(Boolean).join("\n"))}
  return sum;
}`; // prettier-ignore
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
