// Gradients of max and average pooling, gathered: one invocation makes one dx out of the windows that see it, so that no two add to one place.
//   windows side by side and small    the winner of the one window is found anew by each of its inputs
//   else                              a stage before finds the winner of every window

import { avgPoolGradOp, maxPoolGradOp, type AvgPoolGeometry, type PoolGeometry } from "@conv/ops";
import { sizeOf } from "@conv/tensor";
import { inputAt, scratchAt, type GpuCode, type GpuKernel, type Task } from "../code.ts";
import { coordinates, literal } from "../wgsl.ts";
import { eachElement, overItems, streamTime } from "./each.ts";
import { eachSeer, eachTap, inputNames, outputNames, winnerOf } from "./window.ts";

/** Inputs of a window up to which each finds the winner anew, where it is in no other. */
const SMALL = 4;

const locate = (g: PoolGeometry): string => coordinates("index", [g.n * g.c, ...g.input], ["p", ...inputNames(g)]);

function maxPoolGrad(task: Task): GpuCode {
  const g = task.params as PoolGeometry;
  const apart = g.kernel.every((size, a) => (size - 1) * g.dilation[a] < g.stride[a]);
  const anew = apart && sizeOf(g.kernel) <= SMALL;
  const [x, dy] = [inputAt(0), inputAt(1)].map((place, i) => ({ name: i ? "dy" : "x", place }));
  const [plane, windows] = [sizeOf(g.input), sizeOf(g.output)];
  const names = outputNames(g);
  const winner = anew ? `winner(i32(p) * ${plane}, ${names.join(", ")})` : "won[first + at]";
  const gather = eachElement(task, {
    label: "gradient of a max pool",
    reads: anew ? [x, dy] : [{ name: "won", place: scratchAt(0) }, dy],
    functions: anew ? [winnerOf(g)] : [],
    body: [
      locate(g),
      `let own = i32(index % ${plane}u);`,
      `let first = p * ${windows}u;`,
      "var sum = 0.0f;",
      eachSeer(g, `if (${winner} == own) { sum += f32(dy[first + at]); }`),
    ].join("\n"),
    result: "sum",
  });
  if (anew) return { scratch: [], stages: [gather] };
  const find = {
    label: "winners of the windows of a max pool",
    reads: [x],
    writes: [{ name: "won", place: scratchAt(0) }],
    ...overItems(
      g.n * g.c * windows,
      `${coordinates("index", [g.n * g.c, ...g.output], ["p", ...names])}\nwon[index] = winner(i32(p) * ${plane}, ${names.join(", ")});`,
      [winnerOf(g)],
    ),
  };
  return { scratch: [{ bytes: g.n * g.c * windows * 4, element: "i32" }], stages: [find, gather] };
}

function avgPoolGrad(task: Task): GpuCode {
  const g = task.params as AvgPoolGeometry;
  const { before, seen } = eachTap(g, "");
  const add = g.countIncludePad ? "sum += f32(dy[first + at]);" : `${before}\nsum += f32(dy[first + at]) / f32(${seen});`;
  const stage = eachElement(task, {
    label: "gradient of an average pool",
    reads: [{ name: "dy", place: inputAt(0) }],
    body: [locate(g), `let first = p * ${sizeOf(g.output)}u;`, "var sum = 0.0f;", eachSeer(g, add)].join("\n"),
    result: g.countIncludePad ? `sum * ${literal(1 / sizeOf(g.kernel))}` : "sum",
  });
  return { scratch: [], stages: [stage] };
}

const builders: Readonly<Record<string, (task: Task) => GpuCode>> = { [maxPoolGradOp.name]: maxPoolGrad, [avgPoolGradOp.name]: avgPoolGrad };

export const poolGrad: GpuKernel = {
  name: "poolGrad",
  fuses: ["channel", "column", "element"],
  declines: (task) => (task.op.name in builders ? null : "makes gradients of pools"),
  estimate: streamTime,
  build: (task) => builders[task.op.name](task),
};
