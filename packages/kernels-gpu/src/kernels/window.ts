// What all pools share, at any rank: going over the inputs that a window sees, and over the windows that see an input. Where these are few,
// they are written out, without a branch for each; else they are loops.

import type { PoolGeometry } from "@conv/ops";
import { sizeOf, stridesOf } from "@conv/tensor";
import { indent } from "../wgsl.ts";
import { allOf } from "./each.ts";

/** Names of the coordinates of an output, and of an input. */
export const outputNames = (g: PoolGeometry): string[] => g.output.map((_, a) => `o${a}`);
export const inputNames = (g: PoolGeometry): string[] => g.input.map((_, a) => `i${a}`);

/** Inputs of a window, and windows of an input, that are written out. */
const MOST_TAPS = 16;
const MOST_SEERS = 4;

interface Tap {
  /** Its index in its plane: inside, also where the tap is not. */
  readonly at: string;
  /** Whether it is in the input; empty where it always is. */
  readonly within: string;
}

interface Taps {
  /** Statements that go before. */
  readonly before: string;
  /** How many inputs the window sees. */
  readonly seen: string;
  /** Statements that do something for each tap in scan order; for the first one something else may be done. `asks`: of `within`, too. */
  each(body: (tap: Tap, first: boolean) => string, asks?: boolean): string;
}

const plus = (a: string, b: number): string => (b === 0 ? a : `${a} + ${b}`);
const times = (a: string, b: number): string => (b === 1 ? a : `${a} * ${b}`);
const offset = (padding: number): string => (padding ? ` - ${padding}` : "");

/** The inputs that window (o0, o1, …) sees. */
export function tapsOf(g: PoolGeometry): Taps {
  const strides = stridesOf(g.input);
  const before: string[] = [];
  const seen = g.kernel.map((size, a) => {
    const [stride, lo, dilation, input] = [g.stride[a], g.padLo[a], g.dilation[a], g.input[a]];
    const clipped = lo > 0 || (g.output[a] - 1) * stride - lo + (size - 1) * dilation >= input;
    before.push(`let begin${a} = ${times(`i32(o${a})`, stride)}${offset(lo)};`);
    if (!clipped) return `${size}`;
    const first = dilation === 1 ? `max(begin${a}, 0)` : `begin${a} + max(0, ${dilation - 1} - begin${a}) / ${dilation} * ${dilation}`;
    before.push(`let from${a} = ${first};`, `let to${a} = min(${plus(`begin${a}`, (size - 1) * dilation + 1)}, ${input});`);
    return dilation === 1 ? `(to${a} - from${a})` : `((to${a} - from${a} + ${dilation - 1}) / ${dilation})`;
  });
  const clips = (a: number) => seen[a].startsWith("(");
  const written = sizeOf(g.kernel) <= MOST_TAPS;
  const each = (body: (tap: Tap, first: boolean) => string, asks = false): string => {
    if (!written) {
      return g.kernel.reduceRight(
        (inner, size, a) => {
          const dilation = g.dilation[a];
          const name = a === g.kernel.length - 1 ? "at" : `row${a}`;
          const [from, to] = clips(a) ? [`from${a}`, `to${a}`] : [`begin${a}`, plus(`begin${a}`, (size - 1) * dilation + 1)];
          const at = `${a ? `row${a - 1} + ` : ""}${times(`k${a}`, strides[a])}`;
          return `for (var k${a} = ${from}; k${a} < ${to}; k${a} += ${dilation}) {\n  let ${name} = ${at};\n${indent(inner)}\n}`;
        },
        body({ at: "at", within: "" }, false),
      );
    }
    const rows = g.kernel.flatMap((size, a) =>
      Array.from({ length: size }, (_, k) => {
        const at = plus(`begin${a}`, k * g.dilation[a]);
        const row = `let row${a}_${k} = ${times(clips(a) ? `clamp(${at}, 0, ${g.input[a] - 1})` : k && strides[a] > 1 ? `(${at})` : at, strides[a])};`;
        return clips(a) && asks ? `${row}\nlet in${a}_${k} = (${at} >= from${a}) & (${at} < to${a});` : row;
      }),
    );
    const cells = g.kernel.reduce<number[][]>((list, size) => list.flatMap((ks) => Array.from({ length: size }, (_, k) => [...ks, k])), [[]]);
    const inside = (k: number, a: number) => (clips(a) ? [`in${a}_${k}`] : []);
    const parts = cells.map((ks, i) => body({ at: ks.map((k, a) => `row${a}_${k}`).join(" + "), within: ks.flatMap(inside).join(" & ") }, i === 0));
    return [...rows, ...parts].join("\n");
  };
  return { before: before.join("\n"), seen: seen.join(" * "), each };
}

/**
 * A function that finds the maximum of a window of `x` (`what` is best), or where in its plane it is (won): the first of equals. The
 * reference goes the same way: what was first stays, unless another is larger.
 */
