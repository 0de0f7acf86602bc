// The transforms of Winograd's short convolutions as shaders: of weights, of tiles of the source,
// and of products back to outputs. A thread does one tile of one channel, in names alone. Points
// lie far apart, [point][row][tile], so that element `index` of each is the thread's own.

import { combine, type Matrix, type SumWriter, type TileAxis, type Tiling } from "@conv/compiler";
import { sizeOf, stridesOf } from "@conv/tensor";
import {
  inputAt,
  outputAt,
  type Binding,
  type GpuStage,
  type Place,
  type Task,
} from "../../compile/code.ts";
import {
  coordinates,
  emitEpilogue,
  indent,
  literal,
  offsetOf,
  plus,
  times,
  guarded,
} from "../../wgsl/wgsl.ts";
import { overItems } from "../elementwise/each.ts";
import { plainFunction, scaleFor, spoiled } from "./repair.ts";

/** Tiles that are transformed and multiplied together. */
export interface Part {
  readonly columns: number;
  /** Holds the number of the first, where there are several parts. */
  readonly start: Place | null;
  /** The last columns, of the last part, may have no tile. */
  readonly ragged: boolean;
}

/** Lines of code with names for sums. */
export function writer(): {
  readonly lines: string[];
  readonly sums: SumWriter<string>;
  name(text: string): string;
} {
  const lines: string[] = [];
  let count = 0;
  const name = (text: string) => {
    lines.push(`let t${count} = ${text};`);
    return `t${count++}`;
  };
  return {
    lines,
    name,
    sums: {
      add: (a, b) => name(`${a} + ${b}`),
      sub: (a, b) => name(`${a} - ${b}`),
      begin: (c, x) => (c === 1 ? x : name(c === -1 ? `-${x}` : `${literal(c)} * ${x}`)),
      more: (sum, c, x) =>
        name(
          c === 1
            ? `${sum} + ${x}`
            : c === -1
              ? `${sum} - ${x}`
              : `fma(${literal(c)}, ${x}, ${sum})`,
        ),
    },
  };
}

/** H·d·Wᵀ: `load` gives the element of a row and a column, `put` gets those of the result. */
export function transform(
  code: SumWriter<string>,
  [matrixH, matrixW]: readonly [Matrix, Matrix],
  load: (row: number, column: number) => string,
  put: (row: number, column: number, value: string) => void,
): void {
  const columns = matrixW[0].map((_, j) =>
    combine(
      code,
      matrixH,
      matrixH[0].map((__, i) => load(i, j)),
    ),
  );
  matrixH.forEach((_, i) =>
    combine(
      code,
      matrixW,
      columns.map((c) => c[i]),
    ).forEach((value, j) => put(i, j, value)),
  );
}

/** values[index] as an expression. */
export function lookup(values: readonly number[], index: string): string {
  const step = (values[1] ?? values[0]) - values[0];
  if (values.every((v, i) => v === values[0] + i * step))
    return step ? plus(`i32(${index}) * ${step}`, values[0]) : `${values[0]}`;
  return `array<i32, ${values.length}>(${values.join(", ")})[${index}]`;
}

export const plainNames = (axes: readonly TileAxis[]): string[] => axes.map((_, a) => `plain${a}`);

/**
 * Statements that find the image and the first output `at` along each axis of the tile that is the
 * thread's column.
 */
export function tileOf({ g, axes, tiles }: Tiling, { start, ragged }: Part): string {
  const names = axes.map((_, a) => `tile${a}`);
  return [
    `let tile = column${start ? " + u32(start[0])" : ""};`,
    ...(ragged ? [`if (tile >= ${tiles}u) { return; }`] : []),
    coordinates("tile", [g.n, ...axes.map((x) => x.tiles)], ["image", ...names]),
    ...axes.map(
      ({ m, spacing }, a) =>
        `let at${a} = ${spacing === 1 ? times(names[a], m) : `${names[a]} % ${spacing} + ${names[a]} / ${spacing} * ${spacing * m}`};`,
    ),
  ].join("\n");
}

const startOf = ({ start }: Part): Binding[] => (start ? [{ name: "start", place: start }] : []);

/** The last tile's first output along an axis. */
export const lastTile = ({ m, spacing, tiles }: TileAxis): number =>
  spacing - 1 + spacing * m * (Math.floor(tiles / spacing) - 1);

