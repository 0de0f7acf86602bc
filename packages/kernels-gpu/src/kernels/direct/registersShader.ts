// Products by threads that hold a tile of rows × outputs in registers and read memory directly: no
// workgroup memory, no barriers, little code.
//
//            outputs of a thread (neighbors: one coordinate of x serves several taps)
//   rows  ┌ s0_0 s0_1 s0_2 … ┐
//         └ s1_0 s1_1 s1_2 … ┘   s += a[row, tap] · x[output·step + tap·delta + first]
//
// Taps are written out as far as `unroll` says; loops walk over the rest. Software adapters have
// few lanes, and loads cost them much: there four lanes load four weights and share them.

import { cellsOf, combinations } from "@conv/compiler";
import { sizeOf } from "@conv/tensor";
import { BLOCK, levelsOf } from "../../wgsl/sums.ts";
import {
  coordinates,
  each,
  guarded,
  mainOf,
  plus,
  sumOf,
  times,
  type EmittedEpilogue,
} from "../../wgsl/wgsl.ts";
import { channelAt, type Product } from "../gemm/product.ts";
import { aStart, walkOf, type Walk } from "../gemm/walk.ts";
import { countsOf, type RegisterTile } from "./registers.ts";

/** Lines of code, indented by how deep they are nested. */
interface Lines {
  readonly text: () => string;
  line(text: string): void;
  /** A block after `head`. */
  block(head: string, body: () => void): void;
  /** The same, or the body alone where `head` is empty. */
  nested(head: string, body: () => void): void;
}

function createLines(): Lines {
  const lines: string[] = [];
  let depth = 0;
  const line = (text: string) => void lines.push("  ".repeat(depth) + text);
  const block = (head: string, body: () => void) => {
    line(head ? `${head} {` : "{");
    depth++;
    body();
    depth--;
    line("}");
  };
  const nested = (head: string, body: () => void) => (head ? block(head, body) : body());
  return { line, block, nested, text: () => lines.join("\n") };
}

/** A product with the tile of a thread, and the code that is being written. */
interface Registers extends Walk {
  readonly t: RegisterTile;
  readonly code: Lines;
  /** Outputs of a thread, by their coordinates within its tile. */
  readonly cells: readonly (readonly number[])[];
  /** Names of the coordinates of the first of them. */
  readonly first: readonly string[];
  /** Threads in all; where weights are shared, those of one block of rows. */
  readonly items: number;
  readonly groups: number;
  /** Sums of nested blocks that a long sum has besides its last (sums.ts). */
  readonly levels: number;
  /** Names of offsets in a at which four lanes load together. */
  readonly laneOffsets: Map<string, string>;
}

/** The shader. Its bindings are a, x and y, and those of the epilogue. */
export function registersShader(
  p: Product,
  t: RegisterTile,
  epilogue: EmittedEpilogue,
): { code: string; groups: number; enables: string[] } {
  const walk = walkOf(p);
  const { tiles, blocks, rowBlocks } = countsOf(p, t);
  const items = sizeOf(tiles) * (t.share ? 1 : rowBlocks * p.groups.count);
  const r: Registers = {
    ...walk,
    t,
    code: createLines(),
    cells: cellsOf(t.outputs),
    first: walk.names.map((n) => `${n}0`),
    items,
    groups: t.share ? rowBlocks * blocks * p.groups.count : Math.ceil(items / t.threads),
    levels: levelsOf(walk.taps),
    laneOffsets: new Map(),
  };
  locateTile(r);
  declareSums(r, 0);
  if (t.share) declareLaneOffsets(r);
  if (r.taps > 0)
    walkTaps(
      r,
      0,
      [],
      { a: "a_first", x: "x_first", c: r.names.map((n) => `${n}_first`) },
      r.levels,
    );
  storeTile(r, epilogue);
  const more = t.share ? ", @builtin(subgroup_invocation_id) sub: u32" : "";
  const main = mainOf(r.groups, t.threads, r.code.text(), more);
  return {
    code: [epilogue.functions, main].filter(Boolean).join("\n\n"),
    groups: r.groups,
    enables: t.share ? ["subgroups"] : [],
  };
}