export function winnerOf(g: PoolGeometry, what: "best" | "won" = "won"): string {
  const { before, each } = tapsOf(g);
  // Written out, a tap outside is the nearest one inside, which is seen anyway, and in the same order, unless the window has gaps.
  const sure = sizeOf(g.kernel) <= MOST_TAPS && g.dilation.every((d) => d === 1);
  const steps = each(({ at, within }, first) => {
    if (first && sure) return `var won = ${at};\nvar best = f32(x[plane + won]);`;
    const step = `consider(plane, ${at}, &won, &best);`;
    return !sure && within ? `if (${within}) { ${step} }` : step;
  }, !sure);
  const parameters = ["plane: i32", ...outputNames(g).map((name) => `${name}: u32`)].join(", ");
  return `fn consider(plane: i32, at: i32, won: ptr<function, i32>, best: ptr<function, f32>) {
  let v = f32(x[plane + at]);
  let better = ${sure ? "v > *best" : "*won < 0 || v > *best"};
  *best = select(*best, v, better);
  *won = select(*won, at, better);
}

fn winner(${parameters}) -> ${what === "won" ? "i32" : "f32"} {
${indent([before, ...(sure ? [] : ["var won = -1;", "var best = 0.0f;"]), steps].join("\n"))}
  return ${what};
}`;
}

/**
 * Statements that run `body` for each window that sees input (i0, i1, …): o0, o1, … are its coordinates, `at` its index in its plane. Where
 * there is a condition, it is one of the output and does not see the input unless that holds.
 */
export function eachSeer(g: PoolGeometry, body: (condition: string) => string): string {
  const strides = stridesOf(g.output);
  const spans = g.kernel.map((size, a) => (size - 1) * g.dilation[a]);
  const most = spans.map((span, a) => Math.floor(span / g.stride[a]) + 1);
  if (sizeOf(most) > MOST_SEERS)
    return spans.reduceRight((inner, span, a) => {
      const [stride, dilation] = [g.stride[a], g.dilation[a]];
      return [
        `let q${a} = i${a} + ${g.padLo[a]}u;`,
        `let least${a} = u32(max(i32(q${a}) - ${span - stride + 1}, 0)) / ${stride}u;`,
        `let most${a} = min(q${a} / ${stride}u, ${g.output[a] - 1}u);`,
        `for (var o${a} = least${a}; o${a} <= most${a}; o${a}++) {`,
        ...(dilation > 1 ? [`  if ((q${a} - o${a} * ${stride}u) % ${dilation}u != 0u) { continue; }`] : []),
        `  let ${a === spans.length - 1 ? "at" : `row${a}`} = ${a ? `row${a - 1} + ` : ""}o${a} * ${strides[a]}u;`,
        indent(inner),
        "}",
      ].join("\n");
    }, body(""));
  // q = i + padding is seen by windows ⌊q / stride⌋ − t, if there are such and it is within their span.
  const sees: string[][] = most.map(() => []);
  const before = spans.flatMap((span, a) => [
    `let q${a} = i${a}${g.padLo[a] ? ` + ${g.padLo[a]}u` : ""};`,
    `let top${a} = q${a} / ${g.stride[a]}u;`,
    ...Array.from({ length: most[a] }, (_, t) => {
      const tap = `q${a} % ${g.stride[a]}u + ${t * g.stride[a]}u`;
      const beyond = Math.floor((g.input[a] - 1 + g.padLo[a]) / g.stride[a]) - t >= g.output[a];
      const conditions = [
        ...(t ? [`top${a} >= ${t}u`] : []),
        ...(beyond ? [`top${a} < ${g.output[a] + t}u`] : []),
        ...((t + 1) * g.stride[a] - 1 > span ? [`${tap} <= ${span}u`] : []),
        ...(g.dilation[a] > 1 ? [`(${tap}) % ${g.dilation[a]}u == 0u`] : []),
      ];
      sees[a].push(conditions.length ? `sees${a}_${t}` : "");
      const place = `${t ? `max(top${a}, ${t}u) - ${t}u` : `top${a}`}`;
      return [
        `let window${a}_${t} = ${beyond ? `min(${place}, ${g.output[a] - 1}u)` : place};`,
        ...(conditions.length ? [`let sees${a}_${t} = ${allOf(conditions)};`] : []),
      ].join("\n");
    }),
  ]);
  const cells = most.reduce<number[][]>((list, count) => list.flatMap((ts) => Array.from({ length: count }, (_, i) => [...ts, count - 1 - i])), [[]]);
  const blocks = cells.map((ts) => {
    const places = ts.map((t, a) => `let o${a} = window${a}_${t};`);
    const at = ts.map((_, a) => (strides[a] === 1 ? `o${a}` : `o${a} * ${strides[a]}u`)).join(" + ");
    return `{\n${indent([...places, `let at = ${at};`, body(ts.flatMap((t, a) => sees[a][t] || []).join(" & "))].join("\n"))}\n}`;
  });
  return [...before, ...blocks].join("\n");
}
