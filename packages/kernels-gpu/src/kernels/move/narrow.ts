// Moves of elements of one or two bytes, several of which lie in a word of 32 bits. Neighbors in a
// word may come from different places, so that each invocation adds the bits of one element to a
// word that was cleared before.

import { boxesOf, paddedBox, type Box } from "@conv/compiler";
import { broadcastToOp, concatOp, gatherOp, padOp, sliceOp, transposeOp } from "@conv/ops";
import { dtypeNames, infoOf, isOp, sizeOf, type DType } from "@conv/tensor";
import { inputAt, outputAt, type GpuKernel, type GpuStage, type Task } from "../../compile/code.ts";
import { coordinates, offsetOf } from "../../wgsl/wgsl.ts";
import { overItems, streamTime } from "../elementwise/each.ts";
import { bitsOf, perWord } from "../elementwise/typed.ts";

/** Adds the bits of an element to y at an index. */
function put(dtype: DType, bits: string, at: string): string {
  const per = perWord(dtype);
  return `let into = ${at};\natomicOr(&y[into / ${per}u], ${bits} << (into % ${per}u * ${32 / per}u));`;
}

const written = { name: "y", place: outputAt(0), atomic: true } as const;

function boxStage({ shape, from, into }: Box, index: number, dtype: DType): GpuStage {
  const names = shape.map((_, a) => `c${a}`);
  const offset = ({ strides, base = 0 }: Box["from"]) => `${offsetOf(names, strides)} + ${base}u`;
  return {
    label: `move ${dtype}`,
    reads: [{ name: "x", place: inputAt(index) }],
    writes: [written],
    ...overItems(
      sizeOf(shape),
      [
        coordinates("index", shape, names),
        put(dtype, bitsOf(dtype, "x", offset(from)), offset(into)),
      ].join("\n"),
    ),
  };
}

/** y[b, c, j] = x[b, c, places[b, j]], or 0 where the place is out of range. */
function gatherStage({ inputs: [x, places] }: Task): GpuStage {
  const [b, c, ...space] = x.shape;
  const [size, count] = [sizeOf(space), sizeOf(places.shape.slice(1))];
  const bits = bitsOf(x.dtype, "x", `row * ${size}u + u32(place)`);
  return {
    label: `gather ${x.dtype}`,
    reads: [
      { name: "x", place: inputAt(0) },
      { name: "places", place: inputAt(1) },
    ],
    writes: [written],
    ...overItems(
      b * c * count,
      [
        `let row = index / ${count}u;`,
        `let place = places[row / ${c}u * ${count}u + index % ${count}u];`,
        `if (place < 0 || place >= ${size}) { return; }`,
        put(x.dtype, bits, "index"),
      ].join("\n"),
    ),
  };
}

function stagesOf(task: Task): GpuStage[] {
  const [y] = task.outputs;
  const words = Math.ceil(sizeOf(y.shape) / perWord(y.dtype));
  const clear: GpuStage = {
    label: "clear",
    reads: [],
    writes: [{ name: "y", place: outputAt(0) }],
    ...overItems(words, "y[index] = 0u;"),
  };
  if (isOp(task, gatherOp)) return [clear, gatherStage(task)];
  const boxes = isOp(task, padOp)
    ? [paddedBox(task.inputs[0].shape, y.shape, task.params)]
    : boxesOf(task, task.inputs)!;
  return [clear, ...boxes.map((box, i) => boxStage(box, i, y.dtype))];
}

export const narrow: GpuKernel = {
  name: "narrow",
  ops: [transposeOp, broadcastToOp, sliceOp, concatOp, padOp, gatherOp],
  dtypes: dtypeNames,
  unsupportedReason: ({ outputs: [y] }) =>
    infoOf(y.dtype).bytes < 4 ? null : "moves elements of one or two bytes",
  estimate: streamTime,
  build: (task) => ({
    scratch: [],
    stages: stagesOf(task).filter(({ groups }) => groups > 0),
  }),
};
