// Products by workgroups that bring slices of both operands into workgroup memory; each thread sums
// a tile of rows × columns in registers.
//
//               columns (outputs), x slice: depth × columns
//              ┌───────────────────┐
//   a slice:   │  thread: 8 × 8    │
//   rows×depth │  (or 8×4, 4×4)    │
//              └───────────────────┘
//
// While a slice is multiplied, the next is loaded into registers, and then stored into the other
// half of the memory, so that one barrier a slice is enough.
//
// A sum too deep for the number of tiles is split among workgroups; a second stage (parts.ts) adds
// the parts.

import { loopInBlocks } from "../../wgsl/sums.ts";
import {
  coordinates,
  each,
  guarded,
  indent,
  mainOf,
  plus,
  sumOf,
  times,
  type EmittedEpilogue,
} from "../../wgsl/wgsl.ts";
import { matrixCode, type MatrixCode } from "./matrix.ts";
import { channelAt, leaves, type Product } from "./product.ts";
import { pitchOf, threadsOf, type Tile } from "./tile.ts";
import { groupsOf } from "./tiles.ts";
import {
  aOfTap,
  aStart,
  outputCoordinates,
  tapCoordinates,
  walkOf,
  xCoordinate,
  xOfTap,
  xStart,
  type Walk,
} from "./walk.ts";

type Width = 1 | 4;
type Widths = Readonly<Record<"a" | "x" | "y", Width>>;

/**
 * How the three operands are bound: as vectors of four where what a thread takes lies side by side.
 */
