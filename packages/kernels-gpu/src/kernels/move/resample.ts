// A sparse matrix, known beforehand, along one axis: select, flips, padding that repeats the input,
// interpolation. Tables say where each output is taken from.
//   y[…, j, …] = Σ w·x[…, i, …] over the taps (i, w) of row j

import { resampleOp, type ResampleParams } from "@conv/ops";
import { sizeOf } from "@conv/tensor";
import { inputAt, scratchAt, type GpuCode, type Task } from "../../compile/code.ts";
import { eachElement, streamKernel } from "../elementwise/each.ts";
import { loopInBlocks } from "../gemm/sums.ts";

function mixCode(task: Task): GpuCode {
  const { axis, size, rows } = task.params as ResampleParams;
  const inner = sizeOf(task.inputs[0].shape.slice(axis + 1));
  const x = { name: "x", place: inputAt(0) };
  const table = (data: Int32Array | Float32Array) => ({
    bytes: data.byteLength,
    element: data instanceof Int32Array ? ("i32" as const) : undefined,
    data,
  });
  const locate = [
    `let i = index % ${inner}u;`,
    `let j = index / ${inner}u % ${rows.length}u;`,
    `let first = index / ${inner * rows.length}u * ${size * inner}u + i;`,
  ].join("\n");
  if (rows.every((row) => row.length === 1 && row[0][1] === 1))
    return {
      scratch: [table(Int32Array.from(rows, ([[i]]) => i * inner))],
      stages: [
        eachElement(task, {
          label: "select along an axis",
          reads: [x, { name: "places", place: scratchAt(0) }],
          body: locate,
          result: "f32(x[first + u32(places[j])])",
        }),
      ],
    };
  const taps = rows.flat();
  const ends = rows.reduce<number[]>((list, row) => [...list, list.at(-1)! + row.length], [0]);
  return {
    scratch: [
      table(Int32Array.from(ends)),
      table(Int32Array.from(taps, ([i]) => i * inner)),
      table(Float32Array.from(taps, ([, w]) => w)),
    ],
    stages: [
      eachElement(task, {
        label: "sparse matrix along an axis",
        reads: [
          x,
          ...["ends", "places", "weights"].map((name, i) => ({ name, place: scratchAt(i) })),
        ],
        body: [
          locate,
          "var sum = 0.0f;",
          "let last = ends[j + 1u];",
          loopInBlocks({
            at: "tap",
            from: "ends[j]",
            to: "last",
            step: 1,
            turns: Math.max(...rows.map((row) => row.length)),
            sums: ["sum"],
            T: "f32",
            body: ([sum]) => `${sum} += weights[tap] * f32(x[first + u32(places[tap])]);`,
          }),
        ].join("\n"),
        result: "sum",
      }),
    ],
  };
}

export const mix = streamKernel(
  "mix",
  "multiplies an axis by a sparse matrix",
  new Map([[resampleOp, mixCode]]),
);