/** v[point][channel × plain taps][column] = Bᵀ·d·B of the source. */
export function inputStage(t: Tiling, part: Part, from: Place, into: Place): GpuStage {
  const { g, axes, h, w, depth } = t;
  const rank = axes.length;
  const strides = stridesOf(g.source);
  const items = g.groups * depth * part.columns;
  const { lines, sums, name } = writer();
  const channels = g.groups * g.from;
  lines.push(
    coordinates(
      "index",
      [channels, ...axes.map((x) => x.plain.length), part.columns],
      ["channel", ...plainNames(axes), "column"],
    ),
    tileOf(t, part),
    ...axes.map((x, a) => {
      const values = x.plain.map((p) => x.first - g.lo[a] + p);
      const from = times(`i32(at${a})`, g.step[a]);
      return `let from${a} = ${values.length === 1 ? plus(from, values[0]) : `${from} + ${lookup(values, plainNames(axes)[a])}`};`;
    }),
    `let base = i32((image * ${channels} + channel) * ${sizeOf(g.source)}) + ${axes.map((_, a) => times(`from${a}`, strides[a])).join(" + ")};`,
  );
  const apart = axes.map((x, a) => x.spacing * g.step[a]);
  // Whether element i along an axis is in the source; null where every one is.
  const inside = axes.map((x, a) => {
    const [least, most] = [
      x.first - g.lo[a],
      lastTile(x) * g.step[a] + x.first - g.lo[a] + x.plain.at(-1)! + (x.n - 1) * apart[a],
    ];
    return Array.from({ length: x.n }, (_, i) =>
      least >= 0 && most < g.source[a]
        ? null
        : name(`u32(${plus(`from${a}`, i * apart[a])}) < ${g.source[a]}`),
    );
  });
  const [inH, inW] = [rank > 1 ? inside[rank - 2] : [null], inside[rank - 1]];
  const outer = inside.slice(0, -2).map(([test]) => test);
  const rows = inH.map((test) => {
    const all = [...outer, test].filter((v) => v !== null);
    return all.length > 1 ? name(all.join(" & ")) : (all[0] ?? null);
  });
  transform(
    sums,
    [h.short.bt, w.short.bt],
    (i, j) => {
      const tests = [rows[i], inW[j]].filter((v) => v !== null);
      const element = `f32(x[${plus("base", (rank > 1 ? i * apart[rank - 2] * strides[rank - 2] : 0) + j * apart[rank - 1])}])`;
      return name(guarded(element, tests));
    },
    (i, j, value) => lines.push(`v[${plus("index", (i * w.n + j) * items)}] = V(${value});`),
  );
  return {
    label: "Winograd: source",
    reads: [{ name: "x", place: from }, ...startOf(part)],
    writes: [{ name: "v", place: into }],
    ...overItems(items, lines.join("\n")),
  };
}

/**
 * u[point][output channel][channel × plain taps] = G·g·Gᵀ of the weights; `across`: with output
 * channels innermost.
 */
