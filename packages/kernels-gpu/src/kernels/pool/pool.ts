// Max and average pooling, the indices of maxima, and the elements of another tensor at these
// indices: one invocation reads one window.

import {
  avgPoolOp,
  maxPoolIndicesOp,
  maxPoolOp,
  maxPoolPickOp,
  type AvgPoolGeometry,
  type PoolGeometry,
} from "@conv/ops";
import { sizeOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import { inputAt, type GpuCode, type GpuKernel, type Task } from "../../compile/code.ts";
import { sumInBlocks } from "../../wgsl/sums.ts";
import { coordinates, literal } from "../../wgsl/wgsl.ts";
import { alone, codeFor, eachElement, streamKernel } from "../elementwise/each.ts";
import { scaledSum } from "../elementwise/reduce.ts";
import { outputNames, tapsOf, winnerOf } from "./window.ts";

const x = { name: "x", place: inputAt(0) };

/** Declares the coordinates of output `index`, and where its plane of x begins: `plane`. */
const locate = (g: PoolGeometry): string =>
  `${coordinates("index", [g.n * g.c, ...g.output], ["p", ...outputNames(g)])}\nlet plane = i32(p) * ${sizeOf(g.input)};`;

/** Finds the maximum of each window, or its index, and makes `result` of it. */
const withWinner =
  (label: string, what: "best" | "won", result: string) => (task: Task<PoolGeometry>) => {
    const g = task.params;
    const stage = eachElement(task, {
      label,
      reads: task.op === maxPoolPickOp ? [x, { name: "v", place: inputAt(1) }] : [x],
      functions: [winnerOf(g, what)],
      body: `${locate(g)}\nlet ${what} = winner(plane, ${outputNames(g).join(", ")});`,
      result,
    });
    return alone(stage);
  };

function averages(task: Task<AvgPoolGeometry>, caps: Caps): GpuCode {
  const g = task.params;
  const taps = sizeOf(g.kernel);
  // The invocations of a workgroup share the mean of a plane.
  if (sizeOf(g.output) === 1 && taps === sizeOf(g.input) && g.padLo.every((lo) => lo === 0))
    return scaledSum(
      task,
      g.kernel.map((_, a) => a + 2),
      1 / taps,
      caps,
    );
  const { before, seen, each } = tapsOf(g);
  const sum = sumInBlocks(taps);
  const add = each(
    ({ at, within }) =>
      sum.add(within ? `select(0.0f, f32(x[plane + ${at}]), ${within})` : `f32(x[plane + ${at}])`),
    true,
  );
  const stage = eachElement(task, {
    label: "average pool",
    reads: [x],
    body: [locate(g), before, sum.before, add, sum.after].filter(Boolean).join("\n"),
    result: g.countIncludePad ? `sum * ${literal(1 / taps)}` : `sum / f32(${seen})`,
  });
  return alone(stage);
}

export const pool: GpuKernel = /* @__PURE__ */ streamKernel("pool", [
  codeFor(maxPoolOp, withWinner("max pool", "best", "best")),
  codeFor(maxPoolPickOp, withWinner("elements at maxima", "won", "f32(v[plane + won])")),
  codeFor(maxPoolIndicesOp, withWinner("indices of maxima", "won", "won")),
  codeFor(avgPoolOp, averages),
]);
