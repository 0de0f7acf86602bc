// Elements taken by index; their adjoint, in which what goes to one place is added in the order of
// the indices, on every device the same:
//   few indices    each output looks at all of them
//   else           lists of who goes where, made with exchanges, each sorted by the output that it belongs to
// and the whole numbers that indices are.

import { scatterAddOp, gatherOp, toInt32Op } from "@conv/ops";
import { sizeOf } from "@conv/tensor";
import { inputAt, scratchAt, type Binding, type GpuCode, type Task } from "../../compile/code.ts";
import { indent } from "../../wgsl/wgsl.ts";
import { alone, eachElement, overItems, streamKernel } from "../elementwise/each.ts";
import { sumInBlocks } from "../gemm/sums.ts";

/** Indices that every output looks at. */
const FEW = 32;

function takeCode(task: Task): GpuCode {
  const [{ shape }, { shape: index }] = task.inputs;
  const [c, size, count] = [shape[1], sizeOf(shape.slice(2)), sizeOf(index.slice(1))];
  return alone(
    eachElement(task, {
      label: "take",
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

function putCode(task: Task): GpuCode {
  const [b, c, ...space] = task.inputs[0].shape;
  const [count, size] = [sizeOf(space), sizeOf(task.outputs[0].shape.slice(2))];
  const x = { name: "x", place: inputAt(0) };
  const indices = { name: "indices", place: inputAt(1) };
  const locate = [
    `let row = index / ${size}u;`,
    `let i = i32(index % ${size}u);`,
    `let batch = row / ${c}u;`,
    "var sum = 0.0f;",
  ];
  if (count <= FEW) {
    const look = `if (indices[batch * ${count}u + j] == i) { sum += f32(x[row * ${count}u + j]); }`;
    const body = [
      ...locate,
      ...(count ? [`for (var j = 0u; j < ${count}u; j++) {\n${indent(look)}\n}`] : []),
    ].join("\n");
    return alone(eachElement(task, { label: "put", reads: [x, indices], body, result: "sum" }));
  }
  // first[i] begins the list of all j with index i, next[j] goes on; −1 ends it.
  // prettier-ignore
  const [first, next] = [{ name: "first_of", place: scratchAt(0) }, { name: "next_of", place: scratchAt(1) }];
  const atomic: Binding = { ...first, atomic: true };
  const clear = {
    label: "empty lists",
    reads: [],
    writes: [first],
    ...overItems(b * size, "first_of[index] = -1;"),
  };
  const collect = {
    label: "lists of who goes where",
    reads: [indices],
    writes: [atomic, next],
    ...overItems(
      b * count,
      [
        "let i = bitcast<u32>(indices[index]);",
        `if (i >= ${size}u) { return; }`,
        `next_of[index] = atomicExchange(&first_of[index / ${count}u * ${size}u + i], i32(index % ${count}u));`,
      ].join("\n"),
    ),
  };
  // Insertion: lists come about from the last to the first, nearly.
  const sort = {
    label: "lists in order",
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
  const sum = sumInBlocks(count);
  const add = eachElement(task, {
    label: "put",
    reads: [x, first, next],
    body: [
      ...locate.slice(0, -1),
      sum.before,
      `for (var j = first_of[batch * ${size}u + u32(i)]; j >= 0; j = next_of[i32(batch) * ${count} + j]) {`,
      indent(sum.add(`f32(x[i32(row) * ${count} + j])`)),
      "}",
      sum.after,
    ]
      .filter(Boolean)
      .join("\n"),
    result: "sum",
  });
  return {
    scratch: [b * size, b * count].map((items) => ({ bytes: items * 4, element: "i32" })),
    stages: [clear, collect, sort, add],
  };
}

const wholeNumbers = (task: Task): GpuCode =>
  alone(
    eachElement(task, {
      label: "whole numbers",
      reads: [{ name: "x", place: inputAt(0) }],
      // i32() ends at the last float below 2³¹.
      body: "let v = f32(x[index]);\nlet whole = select(i32(v), 2147483647, v >= 2147483648.0f);\nlet is_number = (bitcast<u32>(v) & 0x7fffffffu) <= 0x7f800000u;",
      result: "select(0, whole, is_number)",
    }),
  );

export const take = streamKernel(
  "take",
  "takes elements by index",
  new Map<unknown, (task: Task) => GpuCode>([
    [gatherOp, takeCode],
    [scatterAddOp, putCode],
    [toInt32Op, wholeNumbers],
  ]),
);
