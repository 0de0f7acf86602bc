// What all pools share, at any rank: the loops over the inputs that a window sees and over the windows that see an input.

import type { PoolGeometry } from "@conv/ops";
import { stridesOf } from "@conv/tensor";
import { indent } from "../wgsl.ts";

/** Names of the coordinates of an output, and of an input. */
export const outputNames = (g: PoolGeometry): string[] => g.output.map((_, a) => `o${a}`);
export const inputNames = (g: PoolGeometry): string[] => g.input.map((_, a) => `i${a}`);

/**
 * Statements that run `body` for each input that window (o0, o1, …) sees, in scan order: `at` is its index in its plane. `seen`, declared
 * before, is how many they are along all axes.
 */
export function eachTap(g: PoolGeometry, body: string): { readonly before: string; readonly seen: string; readonly loops: string } {
  const before: string[] = [];
  const seen: string[] = [];
  const strides = stridesOf(g.input);
  const [loops] = g.kernel.reduceRight(
    ([inner], size, a) => {
      const [stride, lo, dilation, input] = [g.stride[a], g.padLo[a], g.dilation[a], g.input[a]];
      const last = (g.output[a] - 1) * stride - lo + (size - 1) * dilation;
      const begin = `i32(o${a})${stride === 1 ? "" : ` * ${stride}`}${lo ? ` - ${lo}` : ""}`;
      before.unshift(
        `let begin${a} = ${begin};`,
        `let from${a} = ${lo === 0 ? `begin${a}` : dilation === 1 ? `max(begin${a}, 0)` : `begin${a} + max(0, ${dilation - 1} - begin${a}) / ${dilation} * ${dilation}`};`,
        `let to${a} = ${last < input ? `begin${a} + ${(size - 1) * dilation + 1}` : `min(begin${a} + ${(size - 1) * dilation + 1}, ${input})`};`,
      );
      seen.unshift(dilation === 1 ? `(to${a} - from${a})` : `((to${a} - from${a} + ${dilation - 1}) / ${dilation})`);
      const row = a === 0 ? "" : `row${a - 1} + `;
      const at = `${row}k${a}${strides[a] === 1 ? "" : ` * ${strides[a]}`}`;
      const name = a === g.kernel.length - 1 ? "at" : `row${a}`;
      return [`for (var k${a} = from${a}; k${a} < to${a}; k${a} += ${dilation}) {\n  let ${name} = ${at};\n${indent(inner)}\n}`];
    },
    [body],
  );
  return { before: before.join("\n"), seen: seen.join(" * "), loops };
}

/** A function that finds where in its plane of `x` the maximum of a window is: the first of equals. The reference goes the same way. */
export function winnerOf(g: PoolGeometry): string {
  const { before, loops } = eachTap(g, "let v = f32(x[plane + at]);\nif (won < 0 || v > best) {\n  best = v;\n  won = at;\n}");
  const parameters = outputNames(g).map((name) => `, ${name}: u32`);
  return `fn winner(plane: i32${parameters.join("")}) -> i32 {
  var best = 0.0f;
  var won = -1;
${indent(`${before}\n${loops}`)}
  return won;
}`;
}

/** Statements that run `body` for each window that sees input (i0, i1, …): o0, o1, … are its coordinates, `at` its index in its plane. */
export function eachSeer(g: PoolGeometry, body: string): string {
  const strides = stridesOf(g.output);
  return g.kernel.reduceRight((inner, size, a) => {
    const [stride, lo, dilation] = [g.stride[a], g.padLo[a], g.dilation[a]];
    const row = a === 0 ? "" : `row${a - 1} + `;
    const name = a === g.kernel.length - 1 ? "at" : `row${a}`;
    return [
      `let q${a} = i${a} + ${lo}u;`,
      `let least${a} = u32(max(i32(q${a}) - ${(size - 1) * dilation - stride + 1}, 0)) / ${stride}u;`,
      `let most${a} = min(q${a} / ${stride}u, ${g.output[a] - 1}u);`,
      `for (var o${a} = least${a}; o${a} <= most${a}; o${a}++) {`,
      ...(dilation > 1 ? [`  if ((q${a} - o${a} * ${stride}u) % ${dilation}u != 0u) { continue; }`] : []),
      `  let ${name} = ${row}o${a}${strides[a] === 1 ? "" : ` * ${strides[a]}u`};`,
      indent(inner),
      "}",
    ].join("\n");
  }, body);
}
