// Products by threads that hold a tile of rows × outputs in registers and read memory directly: no
// workgroup memory, no barriers, little code.
//
//            outputs of a thread (neighbors: one coordinate of x serves several taps)
//   rows  ┌ s0_0 s0_1 s0_2 … ┐
//         └ s1_0 s1_1 s1_2 … ┘   s += a[row, tap] · x[output·step + tap·delta + first]
//
// Taps are written out as far as `unroll` says, loops walk over the rest. Where lanes are few and
// loads dear (software adapters), four lanes load four weights and share them.

import { cellsOf, combinations } from "@conv/compiler";
import { sizeOf } from "@conv/tensor";
import { BLOCK, levelsOf } from "../../wgsl/sums.ts";
import {
  coordinates,
  guarded,
  mainOf,
  plus,
  sumOf,
  times,
  type EmittedEpilogue,
} from "../../wgsl/wgsl.ts";
import { axisNames, channelAt, leaves, tapsOf, type Axis, type Product } from "../gemm/product.ts";

export interface RegisterTile {
  readonly rows: number;
  /** Outputs of a thread, and taps that are written out, along each axis of the product. */
  readonly outputs: readonly number[];
  readonly unroll: readonly number[];
  /** Threads of a workgroup. */
  readonly threads: number;
  readonly share: boolean;
}

/** How many of everything a tile leads to. */
export interface Counts {
  readonly rowBlocks: number;
  /** Tiles along each axis, and workgroups that hold them. */
  readonly tiles: readonly number[];
  readonly blocks: number;
  /**
   * Bodies that a thread goes through, and what is in one: weights, coordinates of x,
   * multiply-adds, tests for padding.
   */
  readonly bodies: number;
  readonly weights: number;
  readonly inputs: number;
  readonly macs: number;
  readonly checks: number;
}

export function countsOf(
  { axes, rows }: Product,
  t: Pick<RegisterTile, "rows" | "outputs" | "unroll" | "threads">,
): Counts {
  const tiles = axes.map(({ grid }, i) => Math.ceil(grid / t.outputs[i]));
  const taps = axes.map(({ taps: n }, i) => Math.min(n, t.unroll[i]));
  const unrolled = sizeOf(taps);
  return {
    rowBlocks: Math.ceil(rows.count / t.rows),
    tiles,
    blocks: Math.ceil(sizeOf(tiles) / t.threads),
    bodies: axes.reduce((n, { taps: all }, i) => n * (taps[i] ? Math.ceil(all / taps[i]) : 0), 1),
    weights: t.rows * unrolled,
    inputs: axes.reduce((n, axis, i) => n * coordinatesMet(axis, t.outputs[i], taps[i]), 1),
    macs: t.rows * unrolled * sizeOf(t.outputs),
    checks: axes.filter(leaves).length,
  };
}

/** Different coordinates that some outputs meet at some taps. */
function coordinatesMet({ step, delta }: Axis, outputs: number, taps: number): number {
  if (outputs === 1 || taps === 1) return outputs * taps;
  const met = new Set<number>();
  for (let o = 0; o < outputs; o++) for (let k = 0; k < taps; k++) met.add(o * step + k * delta);
  return met.size;
}

