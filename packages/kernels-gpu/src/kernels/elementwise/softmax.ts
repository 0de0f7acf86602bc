// Softmax and its logarithm along one axis: the largest element, then Σ exp(x − largest), then the
// results. As in reduce.ts a workgroup is a table: each column is a row of x, whose elements its
// invocations share.

import { logSoftmaxOp, softmaxOp, type SoftmaxParams } from "@conv/ops";
import { sizeOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import { inputAt, type GpuCode, type GpuKernel, outputAt, type Task } from "../../compile/code.ts";
import { loopInBlocks } from "../../wgsl/sums.ts";
import { mainOf } from "../../wgsl/wgsl.ts";
import { GUESSES, SWIFTSHADER } from "../costs.ts";
import { alone, codeFor, finishOf, streamKernel } from "./each.ts";

const THREADS = 256;
/** The most invocations of a row whose neighbors are far apart in memory. */
const FEW = 8;

/** How the rows of x are divided among workgroups. */
interface Division {
  /** Elements of a row of x, elements between its neighbors, and rows of x. */
  readonly size: number;
  readonly inner: number;
  readonly outputs: number;
  /** Invocations that share a row of x, and rows of x in a workgroup. */
  readonly rows: number;
  readonly columns: number;
}

function divisionOf(
  { params: { axis }, inputs: [{ shape }] }: Task<SoftmaxParams>,
  { software }: Caps,
): Division {
  const [size, inner] = [shape[axis], sizeOf(shape.slice(axis + 1))];
  const outputs = sizeOf(shape.slice(0, axis)) * inner;
  const up = (v: number) => 2 ** Math.ceil(Math.log2(v));
  const { softmaxRows } = SWIFTSHADER;
  const most = software ? softmaxRows : inner > 1 ? FEW : THREADS;
  // Waiting at barriers takes a software adapter longer than the work of many rows.
  const rows =
    software && outputs > softmaxRows ? 1 : Math.min(most, up(Math.ceil(size / GUESSES.terms)));
  const columns = Math.min(up(outputs), inner > 1 ? 32 : Math.max(1, 64 / rows));
  return { size, inner, outputs, rows, columns };
}

/** Names of the invocation within the table: neighbors in memory are neighbors in a workgroup. */
const tableOf = ({ inner, rows, columns }: Division) =>
  inner > 1
    ? { row: `lane / ${columns}u`, column: `lane % ${columns}u`, apart: columns }
    : { row: `lane % ${rows}u`, column: `lane / ${rows}u`, apart: 1 };

/** Declares `name`, in every invocation: the values `own_name` of a row of x joined as a tree. */
function joined(division: Division, name: string, join: (a: string, b: string) => string): string {
  const { rows, inner } = division;
  if (rows === 1) return `let ${name} = own_${name};`;
  const { column, apart } = tableOf(division);
  const other = `shared_values[lane + half${apart > 1 ? ` * ${apart}u` : ""}]`;
  return [
    `shared_values[lane] = own_${name};`,
    "workgroupBarrier();",
    `for (var half = ${rows / 2}u; half > 0u; half /= 2u) {`,
    `  if (row < half) { shared_values[lane] = ${join("shared_values[lane]", other)}; }`,
    "  workgroupBarrier();",
    "}",
    `let ${name} = shared_values[${inner > 1 ? column : "lane - row"}];`,
    "workgroupBarrier();",
  ].join("\n");
}

/**
 * The code that makes `result` of each element, from `largest` and `total` of its row and from
 * what `before` declares.
 */
const rowsBy =
  (before: string, result: string) =>
  (task: Task<SoftmaxParams>, caps: Caps): GpuCode => {
    const division = divisionOf(task, caps);
    const { size, inner, outputs, rows, columns } = division;
    const { row, column } = tableOf(division);
    const finish = finishOf(task);
    const walk = { at: "at", from: `first + row * ${inner}u`, to: "end", step: rows * inner };
    const loop = (body: string) =>
      loopInBlocks({ ...walk, turns: 1, sums: [], T: "", body: () => body });
    const end = `first + ${size * inner}u`;
    // Beyond the last row of x nothing is done: its elements end before they begin.
    const body = [
      `let row = ${rows === 1 ? "0u" : row};`,
      `let output = group * ${columns}u + ${rows === 1 ? "lane" : column};`,
      `let first = output / ${inner}u * ${size * inner}u + output % ${inner}u;`,
      `let end = ${outputs % columns ? `select(0u, ${end}, output < ${outputs}u)` : end};`,
      "var own_largest = f32(x[first]);",
      loop("own_largest = max_of(own_largest, f32(x[at]));"),
      joined(division, "largest", (a, b) => `max_of(${a}, ${b})`),
      "var own_total = 0.0f;",
      loopInBlocks({
        ...walk,
        turns: Math.ceil(size / rows),
        sums: ["own_total"],
        T: "f32",
        body: ([total]) => `${total} += exp_of(f32(x[at]) - largest);`,
      }),
      joined(division, "total", (a, b) => `${a} + ${b}`),
      before,
      loop(finish.store(result, "at")),
    ];
    const groups = Math.ceil(outputs / columns);
    const code = [
      finish.functions,
      rows > 1 ? `var<workgroup> shared_values: array<f32, ${rows * columns}>;` : "",
      mainOf(groups, rows * columns, body.join("\n")),
    ];
    return alone({
      label: task.op.name,
      reads: [{ name: "x", place: inputAt(0) }, ...finish.reads],
      writes: [{ name: "y", place: outputAt(0) }],
      code: code.filter(Boolean).join("\n\n"),
      groups,
    });
  };

export const softmax: GpuKernel = /* @__PURE__ */ streamKernel("softmax", [
  codeFor(softmaxOp, rowsBy("let scale = 1.0f / total;", "exp_of(f32(x[at]) - largest) * scale")),
  codeFor(
    logSoftmaxOp,
    rowsBy("let log_total = log_of(total);", "(f32(x[at]) - largest) - log_total"),
  ),
]);
