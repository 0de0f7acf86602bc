// Walks of pooling, at any rank: over the inputs that a window sees, and over the windows that see
// an input. Where these are few, the walk is written out without a branch for each; else it is a
// loop.

import { cellsOf } from "@conv/compiler";
import type { PoolGeometry } from "@conv/ops";
import { sizeOf, stridesOf } from "@conv/tensor";
import { indent, plus, times } from "../../wgsl/wgsl.ts";
import { allOf } from "../elementwise/each.ts";

/** Names of the coordinates of an output, and of an input. */
export const outputNames = (g: PoolGeometry): string[] => g.output.map((_, a) => `o${a}`);
export const inputNames = (g: PoolGeometry): string[] => g.input.map((_, a) => `i${a}`);

/** The most inputs of a window, and windows of an input, that are written out. */
const MOST_TAPS = 16;
const MOST_SEERS = 4;

interface Tap {
  /** Index of an input in its plane; of the nearest one where the tap lies in the padding. */
  readonly at: string;
  /** Whether the tap is an input, as an expression; empty where it always is. */
  readonly within: string;
}

interface Taps {
  /** Statements before all others. */
  readonly before: string;
  /** The number of inputs that the window sees, as an expression. */
  readonly seen: string;
  /**
   * Statements for each tap in scan order; `first` is true for the first one where taps are written
   * out. `tests`: `within` is used.
   */
  each(body: (tap: Tap, first: boolean) => string, tests?: boolean): string;
}

/** The inputs that window (o0, o1, …) sees. */
export function tapsOf(g: PoolGeometry): Taps {
  const axes = g.kernel.map((size, a) => {
    const [stride, lo, dilation, input] = [g.stride[a], g.padLo[a], g.dilation[a], g.input[a]];
    const [begin, span] = [`begin${a}`, (size - 1) * dilation + 1];
    const start = `let ${begin} = ${times(`i32(o${a})`, stride)}${lo ? ` - ${lo}` : ""};`;
    const end = plus(begin, span);
    // A window is clipped to the input only along axes where some window leaves it.
    const clipped = lo > 0 || (g.output[a] - 1) * stride - lo + span > input;
    if (!clipped)
      return { size, clipped, begin, from: begin, to: end, seen: `${size}`, before: [start] };
    const [from, to] = [`from${a}`, `to${a}`];
    const first =
      dilation === 1
        ? `max(${begin}, 0)`
        : `${begin} + max(0, ${dilation - 1} - ${begin}) / ${dilation} * ${dilation}`;
    const seen =
      dilation === 1 ? `(${to} - ${from})` : `((${to} - ${from} + ${dilation - 1}) / ${dilation})`;
    return {
      size,
      clipped,
      begin,
      from,
      to,
      seen,
      before: [start, `let ${from} = ${first};`, `let ${to} = min(${end}, ${input});`],
    };
  });
  const strides = stridesOf(g.input);
  const looped = (body: string): string =>
    axes.reduceRight((inner, { from, to }, a) => {
      const at = `${a ? `row${a - 1} + ` : ""}${times(`k${a}`, strides[a])}`;
      const name = a === axes.length - 1 ? "at" : `row${a}`;
      return `for (var k${a} = ${from}; k${a} < ${to}; k${a} += ${g.dilation[a]}) {\n  let ${name} = ${at};\n${indent(inner)}\n}`;
    }, body);
  return {
    before: axes.flatMap(({ before }) => before).join("\n"),
    seen: axes.map(({ seen }) => seen).join(" * "),
    each(body, tests = false) {
      if (sizeOf(g.kernel) > MOST_TAPS) return looped(body({ at: "at", within: "" }, false));
      const rows = axes.flatMap(({ size, clipped, begin, from, to }, a) =>
        Array.from({ length: size }, (_, k) => {
          const at = plus(begin, k * g.dilation[a]);
          const place = clipped
            ? `clamp(${at}, 0, ${g.input[a] - 1})`
            : k && strides[a] > 1
              ? `(${at})`
              : at;
          const within =
            clipped && tests ? `\nlet in${a}_${k} = (${at} >= ${from}) & (${at} < ${to});` : "";
          return `let row${a}_${k} = ${times(place, strides[a])};${within}`;
        }),
      );
      const parts = cellsOf(g.kernel).map((ks, i) => {
        const within = ks.flatMap((k, a) => (axes[a].clipped ? [`in${a}_${k}`] : [])).join(" & ");
        return body({ at: ks.map((k, a) => `row${a}_${k}`).join(" + "), within }, i === 0);
      });
      return [...rows, ...parts].join("\n");
    },
  };
}

