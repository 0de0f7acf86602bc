// The part of a tiled product (tiledShader.ts) that subgroups do where they multiply matrices. Each
// subgroup holds a tile of rows × columns as a grid of sums, which are matrices of float32. The
// sums pass through workgroup memory on their way to y.

import type { Matrices } from "../../compile/caps.ts";
import { each, indent, plus, type EmittedEpilogue } from "../../wgsl/wgsl.ts";
import { channelAt } from "./product.ts";
import { pitchOf, subgroupsOf, threadsOf, type Tile } from "./tile.ts";
import { outputCoordinates, yAt, type Walk } from "./walk.ts";

/** Replaces sums in registers. */
export interface MatrixCode {
  readonly enables: readonly string[];
  /** Further builtins of main. */
  readonly builtins: string;
  /** Declared before main; attributes of main last. */
  readonly functions: readonly string[];
  readonly sums: readonly string[];
  readonly multiply: readonly string[];
  readonly store: readonly string[];
}

export function matrixCode(
  walk: Walk,
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
  // A device may run smaller subgroups than its largest. Then there are more of them than tiles,
  // and the rest only load and store.
  const working = (lines: readonly string[]) => [
    `if (subgroup < ${subgroups}) {`,
    indent(lines.join("\n")),
    "}",
  ];
  const multiplyAt = (k: number) => [
    ...each(down, (m) => {
      const from = plus("&a_tile, a_from * 4 + sub_row", k * depth * aPitch + m * rows);
      return load(`a${k}_${m}`, left, "col_major", from, aPitch);
    }),
    ...each(right, (n) => {
      const from = plus("&x_tile, x_from * 4 + sub_column", k * depth * xPitch + n * columns);
      return load(`x${k}_${n}`, rightHand, "row_major", from, xPitch);
    }),
    ...grid.map(
      ({ m, n, sum }) =>
        `${sum} = subgroupMatrixMultiplyAccumulate(a${k}_${m}, x${k}_${n}, ${sum});`,
    ),
  ];
  const store = ({ m, n, sum }: (typeof grid)[number]) => {
    const row = plus(`row_tile * ${t.rows}`, m * rows);
    const column = plus(`column_tile * ${t.columns}`, n * columns);
    return [
      ...working([
        `subgroupMatrixStore<row_major>(&y_patch, subgroup * ${size}, ${sum}, ${columns});`,
      ]),
      "workgroupBarrier();",
      `store_patch(lane, split, part, ${row}, ${column});`,
      "workgroupBarrier();",
    ];
  };
  return {
    enables: ["subgroups", "chromium_experimental_subgroup_matrix"],
    builtins: ", @builtin(subgroup_id) subgroup: u32",
    functions: [
      `var<workgroup> y_patch: array<f32, ${subgroups * size}>;`,
      "",
      "fn store_patch(lane: u32, split: u32, part: u32, first_row: u32, first_column: u32) {",
      indent(storePatch(walk, t, { rows, columns }, epilogue, partSize)),
      "}",
      "",
      "@diagnostic(off, chromium.subgroup_matrix_uniformity)",
    ],
    sums: [
      `let sub_row = subgroup / ${across} * ${t.threadRows};`,
      `let sub_column = subgroup % ${across} * ${t.threadColumns};`,
      ...grid.map(({ sum }) => `var ${sum}: ${result};`),
    ],
    multiply: working(each(t.depth / depth, multiplyAt).flat()),
    store: grid.flatMap(store),
  };
}

/** Stores one matrix of every subgroup, which lie in `y_patch`, with all threads. */
function storePatch(
  walk: Walk,
  t: Tile,
  { rows, columns }: Pick<Matrices, "rows" | "columns">,
  epilogue: EmittedEpilogue,
  partSize: number,
): string {
  const { product: p, outputs } = walk;
  const [subgroups, across, size] = [subgroupsOf(t), t.columns / t.threadColumns, rows * columns];
  const name = (axis: number) => walk.names[axis];
  const element = yAt(walk, "row", name, t.splits > 1 ? [["split", partSize]] : []);
  const at = { r: "y_patch[at]", channel: channelAt(p, "part", "row"), column: "column" };
  const storeOne = [
    ...(walk.outer.length ? [outputCoordinates(walk, "column", name)] : []),
    `let element: u32 = ${element};`,
    epilogue.store({ ...at, element: "element" }, "out"),
    "y[element] = Y(out);",
  ];
  return [
    `for (var at = lane; at < ${subgroups * size}; at += ${threadsOf(t)}) {`,
    `  let row = first_row + at / ${across * size} * ${t.threadRows} + at % ${size} / ${columns};`,
    `  let column = first_column + at / ${size} % ${across} * ${t.threadColumns} + at % ${columns};`,
    `  if (row >= ${p.rows.count} || column >= ${outputs}) { continue; }`,
    indent(storeOne.join("\n")),
    "}",
  ].join("\n");
}
