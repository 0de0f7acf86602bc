// Convolution, its gradients and matrix products by tiles in workgroup memory (tiledShader.ts).
// No operand is laid out as a matrix: each slice of x is gathered on its way into workgroup memory.
// The input gradient with stride s is one product for each remainder by s, so that no work is done
// on zeros. The weight gradient has long sums and few outputs, so that its sums are split.

import { sizeOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import {
  inputAt,
  outputAt,
  scratchAt,
  type GpuCode,
  type GpuKernel,
  type GpuStage,
  type Task,
} from "../../compile/code.ts";
import { emitEpilogue } from "../../wgsl/wgsl.ts";
import { registersShader } from "../direct/registersShader.ts";
import { chosenFor } from "../direct/tiles.ts";
import { addPartsStage } from "./parts.ts";
import {
  CONV,
  GRAD_WEIGHT,
  MATMUL,
  productsOf,
  tapsOf,
  type Family,
  type Product,
} from "./product.ts";
import type { Tile } from "./tile.ts";
import { tiledShader, widthsOf } from "./tiledShader.ts";
import { tileFor, type Multiplying } from "./tiles.ts";

/** Predicted seconds of a task made of products. */
export const tiledSeconds = (task: Task, caps: Caps, how?: Multiplying): number =>
  productsOf(task)!.products.reduce(
    (total, p, _, all) =>
      total + (tapsOf(p) ? tileFor(p, all.length === 1, caps, how).seconds : caps.launch),
    0,
  );

export interface TiledOptions {
  /** The tile of every product; unless given, the fastest of each. */
  readonly tile?: Tile | undefined;
  readonly how?: Multiplying | undefined;
}

/** The stages of a task made of products. */
export function tiledCode(
  label: string,
  task: Task,
  caps: Caps,
  { tile, how }: TiledOptions = {},
): GpuCode {
  const { products } = productsOf(task)!;
  const codes = products.map((p) => {
    if (!tapsOf(p)) return emptySum(label, task, p, caps);
    const own = tile ?? tileFor(p, products.length === 1, caps, how).tile;
    return own.splits === 1 ? wholeSum(label, task, p, own) : splitSum(label, task, p, own);
  });
  // A task of several products splits no sum, so that there is one scratch buffer at most.
  return {
    scratch: codes.flatMap(({ scratch }) => scratch),
    stages: codes.flatMap(({ stages }) => stages),
  };
}

const operandsOf = (task: Task) => {
  const { a, x } = productsOf(task)!;
  return [
    { name: "a", place: inputAt(a) },
    { name: "x", place: inputAt(x) },
  ];
};
const output = { name: "y", place: outputAt(0) };

/** Outputs that have no taps: 0, finished by the epilogue. */
function emptySum(label: string, task: Task, p: Product, caps: Caps): GpuCode {
  const epilogue = emitEpilogue(task.epilogue, 2);
  const stage: GpuStage = {
    label,
    reads: [...operandsOf(task), ...epilogue.reads],
    writes: [output],
    ...registersShader(p, chosenFor(p, caps).tile, epilogue),
  };
  return { scratch: [], stages: [stage] };
}

/** How a tile binds the operands: matrices are stored element by element. */
function boundFor(task: Task, p: Product, tile: Tile) {
  const width = widthsOf(p);
  const reads = operandsOf(task).map((b, i) => ({ ...b, width: i ? width.x : width.a }));
  return { reads, width: tile.matrices ? 1 : width.y };
}

function wholeSum(label: string, task: Task, p: Product, tile: Tile): GpuCode {
  const epilogue = emitEpilogue(task.epilogue, 2);
  const { reads, width } = boundFor(task, p, tile);
  const stage: GpuStage = {
    label,
    reads: [...reads, ...epilogue.reads],
    writes: [{ ...output, width }],
    ...tiledShader(p, tile, epilogue, sizeOf(task.outputs[0].shape)),
  };
  return { scratch: [], stages: [stage] };
}

function splitSum(label: string, task: Task, p: Product, tile: Tile): GpuCode {
  const [{ shape }] = task.outputs;
  const size = sizeOf(shape);
  const { reads, width } = boundFor(task, p, tile);
  const multiply: GpuStage = {
    label: `${label}, in ${tile.splits} parts`,
    reads,
    writes: [{ name: "y", place: scratchAt(0), width }],
    ...tiledShader(p, tile, emitEpilogue(null, 2), size),
  };
  const add = addPartsStage(`${label}, parts added`, task, {
    splits: tile.splits,
    size,
    plane: sizeOf(shape.slice(2)),
    channels: shape[1] ?? 1,
    columns: shape.at(-1) ?? 1,
  });
  return { scratch: [{ bytes: 4 * size * tile.splits }], stages: [multiply, add] };
}

/** A family of products by tiles in workgroup memory. */
const tiledKernel = (name: string, family: Family): GpuKernel => ({
  name,
  ...family,
  estimate: (task, caps) => tiledSeconds(task, caps),
  build: (task, caps) => tiledCode(name, task, caps),
});

export const igemm: GpuKernel = /* @__PURE__ */ tiledKernel("igemm", CONV);
export const gradWeight: GpuKernel = /* @__PURE__ */ tiledKernel("gradWeight", GRAD_WEIGHT);
export const matmul: GpuKernel = /* @__PURE__ */ tiledKernel("matmul", MATMUL);
