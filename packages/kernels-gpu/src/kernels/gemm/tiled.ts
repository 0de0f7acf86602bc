// Products by workgroups that bring slices of both operands into workgroup memory; each thread sums
// a tile of rows × columns in registers.
//
//               columns (outputs), x slice: depth × columns
//              ┌───────────────────┐
//   a slice:   │  thread: 8 × 8    │   while a slice is multiplied the next is loaded: into registers, then into the other half of the
//   rows×depth │  (or 8×4, 4×4)    │   memory, so that one barrier a slice is enough
//              └───────────────────┘
//
// A sum too deep for the number of tiles is split among workgroups; a second stage adds the parts,
// always in the same order.

import {
  coordinates,
  each,
  indent,
  mainOf,
  plus,
  sumOf,
  times,
  type EmittedEpilogue,
  guarded,
} from "../../wgsl/wgsl.ts";
import { matrixCode } from "./matrix.ts";
import { axisNames, channelAt, leaves, outputsOf, tapsOf, type Product } from "./product.ts";
import { loopInBlocks } from "./sums.ts";
import { pitchOf, threadsOf, type Tile } from "./tile.ts";

export const groupsOf = (p: Product, t: Tile): number =>
  t.splits *
  p.groups.count *
  Math.ceil(outputsOf(p) / t.columns) *
  Math.ceil(p.rows.count / t.rows);

/**
 * How the three operands are bound: as vectors of four where what a thread takes lies side by side.
 */
export function widthsOf({ axes, rows, groups, offset }: Product): {
  a: 1 | 4;
  x: 1 | 4;
  y: 1 | 4;
} {
  const whole = (...numbers: number[]) => numbers.every((n) => n % 4 === 0);
  const last = axes.findLast(({ grid }) => grid > 1);
  const others = axes.filter((axis) => axis !== last);
  const inRows = last !== undefined && last.grid % 4 === 0;
  const a =
    rows.a === 1 &&
    whole(rows.count, groups.a, offset.a, ...axes.map((axis) => (axis.taps > 1 ? axis.a : 0)));
  const x =
    inRows &&
    last.taps === 1 &&
    last.step * last.x === 1 &&
    !leaves(last) &&
    whole(
      groups.x,
      offset.x + last.first * last.x,
      ...others.flatMap(({ step, delta, first, x: by }) => [step * by, delta * by, first * by]),
    );
  const y =
    inRows &&
    last.y === 1 &&
    whole(groups.y, rows.y, offset.y, ...others.map((axis) => (axis.grid > 1 ? axis.y : 0)));
  return { a: a ? 4 : 1, x: x ? 4 : 1, y: y ? 4 : 1 };
}

/** Whether x has longer runs of neighbors along taps than along outputs. */
function runsAlongTaps({ axes }: Product): boolean {
  const [column, tap] = [
    axes.findLast(({ grid }) => grid > 1),
    axes.findLast(({ taps }) => taps > 1),
  ];
  const run = (count: number, apart: number) => (apart === 0 ? 1 : count / Math.abs(apart));
  return (
    tap !== undefined &&
    run(tap.taps, tap.delta * tap.x) > (column ? run(column.grid, column.step * column.x) : 0)
  );
}

const FOUR = [0, 1, 2, 3];

/**
 * The shader: bindings a, x, y as {@link widthsOf} says, and those of the epilogue; y of a split
 * sum has one part after another.
 */
