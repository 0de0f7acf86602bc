// Gradients of max and average pooling, gathered: one invocation makes one dx from the windows that
// see it, so that no two add to one place. For max pooling an earlier stage finds the maximum of
// every window; small windows that cover x side by side take one stage, in which an invocation
// makes all dx of a window.

import { avgPoolGradOp, maxPoolGradOp, type AvgPoolGeometry, type PoolGeometry } from "@conv/ops";
import { sizeOf } from "@conv/tensor";
import {
  inputAt,
  outputAt,
  scratchAt,
  type Binding,
  type GpuCode,
  type GpuKernel,
  type GpuStage,
  type Task,
} from "../../compile/code.ts";
import { sumInBlocks } from "../../wgsl/sums.ts";
import { coordinates, indent, literal } from "../../wgsl/wgsl.ts";
import {
  allOf,
  alone,
  codeFor,
  eachElement,
  finishOf,
  overItems,
  streamKernel,
} from "../elementwise/each.ts";
import { eachSeer, inputNames, outputNames, seersOf, tapsOf, winnerOf } from "./window.ts";

/** The most inputs of a window that one invocation writes. */
const MOST = 16;

const locate = (g: PoolGeometry): string =>
  coordinates("index", [g.n * g.c, ...g.input], ["p", ...inputNames(g)]);
const locateWindow = (g: PoolGeometry): string =>
  coordinates("index", [g.n * g.c, ...g.output], ["p", ...outputNames(g)]);
const winner = (g: PoolGeometry): string =>
  `winner(i32(p) * ${sizeOf(g.input)}, ${outputNames(g).join(", ")})`;

/** Windows, over all planes. */
const windowsOf = (g: PoolGeometry): number => g.n * g.c * sizeOf(g.output);

const x: Binding = { name: "x", place: inputAt(0) };
const won: Binding = { name: "won", place: scratchAt(0) };

function maxPoolGrad(task: Task<PoolGeometry>): GpuCode {
  const g = task.params;
  const covered = g.kernel.every(
    (size, a) =>
      size === g.stride[a] &&
      g.dilation[a] === 1 &&
      g.padLo[a] === 0 &&
      g.input[a] === size * g.output[a],
  );
  return covered && sizeOf(g.kernel) <= MOST
    ? alone(byWindows(task))
    : {
        scratch: [{ bytes: windowsOf(g) * 4, element: "i32" }],
        stages: [findWinners(g), byInputs(task)],
      };
}

/** Windows cover x side by side: an invocation makes all dx of one. */
function byWindows(task: Task<PoolGeometry>): GpuStage {
  const g = task.params;
  const finish = finishOf(task);
  const { before, each } = tapsOf(g);
  const store = ({ at }: { readonly at: string }) =>
    `{\n${indent(finish.store(`select(0.0f, d, won == ${at})`, `first + u32(${at})`))}\n}`;
  const body = [
    locateWindow(g),
    before,
    `let won = ${winner(g)};`,
    "let d = f32(dy[index]);",
    `let first = p * ${sizeOf(g.input)}u;`,
    each(store),
  ];
  return {
    label: "max pool gradient",
    reads: [x, { name: "dy", place: inputAt(1) }, ...finish.reads],
    writes: [{ name: "y", place: outputAt(0) }],
    ...overItems(windowsOf(g), body.join("\n"), [winnerOf(g), finish.functions]),
  };
}

const findWinners = (g: PoolGeometry): GpuStage => ({
  label: "max pool gradient: maxima of the windows",
  reads: [x],
  writes: [won],
  ...overItems(windowsOf(g), `${locateWindow(g)}\nwon[index] = ${winner(g)};`, [winnerOf(g)]),
});

/** An invocation adds dy of the windows whose maximum is its input. */
function byInputs(task: Task<PoolGeometry>): GpuStage {
  const g = task.params;
  const sum = sumInBlocks(seersOf(g));
  const add = (sees: string) => {
    const conditions = [...(sees ? [sees] : []), "won[first + at] == own"];
    return sum.add(`select(0.0f, f32(dy[first + at]), ${allOf(conditions)})`);
  };
  const body = [
    locate(g),
    `let own = i32(index % ${sizeOf(g.input)}u);`,
    `let first = p * ${sizeOf(g.output)}u;`,
    sum.before,
    eachSeer(g, add),
    sum.after,
  ];
  return eachElement(task, {
    label: "max pool gradient",
    reads: [won, { name: "dy", place: inputAt(1) }],
    body: body.filter(Boolean).join("\n"),
    result: "sum",
  });
}

function avgPoolGrad(task: Task<AvgPoolGeometry>): GpuCode {
  const g = task.params;
  const { before, seen } = tapsOf(g);
  const d = g.countIncludePad ? "f32(dy[first + at])" : `f32(dy[first + at]) / f32(${seen})`;
  const sum = sumInBlocks(seersOf(g));
  const add = (sees: string) =>
    `${g.countIncludePad ? "" : `${before}\n`}${sum.add(sees ? `select(0.0f, ${d}, ${sees})` : d)}`;
  const body = [
    locate(g),
    `let first = p * ${sizeOf(g.output)}u;`,
    sum.before,
    eachSeer(g, add),
    sum.after,
  ];
  const stage = eachElement(task, {
    label: "average pool gradient",
    reads: [{ name: "dy", place: inputAt(0) }],
    body: body.filter(Boolean).join("\n"),
    result: g.countIncludePad ? `sum * ${literal(1 / sizeOf(g.kernel))}` : "sum",
  });
  return alone(stage);
}

export const poolGrad: GpuKernel = /* @__PURE__ */ streamKernel("poolGrad", [
  codeFor(maxPoolGradOp, maxPoolGrad),
  codeFor(avgPoolGradOp, avgPoolGrad),
]);
