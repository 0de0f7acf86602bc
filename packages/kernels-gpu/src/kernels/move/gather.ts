// Gather and scatterAdd. scatterAdd adds what goes to one place in the order
// of the indices, so that every device computes the same sum:
//   few indices   each output looks at all of them
//   many          lists of the elements that go to each output, made by atomic exchanges and then
//                 sorted by the output that owns the list

import { gatherOp, scatterAddOp } from "@conv/ops";
import { sizeOf } from "@conv/tensor";
import {
  inputAt,
  scratchAt,
  type Binding,
  type GpuCode,
  type GpuKernel,
  type GpuStage,
  type Task,
} from "../../compile/code.ts";
import { sumInBlocks } from "../../wgsl/sums.ts";
import { indent } from "../../wgsl/wgsl.ts";
import { GUESSES } from "../costs.ts";
import { alone, codeFor, eachElement, overItems, streamKernel } from "../elementwise/each.ts";

function gatherCode(task: Task): GpuCode {
  const [{ shape }, { shape: index }] = task.inputs;
  const [c, size, count] = [shape[1], sizeOf(shape.slice(2)), sizeOf(index.slice(1))];
  return alone(
    eachElement(task, {
      label: "gather",
      reads: ["x", "indices"].map((name, i) => ({ name, place: inputAt(i) })),
      body: [
        `let row = index / ${count}u;`,
        `let i = bitcast<u32>(indices[row / ${c}u * ${count}u + index % ${count}u]);`,
        "var v = 0.0f;",
        ...(size ? [`if (i < ${size}u) { v = f32(x[row * ${size}u + i]); }`] : []),
      ].join("\n"),
      result: "v",
    }),
  );
}

/** Sizes of a scatterAdd: of each of b·c planes, `count` elements go to `size` places. */
interface Sizes {
  readonly b: number;
  readonly c: number;
  readonly count: number;
  readonly size: number;
}

const x: Binding = { name: "x", place: inputAt(0) };
const indices: Binding = { name: "indices", place: inputAt(1) };
// first_of[i] begins the list of all j with index i, next_of[j] continues it; −1 ends it.
const first: Binding = { name: "first_of", place: scratchAt(0) };
const next: Binding = { name: "next_of", place: scratchAt(1) };

function scatterAddCode(task: Task): GpuCode {
  const [b, c, ...space] = task.inputs[0].shape;
  const sizes = { b, c, count: sizeOf(space), size: sizeOf(task.outputs[0].shape.slice(2)) };
  if (sizes.count <= GUESSES.lookedAt) return alone(addByLooking(task, sizes));
  return {
    scratch: [b * sizes.size, b * sizes.count].map((n) => ({ bytes: n * 4, element: "i32" })),
    stages: [...listStages(sizes), addByLists(task, sizes)],
  };
}

/** Declares which output `index` is. */
const locate = ({ c, size }: Sizes): string[] => [
  `let row = index / ${size}u;`,
  `let i = i32(index % ${size}u);`,
  `let batch = row / ${c}u;`,
];

/** Each output looks at all indices. */
function addByLooking(task: Task, sizes: Sizes): GpuStage {
  const { count } = sizes;
  const look = `if (indices[batch * ${count}u + j] == i) { sum += f32(x[row * ${count}u + j]); }`;
  const body = [
    ...locate(sizes),
    "var sum = 0.0f;",
    ...(count ? [`for (var j = 0u; j < ${count}u; j++) {\n${indent(look)}\n}`] : []),
  ].join("\n");
  return eachElement(task, { label: "scatterAdd", reads: [x, indices], body, result: "sum" });
}

/** Makes a sorted list of the elements that go to each place. */
function listStages({ b, count, size }: Sizes): GpuStage[] {
  const clear: GpuStage = {
    label: "scatterAdd: empty lists",
    reads: [],
    writes: [first],
    ...overItems(b * size, "first_of[index] = -1;"),
  };
  const collect: GpuStage = {
    label: "scatterAdd: lists of elements",
    reads: [indices],
    writes: [{ ...first, atomic: true }, next],
    ...overItems(
      b * count,
      [
        "let i = bitcast<u32>(indices[index]);",
        `if (i >= ${size}u) { return; }`,
        `next_of[index] = atomicExchange(&first_of[index / ${count}u * ${size}u + i], i32(index % ${count}u));`,
      ].join("\n"),
    ),
  };
  // Insertion sort: lists are made from the last element to the first, nearly.
  const sort: GpuStage = {
    label: "scatterAdd: lists in order",
    reads: [],
    writes: [first, next],
    ...overItems(
      b * size,
      [
        `let batch = i32(index / ${size}u) * ${count};`,
        "var rest = first_of[index];",
        "if (rest < 0) { return; }",
        "var head = -1;",
        "while (rest >= 0) {",
        "  let j = rest;",
        "  rest = next_of[batch + j];",
        "  var before = -1;",
        "  var after = head;",
        "  while (after >= 0 && after < j) {",
        "    before = after;",
        "    after = next_of[batch + after];",
        "  }",
        "  next_of[batch + j] = after;",
        "  if (before < 0) { head = j; } else { next_of[batch + before] = j; }",
        "}",
        "first_of[index] = head;",
      ].join("\n"),
    ),
  };
  return [clear, collect, sort];
}

/** Each output adds the elements of its list. */
function addByLists(task: Task, sizes: Sizes): GpuStage {
  const { count, size } = sizes;
  const sum = sumInBlocks(count);
  const body = [
    ...locate(sizes),
    sum.before,
    `for (var j = first_of[batch * ${size}u + u32(i)]; j >= 0; j = next_of[i32(batch) * ${count} + j]) {`,
    indent(sum.add(`f32(x[i32(row) * ${count} + j])`)),
    "}",
    sum.after,
  ];
  return eachElement(task, {
    label: "scatterAdd",
    reads: [x, first, next],
    body: body.filter(Boolean).join("\n"),
    result: "sum",
  });
}

export const gather: GpuKernel = /* @__PURE__ */ streamKernel("gather", [
  codeFor(gatherOp, gatherCode),
  codeFor(scatterAddOp, scatterAddCode),
]);
