// The transforms of Winograd's short convolutions as shaders: of tiles of the source, of weights,
// and of products back to outputs.

import type { Tiling } from "@conv/compiler";
import { sizeOf, stridesOf } from "@conv/tensor";
import { inputAt, outputAt, type GpuStage, type Place, type Task } from "../../compile/code.ts";
import {
  coordinates,
  emitEpilogue,
  guarded,
  indent,
  literal,
  offsetOf,
  plus,
  times,
} from "../../wgsl/wgsl.ts";
import { overItems } from "../elementwise/each.ts";
import { plainFunction, scaleFor, spoiled } from "./repair.ts";
import {
  createWriter,
  lastTile,
  loadPoint,
  locateTile,
  lookup,
  outputExists,
  plainNames,
  startOf,
  storePoint,
  tileLoader,
  transform,
  within,
  type Part,
  type Transform,
} from "./tiles.ts";

/** v[point][channel × plain taps][column] = Bᵀ·d·B of the source. */
export function inputStage(t: Tiling, part: Part, from: Place, into: Place): GpuStage {
  const { g, axes, h, w, depth } = t;
  const strides = stridesOf(g.source);
  const items = g.groups * depth * part.columns;
  const channels = g.groups * g.from;
  const code = createWriter();
  const first = axes.map((x, a) => {
    const values = x.plain.map((p) => x.first - g.lo[a] + p);
    const begin = times(`i32(at${a})`, g.step[a]);
    return values.length === 1
      ? plus(begin, values[0])
      : `${begin} + ${lookup(values, plainNames(axes)[a])}`;
  });
  const offsets = axes.map((_, a) => times(`from${a}`, strides[a]));
  code.lines.push(
    coordinates(
      "index",
      [channels, ...axes.map((x) => x.plain.length), part.columns],
      ["channel", ...plainNames(axes), "column"],
    ),
    locateTile(t, part),
    ...first.map((from, a) => `let from${a} = ${from};`),
    `let base = i32((image * ${channels} + channel) * ${sizeOf(g.source)}) + ${offsets.join(" + ")};`,
  );
  /** Coordinates between neighbors of a tile. */
  const apart = axes.map((x, a) => x.spacing * g.step[a]);
  const inside = axes.map((x, a) => {
    const least = x.first - g.lo[a];
    const most = lastTile(x) * g.step[a] + least + x.plain.at(-1)! + (x.n - 1) * apart[a];
    return least >= 0 && most < g.source[a];
  });
  const load = tileLoader(code, {
    name: "x",
    apart: apart.map((n, a) => n * strides[a]),
    sizes: axes.map((x) => x.n),
    exists: (a, i) =>
      inside[a] ? null : `u32(${plus(`from${a}`, i * apart[a])}) < ${g.source[a]}`,
  });
  transform(code, [h.short.bt, w.short.bt], load, storePoint(code, t, items, "v", "V"));
  return {
    label: "Winograd: source",
    reads: [{ name: "x", place: from }, ...startOf(part)],
    writes: [{ name: "v", place: into }],
    ...overItems(items, code.lines.join("\n")),
  };
}

/**
 * u[point][output channel][channel × plain taps] = G·g·Gᵀ of the weights; `across`: output channels
 * are innermost.
 */
export function weightStage(t: Tiling, across: boolean, into: Place): GpuStage {
  const { g, axes, h, w, depth } = t;
  const rank = axes.length;
  const strides = stridesOf(g.kernel);
  const items = g.groups * g.to * depth;
  const plain = axes.map((x) => x.plain.length);
  const code = createWriter();
  code.lines.push(
    across
      ? coordinates(
          "index",
          [g.groups, g.from, ...plain, g.to],
          ["problem", "channel", ...plainNames(axes), "row"],
        )
      : coordinates(
          "index",
          [g.groups, g.to, g.from, ...plain],
          ["problem", "row", "channel", ...plainNames(axes)],
        ),
    `let base = i32(${offsetOf(["problem", "row", "channel"], [g.to * g.from * sizeOf(g.kernel), g.wTo, g.wFrom])});`,
  );
  // The taps of each axis that are transformed together, as distances in w; negative where a class
  // has one tap less.
  const taps = axes.map((x, a) =>
    x.taps[0].map((_, i) => {
      const values = x.taps.map((list) => (list[i] < 0 ? -1 : list[i] * strides[a]));
      return {
        at: values.length > 1 ? code.name(lookup(values, plainNames(axes)[a])) : `${values[0]}`,
        missing: values.includes(-1),
      };
    }),
  );
  const outer = taps.slice(0, -2).map(([tap]) => tap);
  const [tapsH, tapsW] = [rank > 1 ? taps[rank - 2] : [], taps[rank - 1]];
  const matrices: Transform = [h.short.g, w.short.g];
  const scale = literal(scaleFor(matrices));
  const load = (i: number, j: number) => {
    const all = [...outer, ...(rank > 1 ? [tapsH[i]] : []), tapsW[j]];
    const offset = ["base", ...all.flatMap(({ at }) => (at === "0" ? [] : [at]))].join(" + ");
    const missing = all.flatMap((tap) => (tap.missing ? [`(${tap.at} >= 0)`] : []));
    return code.name(`${guarded(`f32(w[${offset}])`, missing)} * ${scale}`);
  };
  transform(code, matrices, load, storePoint(code, t, items, "u", "U"));
  return {
    label: "Winograd: weights",
    reads: [{ name: "w", place: inputAt(1) }],
    writes: [{ name: "u", place: into }],
    ...overItems(items, code.lines.join("\n")),
  };
}