export function tiledShader(
  p: Product,
  t: Tile,
  epilogue: EmittedEpilogue,
  partSize: number,
): { code: string; groups: number; enables: string[] } {
  const four = t.half ? "vec4<f16>" : "vec4f";
  const pitch = pitchOf(t);
  const put4 = (tile: string, at: string, value: string) =>
    t.matrices
      ? FOUR.map(
          (e) => `${tile}[(${at}) * 4${e ? ` + ${e}` : ""}] = f16(${value}.${"xyzw"[e]});`,
        ).join(" ")
      : `${tile}[${at}] = ${t.half ? `${four}(${value})` : value};`;

  const threads = threadsOf(t);
  const [rowQuads, columnQuads] = [t.rows / 4, t.columns / 4];
  const across = t.columns / t.threadColumns;
  const down = t.rows / t.threadRows;
  const [taps, outputs] = [tapsOf(p), outputsOf(p)];
  const width = widthsOf(p);
  const slices = Math.ceil(taps / t.depth);
  const share = Math.ceil(slices / t.splits);
  const ragged = taps % t.depth !== 0;
  const names = axisNames(p);
  const checked = p.axes.map(leaves);
  const outer = p.axes.flatMap(({ grid }, i) => (grid > 1 ? [i] : []));
  const summed = p.axes.flatMap(({ taps: n }, i) => (n > 1 ? [i] : []));
  const last = outer.at(-1);
  const inRow = last !== undefined && p.axes[last].grid % 4 === 0;
  // Whether taps are numbered as they lie in a.
  const run = summed.every(
    (i, n) => p.axes[i].a === summed.slice(n + 1).reduce((m, j) => m * p.axes[j].taps, 1),
  );

  /**
   * Statements that declare where four columns are: their offsets in x or y and, for x, their
   * coordinates along the axes with padding.
   */
  const locate = (prefix: string, column: string, ofX: boolean): string[] =>
    (inRow ? [0] : FOUR).flatMap((e) => {
      const own = (i: number) => `${prefix}${names[i]}${e}`;
      const lines = [
        coordinates(
          `(${plus(column, e)})`,
          outer.map((i) => p.axes[i].grid),
          outer.map(own),
        ),
      ];
      if (!outer.length) lines.length = 0;
      if (!ofX) {
        lines.push(
          `let ${prefix}y${e}: u32 = ${sumOf(outer.map((i) => [own(i), p.axes[i].y] as const))};`,
        );
        return lines;
      }
      const lead = p.axes.reduce((n, axis) => n + axis.first * axis.x, p.offset.x);
      const signed = outer.map((i) => [`i32(${own(i)})`, p.axes[i].step * p.axes[i].x] as const);
      lines.push(
        `let ${prefix}x${e}: i32 = ${plus(sumOf([["i32(part)", p.groups.x], ...signed]), lead)};`,
      );
      p.axes.forEach((axis, i) => {
        if (checked[i])
          lines.push(
            `let ${prefix}c${names[i]}${e} = ${plus(sumOf(axis.grid > 1 ? [[`i32(${own(i)})`, axis.step]] : []), axis.first)};`,
          );
      });
      return lines;
    });

  /** Statements that declare the coordinates of tap `k` along each summed axis. */
  const tapAt = (prefix: string, k: string) =>
    summed.length
      ? [
          coordinates(
            k,
            summed.map((i) => p.axes[i].taps),
            summed.map((i) => `${prefix}${names[i]}`),
          ),
        ]
      : [];

  // Loads: what each thread brings of a slice. Neighboring threads take what is nearer in memory:
  // the next taps, or the next rows or columns.
  const aLoads = Math.ceil((t.depth * rowQuads) / threads);
  const xLoads = Math.ceil((t.depth * columnQuads) / threads);
  const byTaps = { a: p.rows.a !== 1, x: runsAlongTaps(p) };
  const placeOf = (i: number, quads: number, alongTaps: boolean) => {
    const q = i ? `(lane + ${i * threads})` : "lane";
    return alongTaps
      ? { k: `${q} % ${t.depth}`, quad: `${q} / ${t.depth}` }
      : { k: `${q} / ${quads}`, quad: `${q} % ${quads}` };
  };
  const aPlace = (i: number) => placeOf(i, rowQuads, byTaps.a);
  const xPlace = (i: number) => placeOf(i, columnQuads, byTaps.x);
  const loadA = (i: number): string[] => {
    const { k, quad } = aPlace(i);
    const lines = [
      `let ak${i} = slice * ${t.depth} + ${k};`,
      ...(run ? [] : tapAt(`a${i}`, `ak${i}`)),
    ];
    const base = `a_first + ${quad} * ${4 * p.rows.a} + ${run ? `ak${i}` : sumOf(summed.map((j) => [`a${i}${names[j]}`, p.axes[j].a] as const))}`;
    const value =
      width.a === 4
        ? `vec4f(a[(${base}) / 4])`
        : `vec4f(${FOUR.map((e) => `f32(a[${plus(`at${i}`, e * p.rows.a)}])`).join(", ")})`;
    if (width.a === 1) lines.push(`let at${i} = ${base};`);
    lines.push(`next_a${i} = ${ragged ? `select(vec4f(), ${value}, ak${i} < ${taps})` : value};`);
    return lines;
  };
  /**
   * Where the columns of a load are: those of every load are the same, unless neighboring threads
   * take taps.
   */
  const located = (i: number) => `q${byTaps.x ? i : 0}`;
  const loadX = (i: number): string[] => {
    const q = located(i);
    const tap = `x${byTaps.x ? 0 : i}`;
    const lines =
      byTaps.x && i > 0
        ? []
        : [`let xk${i} = slice * ${t.depth} + ${xPlace(i).k};`, ...tapAt(tap, `xk${i}`)];
    if (ragged && !(byTaps.x && i > 0)) lines.push(`let in_k${i} = xk${i} < ${taps};`);
    const moved = sumOf(
      summed.map((a) => [`i32(${tap}${names[a]})`, p.axes[a].delta * p.axes[a].x] as const),
    );
    const test = (e: number) => [
      ...(ragged ? [`in_k${byTaps.x ? 0 : i}`] : []),
      ...p.axes.flatMap((_, a) =>
        checked[a] ? [`in${i}${names[a]}${inRow && a !== last ? 0 : e}`] : [],
      ),
    ];
    p.axes.forEach((axis, a) => {
      if (!checked[a]) return;
      const shift = axis.taps > 1 ? ` + ${times(`i32(${tap}${names[a]})`, axis.delta)}` : "";
      for (const e of inRow && a !== last ? [0] : FOUR)
        lines.push(
          `let in${i}${names[a]}${e} = u32(${plus(`${q}c${names[a]}${inRow ? 0 : e}`, inRow ? e * axis.step : 0)}${shift}) < ${axis.size};`,
        );
    });
    const at = (e: number) =>
      inRow
        ? plus(`${q}x0 + ${moved}`, e * p.axes[last].step * p.axes[last].x)
        : `${q}x${e} + ${moved}`;
    if (width.x === 4)
      lines.push(`next_x${i} = ${guarded(`vec4f(x[u32(${at(0)}) / 4])`, test(0), "vec4f()")};`);
    else
      lines.push(
        `next_x${i} = vec4f(${FOUR.map((e) => guarded(`f32(x[${at(e)}])`, test(e))).join(", ")});`,
      );
    return lines;
  };
  const load = [...each(aLoads, loadA).flat(), ...each(xLoads, loadX).flat()];
  const buffer = (name: string, size: number) => (t.buffers === 2 ? `${name} * ${size} + ` : "");
  const some = (i: number, of: number, line: string) =>
    (i + 1) * threads > of ? `if (${plus("lane", i * threads)} < ${of}) { ${line} }` : line;
  const put = (half: string) => [
    ...each(aLoads, (i) => {
      const { k, quad } = aPlace(i);
      return some(
        i,
        t.depth * rowQuads,
        put4(
          "a_tile",
          `${buffer(half, t.depth * pitch(t.rows))}${k} * ${pitch(t.rows)} + ${quad}`,
          `next_a${i}`,
        ),
      );
    }),
    ...each(xLoads, (i) => {
      const { k, quad } = xPlace(i);
      return some(
        i,
        t.depth * columnQuads,
        put4(
          "x_tile",
          `${buffer(half, t.depth * pitch(t.columns))}${k} * ${pitch(t.columns)} + ${quad}`,
          `next_x${i}`,
        ),
      );
    }),
  ];

  const [aQuads, xQuads] = [t.threadRows / 4, t.threadColumns / 4];
  const quads = each(t.threadRows, (m) => each(xQuads, (q) => ({ m, q }))).flat();
  const sums = quads.map(({ m, q }) => `s${m}_${q}`);
  const byMatrices = t.matrices && matrixCode(p, t, t.matrices, epilogue, partSize);
  const multiplyInto = (into: readonly string[]): string[] =>
    each(t.depth, (k) => [
      ...each(aQuads, (q) => `let a${k}_${q} = a_tile[a_from + ${k * pitch(t.rows) + q * down}];`),
      ...each(
        xQuads,
        (q) => `let x${k}_${q} = x_tile[x_from + ${k * pitch(t.columns) + q * across}];`,
      ),
      ...quads.map(
        ({ m, q }, i) =>
          `${into[i]} = fma(${four}(a${k}_${m >> 2}.${"xyzw"[m & 3]}), x${k}_${q}, ${into[i]});`,
      ),
    ]).flat();
  /** What a slice adds to these sums; of float16 it is summed by itself first. */
  const multiply = (into: readonly string[]): readonly string[] => {
    if (byMatrices) return byMatrices.multiply;
    if (!t.half) return multiplyInto(into);
    const own = quads.map(({ m, q }) => `h${m}_${q}`);
    return [
      own.map((h) => `var ${h} = ${four}();`).join(" "),
      ...multiplyInto(own),
      into.map((s, i) => `${s} += vec4f(${own[i]});`).join(" "),
    ];
  };
  const halves = t.buffers === 2;
  const main = [
    coordinates(
      "group",
      [t.splits, p.groups.count, Math.ceil(outputs / t.columns), Math.ceil(p.rows.count / t.rows)],
      ["split", "part", "column_tile", "row_tile"],
    ),
    ...(byMatrices ? [] : [`let tx = lane % ${across};`, `let ty = lane / ${across};`]),
    `let a_first: u32 = ${plus(
      sumOf([
        ["part", p.groups.a],
        ["row_tile", t.rows * p.rows.a],
      ]),
      p.offset.a,
    )};`,
    ...each(byTaps.x ? xLoads : 1, (i) =>
      locate(located(i), `column_tile * ${t.columns} + ${xPlace(i).quad} * 4`, true),
    ).flat(),
    ...(byMatrices?.sums ?? [sums.map((s) => `var ${s} = vec4f();`).join(" ")]),
    [
      ...each(aLoads, (i) => `var next_a${i}: vec4f;`),
      ...each(xLoads, (i) => `var next_x${i}: vec4f;`),
    ].join(" "),
    `let first = split * ${share};`,
    `let end = min(first + ${share}, ${slices});`,
    "{",
    indent(["let slice = first;", ...load].join("\n")),
    "}",
    ...(halves ? ["var half = 0u;", ...put("half")] : put("")),
    "workgroupBarrier();",
    loopInBlocks({
      at: "now",
      from: "first",
      to: "end",
      step: 1,
      // Subgroups add as they do.
      turns: byMatrices ? 1 : share,
      // Twice as many terms a block: to add them up takes time.
      terms: t.half ? 1 : t.depth / 2,
      sums: byMatrices ? [] : sums,
      T: "vec4f",
      body: (into) =>
        [
          `let slice = min(now + 1, ${slices - 1});`,
          ...load,
          `let a_from = ${buffer("half", t.depth * pitch(t.rows))}${byMatrices ? "0u" : "ty"};`,
          `let x_from = ${buffer("half", t.depth * pitch(t.columns))}${byMatrices ? "0u" : "tx"};`,
          ...multiply(into),
          ...(halves ? ["half = 1 - half;"] : ["workgroupBarrier();"]),
          ...put("half"),
          "workgroupBarrier();",
        ].join("\n"),
    }),
    ...(byMatrices?.store ?? each(xQuads, (q) => storeQuad(q)).flat()),
  ];

  function storeQuad(q: number): string[] {
    const column = `column${q}`;
    const lines = [
      `let ${column} = column_tile * ${t.columns} + ${q ? `(tx + ${q * across})` : "tx"} * 4;`,
      ...locate(`y${q}`, column, false),
    ];
    const body: string[] = [];
    for (let m = 0; m < t.threadRows; m++) {
      const row = plus(
        `row_tile * ${t.rows} + ${m >> 2 ? `(ty + ${(m >> 2) * down})` : "ty"} * 4`,
        m & 3,
      );
      const from = plus(
        sumOf([
          ...(t.splits > 1 ? [["split", partSize] as const] : []),
          ["part", p.groups.y],
          [`(${row})`, p.rows.y],
        ]),
        p.offset.y,
      );
      const stores: string[] = [];
      const element = (e: number) => (inRow ? plus(`y${q}y0`, e * p.axes[last].y) : `y${q}y${e}`);
      const channel = channelAt(p, "part", row);
      const finish = (e: number) =>
        epilogue.store(
          {
            r: `s${m}_${q}.${"xyzw"[e]}`,
            channel,
            column: plus(column, e),
            element: `start + ${element(e)}`,
          },
          `out${e}`,
        );
      if (width.y === 4)
        stores.push(
          ...FOUR.map(finish),
          `y[(start + ${element(0)}) / 4] = vec4<Y>(vec4f(out0, out1, out2, out3));`,
        );
      else
        for (const e of FOUR) {
          const one = `${finish(e)} y[start + ${element(e)}] = Y(out${e});`;
          stores.push(
            e > 0 && outputs % 4 ? `if (${plus(column, e)} < ${outputs}) { ${one} }` : one,
          );
        }
      const guard = p.rows.count % t.rows ? `if (${row} < ${p.rows.count}) ` : "";
      body.push(`${guard}{`, indent([`let start: u32 = ${from};`, ...stores].join("\n")), "}");
    }
    return outputs % t.columns
      ? [...lines, `if (${column} < ${outputs}) {`, indent(body.join("\n")), "}"]
      : [...lines, ...body];
  }

  const groups = groupsOf(p, t);
  const [element, each4] = t.matrices ? ["f16", 4] : [four, 1];
  return {
    code: [
      `var<workgroup> a_tile: array<${element}, ${t.buffers * t.depth * pitch(t.rows) * each4}>;`,
      `var<workgroup> x_tile: array<${element}, ${t.buffers * t.depth * pitch(t.columns) * each4}>;`,
      ...(epilogue.functions ? ["", epilogue.functions] : []),
      "",
      ...(byMatrices?.functions ?? []),
      mainOf(groups, threads, main.filter(Boolean).join("\n"), byMatrices?.builtins),
    ].join("\n"),
    groups,
    enables: [...(t.half ? ["f16"] : []), ...(byMatrices?.enables ?? [])],
  };
}

/** Adds the parts of a split sum: bindings parts and y, and those of the epilogue. */
export function addParts(
  splits: number,
  size: number,
  {
    plane,
    channels,
    columns,
  }: { readonly plane: number; readonly channels: number; readonly columns: number },
  epilogue: EmittedEpilogue,
): { code: string; groups: number } {
  const threads = 64;
  const groups = Math.ceil(size / threads);
  const body = [
    `let index = group * ${threads} + lane;`,
    ...(size % threads ? [`if (index >= ${size}) { return; }`] : []),
    "var r = 0.0;",
    loopInBlocks({
      at: "part",
      from: "0u",
      to: `${splits}u`,
      step: 1,
      turns: splits,
      sums: ["r"],
      T: "f32",
      body: ([r]) => `${r} += parts[part * ${size} + index];`,
    }),
    epilogue.store(
      {
        r: "r",
        channel: `index / ${plane} % ${channels}`,
        column: `index % ${columns}`,
        element: "index",
      },
      "out",
    ),
    "y[index] = Y(out);",
  ];
  return {
    code: [epilogue.functions, mainOf(groups, threads, body.join("\n"))]
      .filter(Boolean)
      .join("\n\n"),
    groups,
  };
}