/** The shader: bindings a, x and y, and those of the epilogue. */
export function registersShader(
  p: Product,
  t: RegisterTile,
  epilogue: EmittedEpilogue,
): { code: string; groups: number; enables: string[] } {
  const { axes } = p;
  const names = axisNames(p);
  const checked = axes.map((axis) => tapsOf(p) > 0 && leaves(axis));
  const { tiles, blocks, rowBlocks } = countsOf(p, t);
  const lines: string[] = [];
  let depth = 0;
  const line = (text: string) => lines.push("  ".repeat(depth) + text);
  const block = (head: string, body: () => void) => {
    line(head ? `${head} {` : "{");
    depth++;
    body();
    depth--;
    line("}");
  };
  const nested = (head: string, body: () => void) => (head ? block(head, body) : body());

  // Where the thread's tile is. Weights are shared among lanes with the same rows, else threads are
  // numbered through.
  const items = sizeOf(tiles) * (t.share ? 1 : rowBlocks * p.groups.count);
  const groups = t.share ? rowBlocks * blocks * p.groups.count : Math.ceil(items / t.threads);
  if (t.share) {
    line(coordinates("group", [p.groups.count, blocks, rowBlocks], ["part", "tiles", "block"]));
    line(`let index = tiles * ${t.threads} + lane;`);
    line(coordinates("index", tiles, names));
  } else {
    line(`let index = group * ${t.threads} + lane;`);
    line(coordinates("index", [p.groups.count, rowBlocks, ...tiles], ["part", "block", ...names]));
  }
  line(`let row = ${times("block", t.rows)};`);
  axes.forEach((_, i) => line(`let ${names[i]}0 = ${times(names[i], t.outputs[i])};`));
  const first = names.map((n) => `${n}0`);
  const signed = first.map((n) => `i32(${n})`);
  line(
    `let a_first = ${plus(
      sumOf([
        ["part", p.groups.a],
        ["row", p.rows.a],
      ]),
      p.offset.a,
    )};`,
  );
  const lead = axes.reduce((n, axis) => n + axis.first * axis.x, p.offset.x);
  line(
    `let x_first = ${plus(sumOf([["i32(part)", p.groups.x], ...axes.map((axis, i) => [signed[i], axis.step * axis.x] as const)]), lead)};`,
  );
  axes.forEach(
    (axis, i) =>
      checked[i] &&
      line(`let ${names[i]}_first = ${plus(sumOf([[signed[i], axis.step]]), axis.first)};`),
  );

  const cells = cellsOf(t.outputs);
  // Sums are `s`, those of their blocks `b`, and so on (sums.ts).
  const SUMS = "sbcdefg";
  const declare = (sum: string) => {
    for (let m = 0; m < t.rows; m++)
      line(cells.map((_, c) => `var ${sum}${m}_${c} = 0.0;`).join(" "));
  };
  declare(SUMS[0]);

  const weightsOf = (counts: readonly number[]) =>
    Array.from({ length: t.rows }, (_, m) =>
      cellsOf(counts).map((tap) => m * p.rows.a + tap.reduce((n, v, i) => n + v * axes[i].a, 0)),
    ).flat();
  /** Offsets that the four lanes load together; the last four may be fewer. */
  const four = (weights: readonly number[], v: number) =>
    [0, 1, 2, 3].map((l) => weights[Math.min((v & ~3) + l, weights.length - 1)]);
  const neighbors = (offsets: readonly number[]) => offsets.every((o, l) => o === offsets[0] + l);

  interface At {
    readonly a: string;
    readonly x: string;
    readonly c: readonly string[];
  }
  const offsets = new Map<string, string>();
  /** Adds the products of all these taps to sums; `apart`: as blocks of their own. */
  const body = (counts: readonly number[], at: At, sum: string, apart: boolean) => {
    const taps = cellsOf(counts);
    const met = new Map<string, string>();
    const tests = new Map<string, string>();
    const input = (cell: readonly number[], tap: readonly number[]): string => {
      const d = axes.map((axis, i) => cell[i] * axis.step + tap[i] * axis.delta);
      const known = met.get(d.join());
      if (known) return known;
      const name = `x${met.size}`;
      met.set(d.join(), name);
      const inside = axes.flatMap((axis, i) => {
        if (!checked[i]) return [];
        const test = `u32(${plus(at.c[i], d[i])}) < ${axis.size}`;
        if (!tests.has(test)) {
          tests.set(test, `in${tests.size}`);
          line(`let ${tests.get(test)} = ${test};`);
        }
        return [tests.get(test)!];
      });
      const load = `f32(x[${plus(
        at.x,
        d.reduce((n, v, i) => n + v * axes[i].x, 0),
      )}])`;
      line(`let ${name} = ${guarded(load, inside)};`);
      return name;
    };
    for (const tap of taps) for (const cell of cells) input(cell, tap);
    const weights = weightsOf(counts);
    const weight = (v: number) => {
      if (!t.share) return line(`let a${v} = f32(a[${plus(at.a, weights[v])}]);`);
      const fours = four(weights, v);
      if (v % 4 === 0) {
        const place = neighbors(fours)
          ? `${plus(at.a, fours[0])} + lane_of_four`
          : `${at.a} + ${offsets.get(fours.join())}`;
        line(`let four${v >> 2} = f32(a[${place}]);`);
      }
      line(`let a${v} = subgroupBroadcast(four${v >> 2}, ${v % 4}u);`);
    };
    for (let m = 0; m < t.rows; m++) {
      taps.forEach((tap, k) => {
        const v = m * taps.length + k;
        weight(v);
        // Chains of names, not of assignments: each would be a masked copy on adapters that run
        // lanes as vectors.
        const [begins, ends] = apart ? [k % BLOCK === 0, (k + 1) % BLOCK === 0] : [k === 0, false];
        cells.forEach((cell, c) => {
          const [total, before] = [`${sum}${m}_${c}`, `${sum}${m}_${c}_${k - 1}`];
          const product =
            apart && begins
              ? `a${v} * ${input(cell, tap)}`
              : `fma(a${v}, ${input(cell, tap)}, ${begins ? total : before})`;
          line(`let ${total}_${k} = ${product};`);
        });
        if (ends || k === taps.length - 1)
          line(
            cells
              .map((_, c) => `${sum}${m}_${c} ${apart ? "+=" : "="} ${sum}${m}_${c}_${k};`)
              .join(" "),
          );
      });
    }
  };

  // Loops over the taps that are not written out, each with a shorter body for what is left;
  // `level`: sums of blocks that are yet to come.
  const levels = levelsOf(tapsOf(p));
  const walk = (i: number, counts: readonly number[], at: At, level: number) => {
    if (i === axes.length) return body(counts, at, SUMS[levels - level], level > 0);
    const axis = axes[i];
    const own = Math.min(t.unroll[i], axis.taps);
    if (own === axis.taps) return walk(i + 1, [...counts, own], at, level);
    const n = names[i];
    const enter = (k: string): At => {
      line(`let a_${n} = ${at.a} + ${times(k, axis.a)};`);
      line(`let x_${n} = ${at.x} + ${times(`i32(${k})`, axis.delta * axis.x)};`);
      if (checked[i]) line(`let c_${n} = ${at.c[i]} + ${times(`i32(${k})`, axis.delta)};`);
      return { a: `a_${n}`, x: `x_${n}`, c: checked[i] ? at.c.with(i, `c_${n}`) : at.c };
    };
    const left = axis.taps % own;
    const inner = axes.slice(i + 1).reduce((count, { taps }) => count * taps, 1);
    const loop = (from: string, to: string, below: number): void => {
      const taps = BLOCK ** below / inner;
      if (below === 0 || taps <= 1)
        return block(`for (var k${n} = ${from}; k${n} < ${to}; k${n} += ${own})`, () =>
          walk(i + 1, [...counts, own], enter(`k${n}`), below),
        );
      const [next, size] = [`k${n}_block${below}`, Math.max(1, Math.floor(taps / own)) * own];
      block(`for (var ${next} = ${from}; ${next} < ${to}; ${next} += ${size})`, () =>
        inBlock(below, () => loop(next, `min(${next} + ${size}, ${to})`, below - 1)),
      );
    };
    loop("0u", `${axis.taps - left}u`, level);
    if (left) block("", () => walk(i + 1, [...counts, left], enter(`${axis.taps - left}u`), level));
  };
  /** Sums of a block of its own, added to those above. */
  const inBlock = (level: number, make: () => void) => {
    const [above, own] = [SUMS[levels - level], SUMS[levels - level + 1]];
    declare(own);
    make();
    for (let m = 0; m < t.rows; m++)
      line(cells.map((_, c) => `${above}${m}_${c} += ${own}${m}_${c};`).join(" "));
  };
  const start: At = { a: "a_first", x: "x_first", c: names.map((n) => `${n}_first`) };
  if (t.share) {
    line("let lane_of_four = sub & 3;");
    const bodies = combinations(
      axes.map(({ taps }, i) => {
        const own = Math.min(t.unroll[i], taps);
        return taps % own ? [own, taps % own] : [own];
      }),
    );
    for (const weights of bodies.map(weightsOf))
      for (let v = 0; v < weights.length; v += 4) {
        const fours = four(weights, v);
        if (neighbors(fours) || offsets.has(fours.join())) continue;
        const name = `lanes${offsets.size}`;
        offsets.set(fours.join(), name);
        const [o0, o1, o2, o3] = fours.map((o) => `${o}u`);
        line(
          `let ${name} = select(select(${o0}, ${o1}, lane_of_four == 1), select(${o2}, ${o3}, lane_of_four == 3), lane_of_four > 1);`,
        );
      }
  }
  if (tapsOf(p) > 0) walk(0, [], start, levels);

  const yTerms = axes.map((axis, i) => [first[i], axis.y] as const);
  line(
    `let y_first = ${plus(sumOf([["part", p.groups.y], ["row", p.rows.y], ...yTerms]), p.offset.y)};`,
  );
  nested((t.share ? blocks : groups) * t.threads === items ? "" : `if (index < ${items})`, () =>
    cells.forEach((cell, c) => {
      const inside = axes.flatMap(({ grid }, i) =>
        grid % t.outputs[i] && cell[i] > 0 ? [`(${plus(first[i], cell[i])} < ${grid})`] : [],
      );
      nested(inside.length ? `if (${inside.join(" & ")})` : "", () => {
        for (let m = 0; m < t.rows; m++)
          nested(
            p.rows.count % t.rows && m > 0 ? `if (${plus("row", m)} < ${p.rows.count})` : "",
            () => {
              const element = plus(
                "y_first",
                m * p.rows.y + cell.reduce((n, v, i) => n + v * axes[i].y, 0),
              );
              const channel = channelAt(p, "part", plus("row", m));
              const column = plus(first.at(-1) ?? "0", cell.at(-1) ?? 0);
              const out = `y${m}_${c}`;
              line(epilogue.store({ r: `s${m}_${c}`, channel, column, element }, out));
              line(`y[${element}] = Y(${out});`);
            },
          );
      });
    }),
  );
  const more = t.share ? ", @builtin(subgroup_invocation_id) sub: u32" : "";
  const main = mainOf(groups, t.threads, lines.join("\n"), more);
  return {
    code: [epilogue.functions, main].filter(Boolean).join("\n\n"),
    groups,
    enables: t.share ? ["subgroups"] : [],
  };
}

/** Threads of a workgroup, a multiple of `least`, so that few are left without work. */
export const threadsFor = (items: number, least: number): number => {
  const blocks = Math.max(1, Math.ceil(items / 64));
  return Math.min(64, Math.max(1, Math.ceil(items / blocks / least)) * least);
};