/**
 * Declares which rows and outputs a thread makes, and where they begin in a and x. Threads are
 * numbered through, or where they share weights within one block of rows.
 */
function locateTile(r: Registers): void {
  const { product: p, t, code, names, first, padded, lead } = r;
  const { axes, groups } = p;
  const { tiles, blocks, rowBlocks } = countsOf(p, t);
  if (t.share) {
    code.line(coordinates("group", [groups.count, blocks, rowBlocks], ["part", "tiles", "block"]));
    code.line(`let index = tiles * ${t.threads} + lane;`);
    code.line(coordinates("index", tiles, names));
  } else {
    code.line(`let index = group * ${t.threads} + lane;`);
    code.line(
      coordinates("index", [groups.count, rowBlocks, ...tiles], ["part", "block", ...names]),
    );
  }
  code.line(`let row = ${times("block", t.rows)};`);
  axes.forEach((_, i) => code.line(`let ${first[i]} = ${times(names[i], t.outputs[i])};`));
  const signed = first.map((n) => `i32(${n})`);
  const xTerms = axes.map((axis, i) => [signed[i], axis.step * axis.x] as const);
  code.line(`let a_first = ${aStart(r, "row")};`);
  code.line(`let x_first = ${plus(sumOf([["i32(part)", groups.x], ...xTerms]), lead)};`);
  axes.forEach((axis, i) => {
    if (padded[i])
      code.line(`let ${names[i]}_first = ${plus(sumOf([[signed[i], axis.step]]), axis.first)};`);
  });
}

/** Names of sums begin with s, those of their blocks with b, and so on. */
const SUMS = "sbcdefg";

function declareSums({ t, code, cells }: Registers, level: number): void {
  for (let m = 0; m < t.rows; m++)
    code.line(cells.map((_, c) => `var ${SUMS[level]}${m}_${c} = 0.0;`).join(" "));
}

/** Names of where a thread stands: in a, in x, and its coordinates of x along each axis. */
interface At {
  readonly a: string;
  readonly x: string;
  readonly c: readonly string[];
}

/**
 * Loops over the taps that are not written out, from axis `i` on, each with a shorter body for the
 * rest. `counts`: taps that a body writes out along the axes before; `level`: blocks of sums that
 * are yet to begin.
 */
function walkTaps(r: Registers, i: number, counts: readonly number[], at: At, level: number): void {
  const { product: { axes }, t, code, names, padded, levels } = r; // prettier-ignore
  if (i === axes.length) return multiplyTaps(r, counts, at, levels - level, level > 0);
  const axis = axes[i];
  const own = Math.min(t.unroll[i], axis.taps);
  if (own === axis.taps) return walkTaps(r, i + 1, [...counts, own], at, level);
  const n = names[i];
  const enter = (k: string): At => {
    code.line(`let a_${n} = ${at.a} + ${times(k, axis.a)};`);
    code.line(`let x_${n} = ${at.x} + ${times(`i32(${k})`, axis.delta * axis.x)};`);
    if (padded[i]) code.line(`let c_${n} = ${at.c[i]} + ${times(`i32(${k})`, axis.delta)};`);
    return { a: `a_${n}`, x: `x_${n}`, c: padded[i] ? at.c.with(i, `c_${n}`) : at.c };
  };
  const left = axis.taps % own;
  const inner = axes.slice(i + 1).reduce((count, { taps }) => count * taps, 1);
  const loop = (from: string, to: string, below: number): void => {
    const taps = BLOCK ** below / inner;
    if (below === 0 || taps <= 1)
      return code.block(`for (var k${n} = ${from}; k${n} < ${to}; k${n} += ${own})`, () =>
        walkTaps(r, i + 1, [...counts, own], enter(`k${n}`), below),
      );
    const [next, size] = [`k${n}_block${below}`, Math.max(1, Math.floor(taps / own)) * own];
    code.block(`for (var ${next} = ${from}; ${next} < ${to}; ${next} += ${size})`, () =>
      sumBlock(r, levels - below, () => loop(next, `min(${next} + ${size}, ${to})`, below - 1)),
    );
  };
  loop("0u", `${axis.taps - left}u`, level);
  if (left)
    code.block("", () =>
      walkTaps(r, i + 1, [...counts, left], enter(`${axis.taps - left}u`), level),
    );
}