export function widthsOf({ axes, rows, groups, offset }: Product): Widths {
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

/** The elements of a vector. */
const FOUR = [0, 1, 2, 3];
const XYZW = "xyzw";

/** A slice of one operand, as threads bring it into workgroup memory: depth × rows (or columns). */
interface Slice {
  /** `a` or `x`: begins the names of everything that belongs to it. */
  readonly name: "a" | "x";
  /** Vectors of four that a tap has. */
  readonly quads: number;
  /** Vectors that each thread loads. */
  readonly loads: number;
  /**
   * Neighboring threads load the next taps, or else the next rows or columns: whichever is nearer
   * in memory.
   */
  readonly alongTaps: boolean;
  /** Vectors between neighboring taps in workgroup memory. */
  readonly pitch: number;
}

/** A product with the tile of its workgroups, and what follows from both. */
interface Tiled extends Walk {
  readonly t: Tile;
  readonly width: Widths;
  readonly threads: number;
  /** Threads beside each other, and on top of each other, in a workgroup. */
  readonly across: number;
  readonly down: number;
  readonly a: Slice;
  readonly x: Slice;
  /** The last axis with several outputs. */
  readonly last: number | undefined;
  /** Whether four columns always lie in one row of that axis, so that the first tells where. */
  readonly inRow: boolean;
  /** Whether taps are numbered as they lie in a. */
  readonly numbered: boolean;
  /** Whether the last slice is not full. */
  readonly ragged: boolean;
  /** Slices in all, and those of one workgroup. */
  readonly slices: number;
  readonly share: number;
  /** Type of a vector in workgroup memory. */
  readonly vector: "vec4f" | "vec4<f16>";
  /** Vectors of sums of a thread, by row and quad of columns. */
  readonly sums: readonly Sum[];
  readonly epilogue: EmittedEpilogue;
  /** Elements of a part of a split sum. */
  readonly partSize: number;
}

interface Sum {
  readonly name: string;
  readonly row: number;
  readonly quad: number;
}

function tiledOf(p: Product, t: Tile, epilogue: EmittedEpilogue, partSize: number): Tiled {
  const walk = walkOf(p);
  const { axes } = p;
  const threads = threadsOf(t);
  const last = walk.outer.at(-1);
  const slices = Math.ceil(walk.taps / t.depth);
  const slice = (name: "a" | "x", rows: number, alongTaps: boolean): Slice => ({
    name,
    quads: rows / 4,
    loads: Math.ceil((t.depth * rows) / 4 / threads),
    alongTaps,
    pitch: pitchOf(t)(rows),
  });
  return {
    ...walk,
    t,
    width: widthsOf(p),
    threads,
    across: t.columns / t.threadColumns,
    down: t.rows / t.threadRows,
    a: slice("a", t.rows, p.rows.a !== 1),
    x: slice("x", t.columns, runsAlongTaps(p)),
    last,
    inRow: last !== undefined && axes[last].grid % 4 === 0,
    numbered: walk.summed.every(
      (i, n) => axes[i].a === walk.summed.slice(n + 1).reduce((m, j) => m * axes[j].taps, 1),
    ),
    ragged: walk.taps % t.depth !== 0,
    slices,
    share: Math.ceil(slices / t.splits),
    vector: t.half ? "vec4<f16>" : "vec4f",
    sums: each(t.threadRows, (row) =>
      each(t.threadColumns / 4, (quad) => ({ name: `s${row}_${quad}`, row, quad })),
    ).flat(),
    epilogue,
    partSize,
  };
}

/**
 * The shader. Its bindings are a, x and y, as {@link widthsOf} says, and those of the epilogue; y
 * of a split sum holds one part after another, `partSize` elements each.
 */
export function tiledShader(
  p: Product,
  t: Tile,
  epilogue: EmittedEpilogue,
  partSize: number,
): { code: string; groups: number; enables: string[] } {
  const s = tiledOf(p, t, epilogue, partSize);
  const byMatrices = t.matrices && matrixCode(s, t, t.matrices, epilogue, partSize);
  const groups = groupsOf(p, t);
  const [element, elements] = t.matrices ? ["f16", 4] : [s.vector, 1];
  const memory = ({ name, pitch }: Slice) =>
    `var<workgroup> ${name}_tile: array<${element}, ${t.buffers * t.depth * pitch * elements}>;`;
  return {
    code: [
      memory(s.a),
      memory(s.x),
      ...(epilogue.functions ? ["", epilogue.functions] : []),
      "",
      ...(byMatrices?.functions ?? []),
      mainOf(groups, s.threads, mainBody(s, byMatrices), byMatrices?.builtins),
    ].join("\n"),
    groups,
    enables: [...(t.half ? ["f16"] : []), ...(byMatrices?.enables ?? [])],
  };
}

/** The body of main; subgroups that multiply matrices replace what threads do with their sums. */
function mainBody(s: Tiled, byMatrices: MatrixCode | undefined): string {
  const { product: p, t, x, slices, share, across } = s;
  const tiles = [Math.ceil(s.outputs / t.columns), Math.ceil(p.rows.count / t.rows)];
  const load = [...each(s.a.loads, (i) => loadA(s, i)), ...each(x.loads, (i) => loadX(s, i))];
  const lines = [
    coordinates(
      "group",
      [t.splits, p.groups.count, ...tiles],
      ["split", "part", "column_tile", "row_tile"],
    ),
    ...(byMatrices ? [] : [`let tx = lane % ${across};`, `let ty = lane / ${across};`]),
    `let a_first: u32 = ${aStart(s, "row_tile", t.rows * p.rows.a)};`,
    ...each(x.alongTaps ? x.loads : 1, (i) => locateInputs(s, i)).flat(),
    ...(byMatrices?.sums ?? [s.sums.map(({ name }) => `var ${name} = vec4f();`).join(" ")]),
    [s.a, x]
      .flatMap(({ name, loads }) => each(loads, (i) => `var next_${name}${i}: vec4f;`))
      .join(" "),
    `let first = split * ${share};`,
    `let end = min(first + ${share}, ${slices});`,
    "{",
    indent(["let slice = first;", ...load.flat()].join("\n")),
    "}",
    ...(t.buffers === 2 ? ["var half = 0u;"] : []),
    ...storeSlices(s),
    "workgroupBarrier();",
    loopOverSlices(s, load.flat(), byMatrices),
    ...(byMatrices?.store ?? each(t.threadColumns / 4, (q) => storeQuad(s, q)).flat()),
  ];
  return lines.filter(Boolean).join("\n");
}

/** Multiplies a slice while the next is loaded; the last slice is loaded again. */
function loopOverSlices(s: Tiled, load: readonly string[], byMatrices?: MatrixCode): string {
  const { t, share, slices } = s;
  return loopInBlocks({
    at: "now",
    from: "first",
    to: "end",
    step: 1,
    // Subgroups add in an order of their own.
    turns: byMatrices ? 1 : share,
    // A block has twice as many terms as elsewhere, since adding blocks takes time.
    terms: t.half ? 1 : t.depth / 2,
    sums: byMatrices ? [] : s.sums.map(({ name }) => name),
    T: "vec4f",
    body: (into) =>
      [
        `let slice = min(now + 1, ${slices - 1});`,
        ...load,
        `let a_from = ${inBuffer(s, s.a)}${byMatrices ? "0u" : "ty"};`,
        `let x_from = ${inBuffer(s, s.x)}${byMatrices ? "0u" : "tx"};`,
        ...(byMatrices?.multiply ?? multiplySlice(s, into)),
        ...(t.buffers === 2 ? ["half = 1 - half;"] : ["workgroupBarrier();"]),
        ...storeSlices(s),
        "workgroupBarrier();",
      ].join("\n"),
  });
}

/** Where the half of workgroup memory begins that is in use, as the beginning of a sum. */
const inBuffer = ({ t }: Tiled, { pitch }: Slice): string =>
  t.buffers === 2 ? `half * ${t.depth * pitch} + ` : "";

/** Tap and quad of the vector that a thread brings by its i-th load. */
function placeOf({ t, threads }: Tiled, { quads, alongTaps }: Slice, i: number) {
  const at = i ? `(lane + ${i * threads})` : "lane";
  return alongTaps
    ? { tap: `${at} % ${t.depth}`, quad: `${at} / ${t.depth}` }
    : { tap: `${at} / ${quads}`, quad: `${at} % ${quads}` };
}

/** The i-th load of a: four rows at a tap, into next_a. */
function loadA(s: Tiled, i: number): string[] {
  const { product: p, t, names, numbered, ragged, width, taps } = s;
  const { tap, quad } = placeOf(s, s.a, i);
  const name = (axis: number) => `a${i}${names[axis]}`;
  const base = `a_first + ${quad} * ${4 * p.rows.a} + ${numbered ? `ak${i}` : aOfTap(s, name)}`;
  const value =
    width.a === 4
      ? `vec4f(a[(${base}) / 4])`
      : `vec4f(${FOUR.map((e) => `f32(a[${plus(`at${i}`, e * p.rows.a)}])`).join(", ")})`;
  return [
    `let ak${i} = slice * ${t.depth} + ${tap};`,
    ...(numbered ? [] : [tapCoordinates(s, `ak${i}`, name)]),
    ...(width.a === 1 ? [`let at${i} = ${base};`] : []),
    `next_a${i} = ${ragged ? `select(vec4f(), ${value}, ak${i} < ${taps})` : value};`,
  ];
}

/**
 * Names begin with this where the columns of a load are declared: those of every load are the
 * same, unless neighboring threads take taps.
 */
const columnsOf = ({ x }: Tiled, i: number): string => `q${x.alongTaps ? i : 0}`;

/**
 * Declares where the columns of the i-th load of x begin in x, and their coordinates along padded
 * axes.
 */
function locateInputs(s: Tiled, i: number): string[] {
  const { t, names, padded, inRow } = s;
  const prefix = columnsOf(s, i);
  const column = `column_tile * ${t.columns} + ${placeOf(s, s.x, i).quad} * 4`;
  return (inRow ? [0] : FOUR).flatMap((e) => {
    const name = (axis: number) => `${prefix}${names[axis]}${e}`;
    return [
      outputCoordinates(s, `(${plus(column, e)})`, name),
      `let ${prefix}x${e}: i32 = ${xStart(s, name)};`,
      ...names.flatMap((axis, j) =>
        padded[j] ? [`let ${prefix}c${axis}${e} = ${xCoordinate(s, j, name)};`] : [],
      ),
    ];
  });
}

/** The i-th load of x: four columns at a tap, into next_x. */
function loadX(s: Tiled, i: number): string[] {
  const { product: p, t, names, padded, last, inRow, ragged } = s;
  const prefix = columnsOf(s, i);
  // Along taps, all loads of a thread have the tap of the first.
  const tapOf = s.x.alongTaps ? 0 : i;
  const name = (axis: number) => `x${tapOf}${names[axis]}`;
  /** Elements of the vector that have a test of their own along an axis. */
  const tested = (axis: number) => (inRow && axis !== last ? [0] : FOUR);

  const declareTap =
    tapOf === i
      ? [
          `let xk${i} = slice * ${t.depth} + ${placeOf(s, s.x, i).tap};`,
          ...(s.summed.length ? [tapCoordinates(s, `xk${i}`, name)] : []),
          ...(ragged ? [`let in_k${i} = xk${i} < ${s.taps};`] : []),
        ]
      : [];
  const declareTests = p.axes.flatMap(({ taps, delta, step, size }, axis) => {
    if (!padded[axis]) return [];
    const shift = taps > 1 ? ` + ${times(`i32(${name(axis)})`, delta)}` : "";
    return tested(axis).map((e) => {
      const first = plus(`${prefix}c${names[axis]}${inRow ? 0 : e}`, inRow ? e * step : 0);
      return `let in${i}${names[axis]}${e} = u32(${first}${shift}) < ${size};`;
    });
  });

  const tests = (e: number) => [
    ...(ragged ? [`in_k${tapOf}`] : []),
    ...names.flatMap((axis, j) =>
      padded[j] ? [`in${i}${axis}${tested(j).length > 1 ? e : 0}`] : [],
    ),
  ];
  const moved = xOfTap(s, name);
  const at = (e: number) =>
    inRow
      ? plus(`${prefix}x0 + ${moved}`, e * p.axes[last!].step * p.axes[last!].x)
      : `${prefix}x${e} + ${moved}`;
  const value =
    s.width.x === 4
      ? guarded(`vec4f(x[u32(${at(0)}) / 4])`, tests(0), "vec4f()")
      : `vec4f(${FOUR.map((e) => guarded(`f32(x[${at(e)}])`, tests(e))).join(", ")})`;
  return [...declareTap, ...declareTests, `next_x${i} = ${value};`];
}

/** Puts what was loaded of both operands into workgroup memory. */
function storeSlices(s: Tiled): string[] {
  const { t, threads, vector } = s;
  const put = (tile: string, at: string, value: string) =>
    t.matrices
      ? FOUR.map(
          (e) => `${tile}[(${at}) * 4${e ? ` + ${e}` : ""}] = f16(${value}.${XYZW[e]});`,
        ).join(" ")
      : `${tile}[${at}] = ${t.half ? `${vector}(${value})` : value};`;
  return [s.a, s.x].flatMap((slice) => {
    const vectors = t.depth * slice.quads;
    return each(slice.loads, (i) => {
      const { tap, quad } = placeOf(s, slice, i);
      const at = `${inBuffer(s, slice)}${tap} * ${slice.pitch} + ${quad}`;
      const line = put(`${slice.name}_tile`, at, `next_${slice.name}${i}`);
      return (i + 1) * threads > vectors
        ? `if (${plus("lane", i * threads)} < ${vectors}) { ${line} }`
        : line;
    });
  });
}

/** Adds the products of a slice to these sums; those of float16 are summed by themselves first. */
function multiplySlice(s: Tiled, into: readonly string[]): string[] {
  if (!s.t.half) return multiplyInto(s, into);
  const own = s.sums.map(({ row, quad }) => `h${row}_${quad}`);
  return [
    own.map((h) => `var ${h} = ${s.vector}();`).join(" "),
    ...multiplyInto(s, own),
    into.map((sum, i) => `${sum} += vec4f(${own[i]});`).join(" "),
  ];
}

const multiplyInto = ({ t, a, x, down, across, sums, vector }: Tiled, into: readonly string[]) =>
  each(t.depth, (k) => [
    ...each(
      t.threadRows / 4,
      (q) => `let a${k}_${q} = a_tile[a_from + ${k * a.pitch + q * down}];`,
    ),
    ...each(
      t.threadColumns / 4,
      (q) => `let x${k}_${q} = x_tile[x_from + ${k * x.pitch + q * across}];`,
    ),
    ...sums.map(
      ({ row, quad }, i) =>
        `${into[i]} = fma(${vector}(a${k}_${row >> 2}.${XYZW[row & 3]}), x${k}_${quad}, ${into[i]});`,
    ),
  ]).flat();

/** Stores four columns of all rows of a thread. */
function storeQuad(s: Tiled, q: number): string[] {
  const { product: p, t, inRow, names, across, outputs } = s;
  const column = `column${q}`;
  const located = (inRow ? [0] : FOUR).flatMap((e) => {
    const name = (axis: number) => `y${q}${names[axis]}${e}`;
    const offset = sumOf(s.outer.map((i) => [name(i), p.axes[i].y] as const));
    return [
      ...(s.outer.length ? [outputCoordinates(s, `(${plus(column, e)})`, name)] : []),
      `let y${q}y${e}: u32 = ${offset};`,
    ];
  });
  const rows = each(t.threadRows, (m) => storeRow(s, q, m)).flat();
  return [
    `let ${column} = column_tile * ${t.columns} + ${q ? `(tx + ${q * across})` : "tx"} * 4;`,
    ...located,
    ...(outputs % t.columns
      ? [`if (${column} < ${outputs}) {`, indent(rows.join("\n")), "}"]
      : rows),
  ];
}

/** Stores four columns of row `m` of a thread, finished by the epilogue. */
function storeRow(s: Tiled, q: number, m: number): string[] {
  const { product: p, t, inRow, last, down, epilogue, outputs } = s;
  const row = plus(
    `row_tile * ${t.rows} + ${m >> 2 ? `(ty + ${(m >> 2) * down})` : "ty"} * 4`,
    m & 3,
  );
  const start = plus(
    sumOf([
      ...(t.splits > 1 ? [["split", s.partSize] as const] : []),
      ["part", p.groups.y],
      [`(${row})`, p.rows.y],
    ]),
    p.offset.y,
  );
  const column = (e: number) => plus(`column${q}`, e);
  const element = (e: number) =>
    `start + ${inRow ? plus(`y${q}y0`, e * p.axes[last!].y) : `y${q}y${e}`}`;
  const channel = channelAt(p, "part", row);
  const finish = (e: number) =>
    epilogue.store(
      { r: `s${m}_${q}.${XYZW[e]}`, channel, column: column(e), element: element(e) },
      `out${e}`,
    );
  const storeOne = (e: number) => {
    const one = `${finish(e)} y[${element(e)}] = Y(out${e});`;
    return e > 0 && outputs % 4 ? `if (${column(e)} < ${outputs}) { ${one} }` : one;
  };
  const stores =
    s.width.y === 4
      ? [...FOUR.map(finish), `y[(${element(0)}) / 4] = vec4<Y>(vec4f(out0, out1, out2, out3));`]
      : FOUR.map(storeOne);
  const guard = p.rows.count % t.rows ? `if (${row} < ${p.rows.count}) ` : "";
  return [`${guard}{`, indent([`let start: u32 = ${start};`, ...stores].join("\n")), "}"];
}
