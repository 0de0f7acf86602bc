// The part of a tiled product (tiled.ts) that subgroups do where they multiply matrices: each holds
// a tile of rows × columns as a grid of sums, matrices of float32, which pass through workgroup
// memory on their way out.

import type { Matrices } from "../../compile/caps.ts";
import { coordinates, each, indent, plus, sumOf, type EmittedEpilogue } from "../../wgsl/wgsl.ts";
import { axisNames, channelAt, outputsOf, type Product } from "./product.ts";
import { pitchOf, subgroupsOf, threadsOf, type Tile } from "./tile.ts";

/** What takes the place of sums in registers. */
export interface MatrixCode {
  readonly enables: readonly string[];
  /** Builtins that main needs besides. */
  readonly builtins: string;
  /** Declared before main, its attributes last. */
  readonly functions: readonly string[];
  readonly sums: readonly string[];
  readonly multiply: string[];
  readonly store: readonly string[];
}

export function matrixCode(
  p: Product,
  t: Tile,
  { rows, columns, depth }: Matrices,
  epilogue: EmittedEpilogue,
  partSize: number,
): MatrixCode {
  const [subgroups, across, size] = [subgroupsOf(t), t.columns / t.threadColumns, rows * columns];
  const [down, right] = [t.threadRows / rows, t.threadColumns / columns];
  const grid = each(down, (m) => each(right, (n) => ({ m, n, sum: `s${m}_${n}` }))).flat();
  const load = (name: string, type: string, order: string, from: string, stride: number) =>
    `let ${name} = subgroupMatrixLoad<${type}, ${order}>(${from}, ${stride});`;
  const left = `subgroup_matrix_left<f16, ${depth}, ${rows}>`;
  const rightHand = `subgroup_matrix_right<f16, ${columns}, ${depth}>`;
  const [aPitch, xPitch] = [t.rows, t.columns].map((n) => 4 * pitchOf(t)(n));
  const result = `subgroup_matrix_result<f32, ${columns}, ${rows}>`;
  // Where subgroups are smaller than they may be there are more of them, which only load and store.
  const working = (lines: readonly string[]) => [
    `if (subgroup < ${subgroups}) {`,
    indent(lines.join("\n")),
    "}",
  ];

  const outer = p.axes.flatMap(({ grid: n }, i) => (n > 1 ? [i] : []));
  const names = axisNames(p);
  const grids = outer.map((i) => p.axes[i].grid);
  const element = plus(
    sumOf([
      ...(t.splits > 1 ? [["split", partSize] as const] : []),
      ["part", p.groups.y],
      ["row", p.rows.y],
      ...outer.map((i) => [names[i], p.axes[i].y] as const),
    ]),
    p.offset.y,
  );
  const storeOne = [
    ...(outer.length ? [coordinates("column", grids, outer.map((i) => names[i]))] : []),
    `let element: u32 = ${element};`,
    epilogue.store({ r: "y_patch[at]", channel: channelAt(p, "part", "row"), column: "column", element: "element" }, "out"),
    "y[element] = Y(out);",
  ]; // prettier-ignore
  const storePatch = [
    `for (var at = lane; at < ${subgroups * size}; at += ${threadsOf(t)}) {`,
    `  let row = first_row + at / ${across * size} * ${t.threadRows} + at % ${size} / ${columns};`,
    `  let column = first_column + at / ${size} % ${across} * ${t.threadColumns} + at % ${columns};`,
    `  if (row >= ${p.rows.count} || column >= ${outputsOf(p)}) { continue; }`,
    indent(storeOne.join("\n")),
    "}",
  ];
  return {
    enables: ["subgroups", "chromium_experimental_subgroup_matrix"],
    builtins: ", @builtin(subgroup_id) subgroup: u32",
    functions: [
      `var<workgroup> y_patch: array<f32, ${subgroups * size}>;`,
      "",
      "fn store_patch(lane: u32, split: u32, part: u32, first_row: u32, first_column: u32) {",
      indent(storePatch.join("\n")),
      "}",
      "",
      "@diagnostic(off, chromium.subgroup_matrix_uniformity)",
    ],
    sums: [
      `let sub_row = subgroup / ${across} * ${t.threadRows};`,
      `let sub_column = subgroup % ${across} * ${t.threadColumns};`,
      ...grid.map(({ sum }) => `var ${sum}: ${result};`),
    ],
    multiply: working(
      each(t.depth / depth, (k) => [
        ...each(down, (m) => load(`a${k}_${m}`, left, "col_major", plus("&a_tile, a_from * 4 + sub_row", k * depth * aPitch + m * rows), aPitch)),
        ...each(right, (n) => load(`x${k}_${n}`, rightHand, "row_major", plus("&x_tile, x_from * 4 + sub_column", k * depth * xPitch + n * columns), xPitch)),
        ...grid.map(({ m, n, sum }) => `${sum} = subgroupMatrixMultiplyAccumulate(a${k}_${m}, x${k}_${n}, ${sum});`),
      ]).flat(),
    ),
    store: grid.flatMap(({ m, n, sum }) => [
      ...working([`subgroupMatrixStore<row_major>(&y_patch, subgroup * ${size}, ${sum}, ${columns});`]),
      "workgroupBarrier();",
      `store_patch(lane, split, part, ${plus(`row_tile * ${t.rows}`, m * rows)}, ${plus(`column_tile * ${t.columns}`, n * columns)});`,
      "workgroupBarrier();",
    ]),
  }; // prettier-ignore
}
