// Max and average pooling, where a maximum stands, and what another tensor has there: one invocation goes over one window.

import { avgPoolOp, maxPoolIndicesOp, maxPoolOp, maxPoolPickOp, type AvgPoolGeometry, type PoolGeometry } from "@conv/ops";
import { sizeOf } from "@conv/tensor";
import { inputAt, type GpuKernel, type GpuStage, type Task } from "../code.ts";
import { coordinates, literal } from "../wgsl.ts";
import { eachElement, streamTime } from "./each.ts";
import { scaledSum } from "./reduce.ts";
import { sumInBlocks } from "./sums.ts";
import { outputNames, tapsOf, winnerOf } from "./window.ts";

const x = { name: "x", place: inputAt(0) };

/** Declares the coordinates of output `index`, and `plane`, where its plane of x begins. */
const locate = (g: PoolGeometry): string =>
  `${coordinates("index", [g.n * g.c, ...g.output], ["p", ...outputNames(g)])}\nlet plane = i32(p) * ${sizeOf(g.input)};`;

/** Finds the winner of each window, and makes of it what `result` says. */
function withWinner(task: Task, label: string, what: "best" | "won", result: string): GpuStage {
  const g = task.params as PoolGeometry;
  return eachElement(task, {
    label,
    reads: task.op === maxPoolPickOp ? [x, { name: "v", place: inputAt(1) }] : [x],
    functions: [winnerOf(g, what)],
    body: `${locate(g)}\nlet ${what} = winner(plane, ${outputNames(g).join(", ")});`,
    result,
  });
}

const stages: Readonly<Record<string, (task: Task) => GpuStage>> = {
  [maxPoolOp.name]: (task) => withWinner(task, "max pool", "best", "best"),
  [maxPoolPickOp.name]: (task) => withWinner(task, "what is where a maximum is", "won", "f32(v[plane + won])"),
  [maxPoolIndicesOp.name]: (task) => withWinner(task, "where maxima are", "won", "won"),
  [avgPoolOp.name](task) {
    const g = task.params as AvgPoolGeometry;
    const { before, seen, each } = tapsOf(g);
    const sum = sumInBlocks(sizeOf(g.kernel));
    const add = each(({ at, within }) => sum.add(within ? `select(0.0f, f32(x[plane + ${at}]), ${within})` : `f32(x[plane + ${at}])`), true);
    return eachElement(task, {
      label: "average pool",
      reads: [x],
      body: [locate(g), before, sum.before, add, sum.after].filter(Boolean).join("\n"),
      result: g.countIncludePad ? `sum * ${literal(1 / sizeOf(g.kernel))}` : `sum / f32(${seen})`,
    });
  },
};

const served: ReadonlySet<unknown> = new Set([maxPoolOp, maxPoolPickOp, maxPoolIndicesOp, avgPoolOp]);

export const pool: GpuKernel = {
  name: "pool",
  fuses: ["channel", "column", "element"],
  declines: (task) => (served.has(task.op) ? null : "pools"),
  estimate: streamTime,
  build(task, caps) {
    const g = task.params as PoolGeometry;
    // The mean of a plane is made by many.
    if (task.op === avgPoolOp && sizeOf(g.output) === 1 && sizeOf(g.kernel) === sizeOf(g.input) && g.padLo.every((lo) => lo === 0)) {
      const space = g.kernel.map((_, a) => a + 2);
      return scaledSum(task, space, 1 / sizeOf(g.kernel), caps);
    }
    return { scratch: [], stages: [stages[task.op.name](task)] };
  },
};
