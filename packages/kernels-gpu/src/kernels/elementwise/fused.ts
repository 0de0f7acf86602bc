// Elementwise work: any number of expressions over any number of inputs, in one pass over one
// shape, with broadcasting. One invocation makes four neighbors where all tensors allow it.

import { fusedOp, inputName, mergeAxes, type Axis, type FusedParams } from "@conv/compiler";
import { broadcastStrides, type Expr } from "@conv/ops";
import { bytesOf, sizeOf, stridesOf, type Spec } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import {
  inputAt,
  outputAt,
  scratchAt,
  type GpuKernel,
  type GpuStage,
  type Task,
} from "../../compile/code.ts";
import { coordinates, each, emitExprs, offsetOf } from "../../wgsl/wgsl.ts";
import { overItems } from "./each.ts";

/** How a task walks its shape. */
interface Walk {
  readonly task: Task;
  readonly values: readonly Expr[];
  /** Merged axes; `strides` are of the shape, then of the inputs. */
  readonly axes: readonly Axis[];
  /** Names and sizes of the coordinates; the innermost counts vectors. */
  readonly names: readonly string[];
  readonly sizes: readonly number[];
  readonly width: 1 | 4;
  /** Inputs that are bound; the others are copied into one buffer first, one after another. */
  readonly bound: number;
  /** Where in that buffer each of the others begins. */
  readonly starts: readonly number[];
}

function walkOf(task: Task<FusedParams>, caps: Caps): Walk {
  const { shape, values } = task.params;
  const axes = mergeAxes(shape, [
    stridesOf(shape),
    ...task.inputs.map((s) => broadcastStrides(s.shape, shape)),
  ]);
  const { size, strides } = axes.at(-1)!;
  const width = size % 4 === 0 && strides[0] === 1 && strides.every((s) => s < 2) ? 4 : 1;
  const beyond = Math.max(0, task.inputs.length + task.outputs.length - caps.storageBuffers);
  const bound = task.inputs.length - (beyond && beyond + 1);
  const total = (list: readonly Spec[]) => list.reduce((sum, s) => sum + sizeOf(s.shape), 0);
  return {
    task,
    values,
    axes,
    names: axes.map((_, a) => `c${a}`),
    sizes: axes.map((axis, a) => (a === axes.length - 1 ? axis.size / width : axis.size)),
    width,
    bound,
    starts: task.inputs.map((_, i) => total(task.inputs.slice(bound, i))),
  };
}

/** Whether an input moves along the innermost axis, and is read as vectors. */
const moves = ({ width, axes }: Walk, i: number): boolean =>
  width === 4 && axes.at(-1)!.strides[i + 1] === 1;

/** Where an input lies, in elements or in vectors. */
const offsetIn = ({ axes, names, width }: Walk, i: number, vectors: boolean): string =>
  offsetOf(
    names,
    axes.map(({ strides }, a) =>
      vectors && a < axes.length - 1 ? strides[i + 1] / width : strides[i + 1],
    ),
  );

/** Declares v{i}, the elements of an input, which the binding `name` holds. */
function load(walk: Walk, i: number, name: string): string {
  const { width, bound, starts, names } = walk;
  const T = width === 4 ? "vec4f" : "f32";
  const vectors = moves(walk, i);
  if (i < bound) {
    const at = `${name}[${offsetIn(walk, i, vectors)}]`;
    return `let v${i} = ${vectors || width === 1 ? `${T}(${at})` : `vec4f(f32(${at}))`};`;
  }
  // The innermost coordinate counts vectors, and the buffer holds elements.
  const first = `${starts[i]}u + ${offsetIn(walk, i, false)}${vectors ? ` + 3u * ${names.at(-1)}` : ""}`;
  if (!vectors) return `let v${i} = ${T}(copied[${first}]);`;
  const four = each(4, (k) => `copied[from${i} + ${k}u]`).join(", ");
  return `let from${i} = ${first};\nlet v${i} = vec4f(${four});`;
}

/** The stage that computes all values. */
function valuesStage(walk: Walk): GpuStage {
  const { task, values, names, sizes, width, bound } = walk;
  const { statements, values: results } = emitExprs(
    values,
    Object.fromEntries(task.inputs.map((_, i) => [inputName(i), `v${i}`])),
    width,
  );
  const inPlace = (sources: Readonly<Record<string, string>>) =>
    overItems(
      sizeOf(sizes),
      [
        coordinates("index", sizes, names),
        ...task.inputs.map((_, i) => load(walk, i, sources[inputName(i)] ?? inputName(i))),
        ...(statements ? [statements] : []),
        ...results.map((v, i) => `y${i}[index] = ${width === 4 ? `vec4<Y${i}>` : `Y${i}`}(${v});`),
      ].join("\n"),
    );
  return {
    label: "elementwise",
    reads: [
      ...each(bound, (i) => ({
        name: inputName(i),
        place: inputAt(i),
        width: moves(walk, i) ? (4 as const) : (1 as const),
      })),
      ...(bound < task.inputs.length ? [{ name: "copied", place: scratchAt(0) }] : []),
    ],
    writes: task.outputs.map((_, i) => ({ name: `y${i}`, place: outputAt(i), width })),
    ...inPlace({}),
    inPlace: (sources) => inPlace(sources).code,
  };
}

/** The stage that copies an input that the adapter has no binding for. */
function copyStage({ task, starts }: Walk, i: number): GpuStage {
  const size = sizeOf(task.inputs[i].shape);
  return {
    label: "elementwise: an operand",
    reads: [{ name: "x", place: inputAt(i) }],
    writes: [{ name: "copied", place: scratchAt(0) }],
    ...overItems(size, `copied[index + ${starts[i]}u] = f32(x[index]);`),
  };
}

export const fused: GpuKernel<FusedParams> = {
  name: "elementwise",
  ops: [fusedOp],
  // Bound by memory; values that only the nodes of the task use do not pass through it.
  estimate: ({ inputs, outputs }, caps) =>
    [...inputs, ...outputs].reduce((sum, s) => sum + bytesOf(s), 0) / caps.bandwidth + caps.launch,
  build(task, caps) {
    const walk = walkOf(task, caps);
    const copied = task.inputs.slice(walk.bound);
    const bytes = 4 * copied.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    return {
      scratch: copied.length ? [{ bytes }] : [],
      stages: [...copied.map((_, k) => copyStage(walk, walk.bound + k)), valuesStage(walk)],
    };
  },
};