/** Outputs Aᵀ·M·A of m[point][output channel][column], finished by the epilogue. */
export function outputStage(t: Tiling, task: Task, part: Part, from: Place): GpuStage {
  const { g, phase, axes, h, w } = t;
  const rank = axes.length;
  const strides = stridesOf(g.output);
  const channels = g.groups * g.to;
  const items = channels * part.columns;
  const epilogue = emitEpilogue(task.epilogue, 2);
  const code = createWriter();
  /** Elements of y between neighbors of a phase. */
  const moves = axes.map((_, a) => g.outStep[a] * strides[a]);
  const origin = phase.origin.reduce((sum, o, a) => sum + o * strides[a], 0);
  const offsets = axes.map((_, a) => times(`at${a}`, moves[a]));
  const base = `(image * ${channels} + channel) * ${sizeOf(g.output)} + ${offsets.join(" + ")}`;
  code.lines.push(
    coordinates("index", [channels, part.columns], ["channel", "column"]),
    locateTile(t, part),
    `let base = ${plus(base, origin)};`,
  );
  const store = (r: string, element: string, out: string) =>
    `${epilogue.store({ r, channel: "channel", column: "0", element }, out)}\ny[${element}] = Y(${out});`;
  const rows = h.short.at.map((): string[] => []);
  const results: string[] = [];
  const whole = code.name(literal(1 / scaleFor([h.short.g, w.short.g])));
  /** Elements of y between neighbors of a tile: rows, and columns. */
  const [down, right] = [rank > 1 ? h.spacing * moves[rank - 2] : 0, w.spacing * moves[rank - 1]];
  transform(code, [h.short.at, w.short.at], loadPoint(code, t, items, "m"), (i, j, sum) => {
    const r = code.name(`${sum} * ${whole}`);
    results.push(r);
    const element = plus("base", i * down + j * right);
    rows[i].push(within(outputExists(t, rank - 1, j), store(r, element, `y${i}_${j}`)));
  });
  rows.forEach((row, i) =>
    code.lines.push(within(rank > 1 ? outputExists(t, rank - 2, i) : null, row.join("\n"))),
  );
  const again = [
    `let element = base${rank > 1 ? ` + i * ${down}` : ""} + j * ${right};`,
    "let r = plain(element);",
    store("r", "element", "out"),
  ].join("\n");
  code.lines.push(`if (${spoiled(results)}) {`, indent(eachOutput(t, again)), "}");
  return {
    label: "Winograd: outputs",
    reads: [
      { name: "m", place: from },
      { name: "p", place: inputAt(0) },
      { name: "q", place: inputAt(1) },
      ...startOf(part),
      ...epilogue.reads,
    ],
    writes: [{ name: "y", place: outputAt(0) }],
    ...overItems(items, code.lines.join("\n"), [epilogue.functions, plainFunction(task, "p", "q")]),
  };
}

/** Loops over the outputs i, j of a tile that exist. */
function eachOutput(t: Tiling, body: string): string {
  const { axes, phase, h, w } = t;
  const rank = axes.length;
  const test = (a: number, i: string): string | null =>
    outputExists(t, a, axes[a].m - 1)
      ? `at${a} + ${times(i, axes[a].spacing)} < ${phase.grid[a]}`
      : null;
  const tests = [rank > 1 ? test(rank - 2, "i") : null, test(rank - 1, "j")];
  const inner = within(tests.filter((v) => v !== null).join(" && ") || null, body);
  return `for (var i = 0u; i < ${h.m}; i++) {\n  for (var j = 0u; j < ${w.m}; j++) {\n${indent(indent(inner))}\n  }\n}`;
}