/**
 * A function that finds the maximum of a window of `x` (`what` is best), or its index in its plane
 * (won). As in the reference, the first of equal maxima wins, and the last NaN.
 */
export function winnerOf(g: PoolGeometry, what: "best" | "won" = "won"): string {
  const { before, each } = tapsOf(g);
  // Where taps are written out, a tap outside is the nearest one inside, which the window contains
  // in the same order, unless the window is dilated.
  const sure = sizeOf(g.kernel) <= MOST_TAPS && g.dilation.every((d) => d === 1);
  const steps = each(({ at, within }, first) => {
    if (first && sure) return `var won = ${at};\nvar best = f32(x[plane + won]);`;
    const step = `consider(plane, ${at}, &won, &best);`;
    return !sure && within ? `if (${within}) { ${step} }` : step;
  }, !sure);
  const parameters = ["plane: i32", ...outputNames(g).map((name) => `${name}: u32`)].join(", ");
  return `fn consider(plane: i32, at: i32, won: ptr<function, i32>, best: ptr<function, f32>) {
  let v = f32(x[plane + at]);
  let better = ${sure ? "" : "(*won < 0) | "}is_nan(v) | (!is_nan(*best) & (v > *best));
  *best = select(*best, v, better);
  *won = select(*won, at, better);
}

fn winner(${parameters}) -> ${what === "won" ? "i32" : "f32"} {
${indent([before, ...(sure ? [] : ["var won = -1;", "var best = 0.0f;"]), steps].join("\n"))}
  return ${what};
}`;
}

/** Windows that may see an input: along each axis, and in all. */
const seers = (g: PoolGeometry): number[] =>
  g.kernel.map((size, a) => Math.floor(((size - 1) * g.dilation[a]) / g.stride[a]) + 1);
export const seersOf = (g: PoolGeometry): number => sizeOf(seers(g));

/**
 * Statements that run `body` for each window that may see input (i0, i1, …). o0, o1, … are the
 * coordinates of the window, `at` is its index in its plane, and `condition` says whether it sees
 * the input; it is empty where it always does.
 */
export function eachSeer(g: PoolGeometry, body: (condition: string) => string): string {
  const strides = stridesOf(g.output);
  const spans = g.kernel.map((size, a) => (size - 1) * g.dilation[a]);
  const most = seers(g);
  if (sizeOf(most) > MOST_SEERS)
    return spans.reduceRight((inner, span, a) => {
      const [stride, dilation] = [g.stride[a], g.dilation[a]];
      return [
        `let q${a} = i${a} + ${g.padLo[a]}u;`,
        `let least${a} = u32(max(i32(q${a}) - ${span - stride + 1}, 0)) / ${stride}u;`,
        `let most${a} = min(q${a} / ${stride}u, ${g.output[a] - 1}u);`,
        `for (var o${a} = least${a}; o${a} <= most${a}; o${a}++) {`,
        ...(dilation > 1
          ? [`  if ((q${a} - o${a} * ${stride}u) % ${dilation}u != 0u) { continue; }`]
          : []),
        `  let ${a === spans.length - 1 ? "at" : `row${a}`} = ${a ? `row${a - 1} + ` : ""}o${a} * ${strides[a]}u;`,
        indent(inner),
        "}",
      ].join("\n");
    }, body(""));
  // q = i + padding is seen by windows ⌊q / stride⌋ − t that exist and whose span contains it.
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
  const blocks = cellsOf(most).map((cell) => {
    const ts = cell.map((i, a) => most[a] - 1 - i); // windows in order
    const places = ts.map((t, a) => `let o${a} = window${a}_${t};`);
    const at = ts
      .map((_, a) => (strides[a] === 1 ? `o${a}` : `o${a} * ${strides[a]}u`))
      .join(" + ");
    return `{\n${indent([...places, `let at = ${at};`, body(ts.flatMap((t, a) => sees[a][t] || []).join(" & "))].join("\n"))}\n}`;
  });
  return [...before, ...blocks].join("\n");
}
