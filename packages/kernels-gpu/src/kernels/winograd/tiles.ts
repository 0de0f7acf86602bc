// What all stages of Winograd's short convolutions share: where the tile of a thread lies, and how
// it is transformed. A thread transforms one tile of one channel, in names alone. Points lie far
// apart, [point][row][tile], so that element `index` of each is the thread's own.

import { combine, type Matrix, type SumWriter, type TileAxis, type Tiling } from "@conv/compiler";
import type { Binding, Place } from "../../compile/code.ts";
import { coordinates, guarded, indent, literal, plus, times } from "../../wgsl/wgsl.ts";

/** Tiles that are transformed and multiplied together. */
export interface Part {
  readonly columns: number;
  /** Holds the number of the first, where there are several parts. */
  readonly start: Place | null;
  /** The last columns of the last part have no tile. */
  readonly ragged: boolean;
}

export const startOf = ({ start }: Part): Binding[] =>
  start ? [{ name: "start", place: start }] : [];

/** Lines of code, with names for sums. */
export interface Writer {
  readonly lines: string[];
  readonly sums: SumWriter<string>;
  /** Declares an expression, and gives its name. */
  name(text: string): string;
}

export function createWriter(): Writer {
  const lines: string[] = [];
  let count = 0;
  const name = (text: string) => {
    lines.push(`let t${count} = ${text};`);
    return `t${count++}`;
  };
  const more = (sum: string, c: number, x: string) =>
    c === 1 ? `${sum} + ${x}` : c === -1 ? `${sum} - ${x}` : `fma(${literal(c)}, ${x}, ${sum})`;
  return {
    lines,
    name,
    sums: {
      add: (a, b) => name(`${a} + ${b}`),
      sub: (a, b) => name(`${a} - ${b}`),
      begin: (c, x) => (c === 1 ? x : name(c === -1 ? `-${x}` : `${literal(c)} * ${x}`)),
      more: (sum, c, x) => name(more(sum, c, x)),
    },
  };
}

/** The matrices of a transform: along h, and along w. */
export type Transform = readonly [h: Matrix, w: Matrix];

/** H·d·Wᵀ: `load` gives the elements of d, `put` takes those of the result. */
export function transform(
  { sums }: Writer,
  [matrixH, matrixW]: Transform,
  load: (row: number, column: number) => string,
  put: (row: number, column: number, value: string) => void,
): void {
  const columns = matrixW[0].map((_, j) =>
    combine(
      sums,
      matrixH,
      matrixH[0].map((__, i) => load(i, j)),
    ),
  );
  matrixH.forEach((_, i) =>
    combine(
      sums,
      matrixW,
      columns.map((c) => c[i]),
    ).forEach((value, j) => put(i, j, value)),
  );
}

/** Index of a point of the thread's tile, in a buffer of so many tiles. */
const pointAt = ({ w }: Tiling, items: number, i: number, j: number): string =>
  plus("index", (i * w.n + j) * items);

/** Stores a point of the thread's tile into `into`, whose element type is `T`. */
export const storePoint =
  ({ lines }: Writer, t: Tiling, items: number, into: string, T: string) =>
  (i: number, j: number, value: string): void =>
    void lines.push(`${into}[${pointAt(t, items, i, j)}] = ${T}(${value});`);

/** Loads a point of the thread's tile. */
export const loadPoint =
  ({ name }: Writer, t: Tiling, items: number, from: string) =>
  (i: number, j: number): string =>
    name(`f32(${from}[${pointAt(t, items, i, j)}])`);

/** What a tile of x, or of dy, is made of. */
export interface TileSource {
  /** The binding, in which the tile begins at `base`. */
  readonly name: string;
  /** Elements of the binding between neighbors of a tile, along each axis. */
  readonly apart: readonly number[];
  /** Elements of a tile along each axis. */
  readonly sizes: readonly number[];
  /** Whether an element along an axis exists, as an expression; null where every one does. */
  exists(axis: number, i: number): string | null;
  /** Elements are multiplied by this; 1 unless given. */
  readonly scale?: number | undefined;
}

/** Loads elements of the thread's tile; those that do not exist are 0. */
export function tileLoader({ name }: Writer, source: TileSource) {
  const { apart, sizes, scale } = source;
  const rank = sizes.length;
  const tests = sizes.map((size, a) =>
    Array.from({ length: size }, (_, i) => {
      const test = source.exists(a, i);
      return test && name(test);
    }),
  );
  const [inH, inW] = [rank > 1 ? tests[rank - 2] : [null], tests[rank - 1]];
  const outer = tests.slice(0, -2).map(([test]) => test);
  const rows = inH.map((test) => {
    const all = [...outer, test].filter((v) => v !== null);
    return all.length > 1 ? name(all.join(" & ")) : (all[0] ?? null);
  });
  return (i: number, j: number): string => {
    const offset = (rank > 1 ? i * apart[rank - 2] : 0) + j * apart[rank - 1];
    const element = `f32(${source.name}[${plus("base", offset)}])`;
    const value = guarded(
      element,
      [rows[i], inW[j]].filter((test) => test !== null),
    );
    return name(scale === undefined ? value : `${value} * ${literal(scale)}`);
  };
}

/** values[index] as an expression. */
export function lookup(values: readonly number[], index: string): string {
  const step = (values[1] ?? values[0]) - values[0];
  if (values.every((v, i) => v === values[0] + i * step))
    return step ? plus(`i32(${index}) * ${step}`, values[0]) : `${values[0]}`;
  return `array<i32, ${values.length}>(${values.join(", ")})[${index}]`;
}

/** Names of the coordinates of plain taps. */
export const plainNames = (axes: readonly TileAxis[]): string[] => axes.map((_, a) => `plain${a}`);

/**
 * Statements that find the image, and the first output `at` along each axis, of the tile that is
 * the thread's column.
 */
export function locateTile({ g, axes, tiles }: Tiling, { start, ragged }: Part): string {
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

/** First output of the last tile along an axis. */
export const lastTile = ({ m, spacing, tiles }: TileAxis): number =>
  spacing - 1 + spacing * m * (Math.floor(tiles / spacing) - 1);

/** Whether output i of a tile exists along an axis, as an expression; null where every one does. */
export function outputExists({ axes, phase }: Tiling, axis: number, i: number): string | null {
  const [x, size] = [axes[axis], phase.grid[axis]];
  return lastTile(x) + i * x.spacing < size
    ? null
    : `${plus(`at${axis}`, i * x.spacing)} < ${size}`;
}

/** The body, if a test holds. */
export const within = (test: string | null, body: string): string =>
  test ? `if (${test}) {\n${indent(body)}\n}` : body;
