// Gradients of max and average pooling, gathered: one invocation makes one dx out of the windows
// that see it, so that no two add to one place.
//   a stage before finds the winner of every window; but where small windows lie side by side and cover all, an invocation makes all dx of one

import { avgPoolGradOp, maxPoolGradOp, type AvgPoolGeometry, type PoolGeometry } from "@conv/ops";
import { sizeOf } from "@conv/tensor";
import { inputAt, outputAt, scratchAt, type GpuCode, type Task } from "../../compile/code.ts";
import { coordinates, indent, literal } from "../../wgsl/wgsl.ts";
import {
  allOf,
  alone,
  eachElement,
  finishOf,
  overItems,
  streamKernel,
} from "../elementwise/each.ts";
import { sumInBlocks } from "../gemm/sums.ts";
import { eachSeer, inputNames, outputNames, seersOf, tapsOf, winnerOf } from "./window.ts";

/** Inputs of a window that one invocation writes. */
const MOST = 16;

const locate = (g: PoolGeometry): string =>
  coordinates("index", [g.n * g.c, ...g.input], ["p", ...inputNames(g)]);
const locateWindow = (g: PoolGeometry): string =>
  coordinates("index", [g.n * g.c, ...g.output], ["p", ...outputNames(g)]);
const winner = (g: PoolGeometry): string =>
  `winner(i32(p) * ${sizeOf(g.input)}, ${outputNames(g).join(", ")})`;

function maxPoolGrad(task: Task): GpuCode {
  const g = task.params as PoolGeometry;
  const [x, dy] = [inputAt(0), inputAt(1)].map((place, i) => ({ name: i ? "dy" : "x", place }));
  const [plane, windows] = [sizeOf(g.input), sizeOf(g.output)];
  const covered = g.kernel.every(
    (size, a) =>
      size === g.stride[a] &&
      g.dilation[a] === 1 &&
      g.padLo[a] === 0 &&
      g.input[a] === size * g.output[a],
  );
  if (covered && sizeOf(g.kernel) <= MOST) {
    const finish = finishOf(task);
    const { before, each } = tapsOf(g);
    const store = ({ at }: { readonly at: string }) =>
      `{\n${indent(finish.store(`select(0.0f, d, won == ${at})`, `first + u32(${at})`))}\n}`;
    const body = [
      locateWindow(g),
      before,
      `let won = ${winner(g)};`,
      "let d = f32(dy[index]);",
      `let first = p * ${plane}u;`,
      each(store),
    ];
    return alone({
      label: "gradient of a max pool",
      reads: [x, dy, ...finish.reads],
      writes: [{ name: "y", place: outputAt(0) }],
      ...overItems(g.n * g.c * windows, body.join("\n"), [winnerOf(g), finish.functions]),
    });
  }
  const find = {
    label: "winners of the windows of a max pool",
    reads: [x],
    writes: [{ name: "won", place: scratchAt(0) }],
    ...overItems(g.n * g.c * windows, `${locateWindow(g)}\nwon[index] = ${winner(g)};`, [
      winnerOf(g),
    ]),
  };
  const sum = sumInBlocks(seersOf(g));
  const gather = eachElement(task, {
    label: "gradient of a max pool",
    reads: [{ name: "won", place: scratchAt(0) }, dy],
    body: [
      locate(g),
      `let own = i32(index % ${plane}u);`,
      `let first = p * ${windows}u;`,
      sum.before,
      eachSeer(g, (sees) =>
        sum.add(
          `select(0.0f, f32(dy[first + at]), ${allOf([...(sees ? [sees] : []), "won[first + at] == own"])})`,
        ),
      ),
      sum.after,
    ]
      .filter(Boolean)
      .join("\n"),
    result: "sum",
  });
  return { scratch: [{ bytes: g.n * g.c * windows * 4, element: "i32" }], stages: [find, gather] };
}

function avgPoolGrad(task: Task): GpuCode {
  const g = task.params as AvgPoolGeometry;
  const { before, seen } = tapsOf(g);
  const d = g.countIncludePad ? "f32(dy[first + at])" : `f32(dy[first + at]) / f32(${seen})`;
  const sum = sumInBlocks(seersOf(g));
  const add = (sees: string) =>
    `${g.countIncludePad ? "" : `${before}\n`}${sum.add(sees ? `select(0.0f, ${d}, ${sees})` : d)}`;
  const stage = eachElement(task, {
    label: "gradient of an average pool",
    reads: [{ name: "dy", place: inputAt(0) }],
    body: [
      locate(g),
      `let first = p * ${sizeOf(g.output)}u;`,
      sum.before,
      eachSeer(g, add),
      sum.after,
    ]
      .filter(Boolean)
      .join("\n"),
    result: g.countIncludePad ? `sum * ${literal(1 / sizeOf(g.kernel))}` : "sum",
  });
  return alone(stage);
}

export const poolGrad = streamKernel(
  "poolGrad",
  "makes gradients of pools",
  new Map([
    [maxPoolGradOp, maxPoolGrad],
    [avgPoolGradOp, avgPoolGrad],
  ] as const),
);
