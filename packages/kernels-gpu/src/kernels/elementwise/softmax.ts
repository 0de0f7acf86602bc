// Softmax and its logarithm along one axis: the largest, then Σ exp(x − largest), then the results.
// As in reduce.ts a workgroup is a table: each column is a row of x, its invocations share the
// elements.

import { logSoftmaxOp, softmaxOp, type SoftmaxParams } from "@conv/ops";
import { sizeOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import { inputAt, outputAt, type GpuCode, type Task } from "../../compile/code.ts";
import { mainOf } from "../../wgsl/wgsl.ts";
import { loopInBlocks } from "../gemm/sums.ts";
import { alone, finishOf, streamKernel } from "./each.ts";

const THREADS = 256;
/** Elements that an invocation should have at least before others share its work. */
const TERMS = 8;
/**
 * On a software adapter waiting for each other takes longer than the work: rows are shared only
 * where there are few.
 */
const FEW = 8;

/**
 * Each row by its largest element and its total: `before` the elements what they need, then each by
 * `result`.
 */
const rowsBy =
  (before: string, result: string) =>
  (task: Task, { software }: Caps): GpuCode => {
    const { axis } = task.params as SoftmaxParams;
    const { shape } = task.inputs[0];
    const [size, inner] = [shape[axis], sizeOf(shape.slice(axis + 1))];
    const outputs = sizeOf(shape.slice(0, axis)) * inner;
    const up = (v: number) => 2 ** Math.ceil(Math.log2(v));
    // Neighbors in memory are neighbors in a workgroup: elements of a row, or rows beside each
    // other.
    const beside = inner > 1;
    const rows =
      software && outputs > FEW
        ? 1
        : Math.min(software || beside ? FEW : THREADS, up(Math.ceil(size / TERMS)));
    const columns = Math.min(up(outputs), beside ? 32 : Math.max(1, 64 / rows));
    const [row, column, apart] = beside
      ? [`lane / ${columns}u`, `lane % ${columns}u`, columns]
      : [`lane % ${rows}u`, `lane / ${rows}u`, 1];
    const finish = finishOf(task);
    const walk = { at: "at", from: `first + row * ${inner}u`, to: "end", step: rows * inner };
    const loop = (body: string) =>
      loopInBlocks({ ...walk, turns: 1, sums: [], T: "", body: () => body });
    const joined = (name: string, join: (a: string, b: string) => string) =>
      rows === 1
        ? `let ${name} = own_${name};`
        : [
            `shared_values[lane] = own_${name};`,
            "workgroupBarrier();",
            `for (var half = ${rows / 2}u; half > 0u; half /= 2u) {`,
            `  if (row < half) { shared_values[lane] = ${join("shared_values[lane]", `shared_values[lane + half${apart > 1 ? ` * ${apart}u` : ""}]`)}; }`,
            "  workgroupBarrier();",
            "}",
            `let ${name} = shared_values[${beside ? column : "lane - row"}];`,
            "workgroupBarrier();",
          ].join("\n");
    // Beyond the last row of x nothing is done: its elements end before they begin.
    const body = [
      `let row = ${rows === 1 ? "0u" : row};`,
      `let output = group * ${columns}u + ${rows === 1 ? "lane" : column};`,
      `let first = output / ${inner}u * ${size * inner}u + output % ${inner}u;`,
      `let end = ${outputs % columns ? `select(0u, first + ${size * inner}u, output < ${outputs}u)` : `first + ${size * inner}u`};`,
      "var own_largest = f32(x[first]);",
      loop("own_largest = max_of(own_largest, f32(x[at]));"),
      joined("largest", (a, b) => `max_of(${a}, ${b})`),
      "var own_total = 0.0f;",
      loopInBlocks({
        ...walk,
        turns: Math.ceil(size / rows),
        sums: ["own_total"],
        T: "f32",
        body: ([total]) => `${total} += exp_of(f32(x[at]) - largest);`,
      }),
      joined("total", (a, b) => `${a} + ${b}`),
      before,
      loop(finish.store(result, "at")),
    ].join("\n");
    const groups = Math.ceil(outputs / columns);
    return alone({
      label: task.op.name,
      reads: [{ name: "x", place: inputAt(0) }, ...finish.reads],
      writes: [{ name: "y", place: outputAt(0) }],
      code: [
        finish.functions,
        rows > 1 ? `var<workgroup> shared_values: array<f32, ${rows * columns}>;` : "",
        mainOf(groups, rows * columns, body),
      ]
        .filter(Boolean)
        .join("\n\n"),
      groups,
    });
  };

export const softmax = streamKernel(
  "softmax",
  "makes softmax and its logarithm",
  new Map<unknown, ReturnType<typeof rowsBy>>([
    [softmaxOp, rowsBy("let scale = 1.0f / total;", "exp_of(f32(x[at]) - largest) * scale")],
    [logSoftmaxOp, rowsBy("let log_total = log_of(total);", "(f32(x[at]) - largest) - log_total")],
  ]),
);
