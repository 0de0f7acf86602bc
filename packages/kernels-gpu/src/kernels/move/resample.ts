// A constant sparse matrix along one axis: flips, selection, padding that repeats the input,
// interpolation. Tables tell which elements each output is made of.
//   y[…, j, …] = Σ w·x[…, i, …] over the taps (i, w) of row j

import { resampleOp, type ResampleParams } from "@conv/ops";
import { sizeOf } from "@conv/tensor";
import {
  inputAt,
  scratchAt,
  type GpuCode,
  type GpuKernel,
  type Scratch,
  type Task,
} from "../../compile/code.ts";
import { loopInBlocks } from "../../wgsl/sums.ts";
import { codeFor, eachElement, streamKernel } from "../elementwise/each.ts";

const x = { name: "x", place: inputAt(0) };

const table = (data: Int32Array | Float32Array): Scratch => ({
  bytes: data.byteLength,
  element: data instanceof Int32Array ? "i32" : undefined,
  data,
});

function resampleCode(task: Task<ResampleParams>): GpuCode {
  const { axis, size, rows } = task.params;
  const inner = sizeOf(task.inputs[0].shape.slice(axis + 1));
  const locate = [
    `let i = index % ${inner}u;`,
    `let j = index / ${inner}u % ${rows.length}u;`,
    `let first = index / ${inner * rows.length}u * ${size * inner}u + i;`,
  ];
  const selects = rows.every((row) => row.length === 1 && row[0][1] === 1);
  return selects ? selection(task, inner, locate) : weighted(task, inner, locate);
}

/** Every output is one element of x. */
function selection(task: Task<ResampleParams>, inner: number, locate: readonly string[]): GpuCode {
  const stage = eachElement(task, {
    label: "selection along an axis",
    reads: [x, { name: "places", place: scratchAt(0) }],
    body: locate.join("\n"),
    result: "f32(x[first + u32(places[j])])",
  });
  const places = Int32Array.from(task.params.rows, ([[i]]) => i * inner);
  return { scratch: [table(places)], stages: [stage] };
}

function weighted(task: Task<ResampleParams>, inner: number, locate: readonly string[]): GpuCode {
  const { rows } = task.params;
  const taps = rows.flat();
  const ends = rows.reduce<number[]>((list, row) => [...list, list.at(-1)! + row.length], [0]);
  const sumTaps = loopInBlocks({
    at: "tap",
    from: "ends[j]",
    to: "last",
    step: 1,
    turns: Math.max(...rows.map((row) => row.length)),
    sums: ["sum"],
    T: "f32",
    body: ([sum]) => `${sum} += weights[tap] * f32(x[first + u32(places[tap])]);`,
  });
  const stage = eachElement(task, {
    label: "sparse matrix along an axis",
    reads: [x, ...["ends", "places", "weights"].map((name, i) => ({ name, place: scratchAt(i) }))],
    body: [...locate, "var sum = 0.0f;", "let last = ends[j + 1u];", sumTaps].join("\n"),
    result: "sum",
  });
  return {
    scratch: [
      table(Int32Array.from(ends)),
      table(Int32Array.from(taps, ([i]) => i * inner)),
      table(Float32Array.from(taps, ([, w]) => w)),
    ],
    stages: [stage],
  };
}

export const resample: GpuKernel = /* @__PURE__ */ streamKernel(
  "resample",

  [codeFor(resampleOp, resampleCode)],
);
