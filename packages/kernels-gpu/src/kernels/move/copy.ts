// Copies one strided box into another, of any type and bit by bit: what transpose, broadcastTo,
// slice and concat need.
//   both sides contiguous along the inner axis, or a source      vectors of four
//   that is constant along it
// a source contiguous along another axis, both axes long, square tiles, transposed in workgroup
// on a GPU memory: both sides are accessed by rows
//   all others                                                   element by element

import { mergeAxes, type Axis, type Box } from "@conv/compiler";
import { sizeOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import { outputAt, type GpuStage, type Place, type Task } from "../../compile/code.ts";
import { coordinates, indent, mainOf, offsetOf } from "../../wgsl/wgsl.ts";
import { GUESSES } from "../costs.ts";
import { finishOf, overItems } from "../elementwise/each.ts";

/** Side of a tile, and rows of a tile that a workgroup moves at a time. */
const TILE = 32;
const ROWS = 8;

/** Indices of the strides in the merged axes. */
const [INTO, FROM] = [0, 1];

/** The stage that copies the box from a place into the task's output; null if it is empty. */
export function copyStage(
  task: Task,
  label: string,
  box: Box,
  source: Place,
  caps: Caps,
): GpuStage | null {
  if (sizeOf(box.shape) === 0) return null;
  const axes = mergeAxes(box.shape, [box.into.strides, box.from.strides]);
  const turn = axes.findIndex((a, i) => a.strides[FROM] === 1 && i < axes.length - 1);
  const inner = axes.at(-1)!;
  const turns =
    !caps.software &&
    turn >= 0 &&
    inner.strides[INTO] === 1 &&
    Math.min(inner.size, axes[turn].size) >= TILE / 2 &&
    sizeOf(box.shape) >= GUESSES.cachedBox;
  return turns
    ? tiles(task, label, box, source, axes, turn)
    : elements(task, label, box, source, axes);
}

const names = (axes: readonly Axis[]): string[] => axes.map((_, a) => `c${a}`);

/** An offset into one side: the base of the box and Σ coordinates·strides. */
function offset(axes: readonly Axis[], side: number, base = 0): string {
  const sum = offsetOf(
    names(axes),
    axes.map((a) => a.strides[side]),
  );
  return base ? `${sum} + ${base}u` : sum;
}

function elements(
  task: Task,
  label: string,
  { from, into }: Box,
  source: Place,
  axes: readonly Axis[],
): GpuStage {
  const inner = axes.at(-1)!;
  const still = inner.strides[FROM] === 0;
  const fours =
    task.epilogue === null &&
    inner.size % 4 === 0 &&
    inner.strides[INTO] === 1 &&
    (still || inner.strides[FROM] === 1) &&
    [into.base ?? 0, ...(still ? [] : [from.base ?? 0])].every((b) => b % 4 === 0) &&
    axes
      .slice(0, -1)
      .every(({ strides }) => strides[INTO] % 4 === 0 && (still || strides[FROM] % 4 === 0));
  const width = fours ? 4 : 1;
  // Strides in vectors are a quarter, but for a source that is constant along the inner axis.
  const quartered = (side: number) =>
    axes.map((a, i) => ({
      ...a,
      strides: a.strides.map((s) =>
        i === axes.length - 1 || (side === FROM && still) ? s : s / width,
      ),
    }));
  const sizes = axes.map(({ size }, i) => (i === axes.length - 1 ? size / width : size));
  const finish = finishOf(task);
  const readAt = offset(quartered(FROM), FROM, fours && !still ? (from.base ?? 0) / 4 : from.base);
  const writeAt = offset(quartered(INTO), INTO, fours ? (into.base ?? 0) / 4 : into.base);
  const store = fours
    ? `y[${writeAt}] = vec4<Y>(${still ? `Y(x[${readAt}])` : `x[${readAt}]`});`
    : finish.store(loaded(task, `x[${readAt}]`), writeAt);
  return {
    label,
    reads: [{ name: "x", place: source, width: fours && !still ? 4 : 1 }, ...finish.reads],
    writes: [{ name: "y", place: outputAt(0), width }],
    ...overItems(sizeOf(sizes), `${coordinates("index", sizes, names(axes))}\n${store}`, [
      finish.functions,
    ]),
  };
}

/** An element as the epilogue reads it: f32, or int32 as it is. */
const loaded = (task: Task, element: string): string =>
  task.outputs[0].dtype === "int32" ? element : `f32(${element})`;

/**
 * Tiles of 32×32 elements, each by a workgroup of 32×8: read along axis `turn`, written along the
 * inner axis. One column more keeps columns in different banks of memory.
 */
function tiles(
  task: Task,
  label: string,
  { from, into }: Box,
  source: Place,
  axes: readonly Axis[],
  turn: number,
): GpuStage {
  const last = axes.length - 1;
  const counts = axes.map(({ size }, a) =>
    a === turn || a === last ? Math.ceil(size / TILE) : size,
  );
  const groups = sizeOf(counts);
  const finish = finishOf(task);
  const blocks = axes.map((_, a) => (a === turn || a === last ? `b${a}` : `c${a}`));
  const place = (across: number, along: number, row: string) =>
    [
      `let c${across} = b${across} * ${TILE}u + column;`,
      `let c${along} = b${along} * ${TILE}u + ${row};`,
    ].join("\n");
  const within = [turn, last]
    .flatMap((a) => (axes[a].size % TILE ? [`c${a} < ${axes[a].size}u`] : []))
    .join(" && ");
  const guarded = (text: string) => (within ? `if (${within}) {\n${indent(text)}\n}` : text);
  const loop = (text: string) =>
    `for (var row = lane / ${TILE}u; row < ${TILE}u; row += ${ROWS}u) {\n${indent(text)}\n}`;
  const type = task.outputs[0].dtype === "int32" ? "i32" : "f32";
  const body = [
    coordinates("group", counts, blocks),
    `let column = lane % ${TILE}u;`,
    loop(
      `${place(turn, last, "row")}\n${guarded(`tile[row * ${TILE + 1}u + column] = ${loaded(task, `x[${offset(axes, FROM, from.base)}]`)};`)}`,
    ),
    "workgroupBarrier();",
    loop(
      `${place(last, turn, "row")}\n${guarded(finish.store(`tile[column * ${TILE + 1}u + row]`, offset(axes, INTO, into.base)))}`,
    ),
  ].join("\n");
  return {
    label: `${label}, in tiles`,
    reads: [{ name: "x", place: source }, ...finish.reads],
    writes: [{ name: "y", place: outputAt(0) }],
    code: [
      finish.functions,
      `var<workgroup> tile: array<${type}, ${TILE * (TILE + 1)}>;`,
      mainOf(groups, TILE * ROWS, body),
    ]
      .filter(Boolean)
      .join("\n\n"),
    groups,
  };
}