/** Runs `make` with new sums, which are then added to those of `level`. */
function sumBlock(r: Registers, level: number, make: () => void): void {
  const [above, own] = [SUMS[level], SUMS[level + 1]];
  declareSums(r, level + 1);
  make();
  for (let m = 0; m < r.t.rows; m++)
    r.code.line(r.cells.map((_, c) => `${above}${m}_${c} += ${own}${m}_${c};`).join(" "));
}

/**
 * Adds the products of `counts` taps along each axis to the sums of a level; `apart`: in blocks,
 * which are added to the sums.
 */
function multiplyTaps(
  r: Registers,
  counts: readonly number[],
  at: At,
  level: number,
  apart: boolean,
): void {
  const { t, code, cells } = r;
  const sum = SUMS[level];
  const taps = cellsOf(counts);
  const input = createInputs(r, at);
  for (const tap of taps) for (const cell of cells) input(cell, tap);
  const weights = weightsOf(r, counts);
  for (let m = 0; m < t.rows; m++)
    taps.forEach((tap, k) => {
      const v = m * taps.length + k;
      loadWeight(r, at, weights, v);
      // Chains of names, not of assignments: each assignment would be a masked copy on adapters
      // that run lanes as vectors.
      const [begins, ends] = apart ? [k % BLOCK === 0, (k + 1) % BLOCK === 0] : [k === 0, false];
      cells.forEach((cell, c) => {
        const [total, before] = [`${sum}${m}_${c}`, `${sum}${m}_${c}_${k - 1}`];
        const product =
          apart && begins
            ? `a${v} * ${input(cell, tap)}`
            : `fma(a${v}, ${input(cell, tap)}, ${begins ? total : before})`;
        code.line(`let ${total}_${k} = ${product};`);
      });
      const assign = apart ? "+=" : "=";
      if (ends || k === taps.length - 1)
        code.line(cells.map((_, c) => `${sum}${m}_${c} ${assign} ${sum}${m}_${c}_${k};`).join(" "));
    });
}

/** Gives the name of the element of x that an output reads at a tap, and loads it once. */
function createInputs({ product: { axes }, code, padded }: Registers, at: At) {
  const loaded = new Map<string, string>();
  const tests = new Map<string, string>();
  return (cell: readonly number[], tap: readonly number[]): string => {
    const d = axes.map((axis, i) => cell[i] * axis.step + tap[i] * axis.delta);
    const known = loaded.get(d.join());
    if (known) return known;
    const name = `x${loaded.size}`;
    loaded.set(d.join(), name);
    const inside = axes.flatMap((axis, i) => {
      if (!padded[i]) return [];
      const test = `u32(${plus(at.c[i], d[i])}) < ${axis.size}`;
      if (!tests.has(test)) {
        tests.set(test, `in${tests.size}`);
        code.line(`let ${tests.get(test)} = ${test};`);
      }
      return [tests.get(test)!];
    });
    const offset = d.reduce((n, v, i) => n + v * axes[i].x, 0);
    code.line(`let ${name} = ${guarded(`f32(x[${plus(at.x, offset)}])`, inside)};`);
    return name;
  };
}

/** Offsets in a of the weights of a body: by row, then by tap. */
const weightsOf = ({ product: { axes, rows }, t }: Registers, counts: readonly number[]) =>
  each(t.rows, (m) =>
    cellsOf(counts).map((tap) => m * rows.a + tap.reduce((n, v, i) => n + v * axes[i].a, 0)),
  ).flat();