export function weightStage(
  { g, axes, h, w, depth }: Tiling,
  across: boolean,
  into: Place,
): GpuStage {
  const rank = axes.length;
  const strides = stridesOf(g.kernel);
  const items = g.groups * g.to * depth;
  const plain = axes.map((x) => x.plain.length);
  const { lines, sums, name } = writer();
  lines.push(
    coordinates(
      "index",
      across ? [g.groups, g.from, ...plain, g.to] : [g.groups, g.to, g.from, ...plain],
      across
        ? ["problem", "channel", ...plainNames(axes), "row"]
        : ["problem", "row", "channel", ...plainNames(axes)],
    ),
    `let base = i32(${offsetOf(["problem", "row", "channel"], [g.to * g.from * sizeOf(g.kernel), g.wTo, g.wFrom])});`,
  );
  // The taps of each axis that go together, as distances in w; negative where there is none.
  const taps = axes.map((x, a) =>
    x.taps[0].map((_, i) => {
      const values = x.taps.map((list) => (list[i] < 0 ? -1 : list[i] * strides[a]));
      return {
        at: values.length > 1 ? name(lookup(values, plainNames(axes)[a])) : `${values[0]}`,
        missing: values.includes(-1),
      };
    }),
  );
  const outer = taps.slice(0, -2).map(([tap]) => tap);
  const [tapsH, tapsW] = [rank > 1 ? taps[rank - 2] : [], taps[rank - 1]];
  const scale = scaleFor([h.short.g, w.short.g]);
  transform(
    sums,
    [h.short.g, w.short.g],
    (i, j) => {
      const all = [...outer, ...(rank > 1 ? [tapsH[i]] : []), tapsW[j]];
      const element = `f32(w[${["base", ...all.flatMap(({ at }) => (at === "0" ? [] : [at]))].join(" + ")}])`;
      const missing = all.flatMap((tap) => (tap.missing ? [`(${tap.at} >= 0)`] : []));
      return name(`${guarded(element, missing)} * ${literal(scale)}`);
    },
    (i, j, value) => lines.push(`u[${plus("index", (i * w.n + j) * items)}] = U(${value});`),
  );
  return {
    label: "Winograd: weights",
    reads: [{ name: "w", place: inputAt(1) }],
    writes: [{ name: "u", place: into }],
    ...overItems(items, lines.join("\n")),
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
  const { lines, sums, name } = writer();
  const moves = axes.map((_, a) => g.outStep[a] * strides[a]);
  const origin = phase.origin.reduce((sum, o, a) => sum + o * strides[a], 0);
  lines.push(
    coordinates("index", [channels, part.columns], ["channel", "column"]),
    tileOf(t, part),
    `let base = ${plus(`(image * ${channels} + channel) * ${sizeOf(g.output)} + ${axes.map((_, a) => times(`at${a}`, moves[a])).join(" + ")}`, origin)};`,
  );
  // Whether output i of a tile exists; null where every tile has it.
  const exists = (a: number, i: number): string | null =>
    lastTile(axes[a]) + i * axes[a].spacing < phase.grid[a]
      ? null
      : `${plus(`at${a}`, i * axes[a].spacing)} < ${phase.grid[a]}`;
  const beyond = (a: number, i: string): string | null =>
    exists(a, axes[a].m - 1) ? `at${a} + ${times(i, axes[a].spacing)} < ${phase.grid[a]}` : null;
  const within = (test: string | null, body: string) =>
    test ? `if (${test}) {\n${indent(body)}\n}` : body;
  const rows = h.short.at.map((): string[] => []);
  const results: string[] = [];
  const whole = name(`${literal(1 / scaleFor([h.short.g, w.short.g]))}`);
  transform(
    sums,
    [h.short.at, w.short.at],
    (i, j) => name(`f32(m[${plus("index", (i * w.n + j) * items)}])`),
    (i, j, sum) => {
      const element = plus(
        "base",
        (rank > 1 ? i * h.spacing * moves[rank - 2] : 0) + j * w.spacing * moves[rank - 1],
      );
      const out = `y${i}_${j}`;
      const r = name(`${sum} * ${whole}`);
      results.push(r);
      rows[i].push(
        within(
          exists(rank - 1, j),
          `${epilogue.store({ r, channel: "channel", column: "0", element }, out)}\ny[${element}] = Y(${out});`,
        ),
      );
    },
  );
  rows.forEach((row, i) =>
    lines.push(within(rank > 1 ? exists(rank - 2, i) : null, row.join("\n"))),
  );
  const [inH, inW] = [rank > 1 ? beyond(rank - 2, "i") : null, beyond(rank - 1, "j")];
  const again = [
    `let element = base${rank > 1 ? ` + i * ${h.spacing * moves[rank - 2]}` : ""} + j * ${w.spacing * moves[rank - 1]};`,
    "let r = plain(element);",
    epilogue.store({ r: "r", channel: "channel", column: "0", element: "element" }, "out"),
    "y[element] = Y(out);",
  ].join("\n");
  const tests = [inH, inW].filter((test) => test !== null).join(" && ");
  lines.push(
    `if (${spoiled(results)}) {`,
    indent(
      `for (var i = 0u; i < ${h.m}; i++) {\n  for (var j = 0u; j < ${w.m}; j++) {\n${indent(indent(within(tests || null, again)))}\n  }\n}`,
    ),
    "}",
  );
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
    ...overItems(items, lines.join("\n"), [epilogue.functions, plainFunction(task, "p", "q")]),
  };
}