/** Offsets that four lanes load together with weight `v`; the last four may be fewer. */
const fourWith = (weights: readonly number[], v: number) =>
  [0, 1, 2, 3].map((lane) => weights[Math.min((v & ~3) + lane, weights.length - 1)]);
const areNeighbors = (offsets: readonly number[]) =>
  offsets.every((offset, lane) => offset === offsets[0] + lane);

/** Declares a{v}, a weight; four at a time where lanes share them. */
function loadWeight(
  { t, code, laneOffsets }: Registers,
  at: At,
  weights: readonly number[],
  v: number,
): void {
  if (!t.share) return code.line(`let a${v} = f32(a[${plus(at.a, weights[v])}]);`);
  const fours = fourWith(weights, v);
  if (v % 4 === 0) {
    const place = areNeighbors(fours)
      ? `${plus(at.a, fours[0])} + lane_of_four`
      : `${at.a} + ${laneOffsets.get(fours.join())}`;
    code.line(`let four${v >> 2} = f32(a[${place}]);`);
  }
  code.line(`let a${v} = subgroupBroadcast(four${v >> 2}, ${v % 4}u);`);
}

/** Declares, for each lane, the offsets in a of weights that do not lie side by side. */
function declareLaneOffsets(r: Registers): void {
  const { product: { axes }, t, code, laneOffsets } = r; // prettier-ignore
  code.line("let lane_of_four = sub & 3;");
  // Taps that some body writes out along each axis: the full count, and the rest.
  const bodies = combinations(
    axes.map(({ taps }, i) => {
      const own = Math.min(t.unroll[i], taps);
      return taps % own ? [own, taps % own] : [own];
    }),
  );
  for (const weights of bodies.map((counts) => weightsOf(r, counts)))
    for (let v = 0; v < weights.length; v += 4) {
      const fours = fourWith(weights, v);
      if (areNeighbors(fours) || laneOffsets.has(fours.join())) continue;
      const name = `lanes${laneOffsets.size}`;
      laneOffsets.set(fours.join(), name);
      const [o0, o1, o2, o3] = fours.map((o) => `${o}u`);
      code.line(
        `let ${name} = select(select(${o0}, ${o1}, lane_of_four == 1), select(${o2}, ${o3}, lane_of_four == 3), lane_of_four > 1);`,
      );
    }
}

/** Stores the outputs of a thread that exist, finished by the epilogue. */
function storeTile(r: Registers, epilogue: EmittedEpilogue): void {
  const { product: p, t, code, cells, first, items } = r;
  const { axes, rows, groups, offset } = p;
  const yTerms = axes.map((axis, i) => [first[i], axis.y] as const);
  const yFirst = plus(sumOf([["part", groups.y], ["row", rows.y], ...yTerms]), offset.y);
  code.line(`let y_first = ${yFirst};`);
  const threads = (t.share ? countsOf(p, t).blocks : r.groups) * t.threads;
  const store = (cell: readonly number[], c: number, m: number) => {
    const moved = m * rows.y + cell.reduce((n, v, i) => n + v * axes[i].y, 0);
    const element = plus("y_first", moved);
    const at = {
      r: `s${m}_${c}`,
      channel: channelAt(p, "part", plus("row", m)),
      column: plus(first.at(-1) ?? "0", cell.at(-1) ?? 0),
      element,
    };
    code.line(epilogue.store(at, `y${m}_${c}`));
    code.line(`y[${element}] = Y(y${m}_${c});`);
  };
  code.nested(threads === items ? "" : `if (index < ${items})`, () =>
    cells.forEach((cell, c) => {
      const inside = axes.flatMap(({ grid }, i) =>
        grid % t.outputs[i] && cell[i] > 0 ? [`(${plus(first[i], cell[i])} < ${grid})`] : [],
      );
      code.nested(inside.length ? `if (${inside.join(" & ")})` : "", () => {
        for (let m = 0; m < t.rows; m++) {
          const ragged = rows.count % t.rows && m > 0;
          code.nested(ragged ? `if (${plus("row", m)} < ${rows.count})` : "", () =>
            store(cell, c, m),
          );
        }
      });
    }),
  );
}
