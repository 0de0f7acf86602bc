// Convolution with few output positions (small images, a kernel as large as its image), and its
// gradient to the input for 1×1 kernels: the weights are read where they are stored, and the few
// columns are gathered.

import { collapsedOf, gatherGradInput, cellsOf } from "@conv/compiler";
import { convGradInputOp, convOp, type ConvGeometry } from "@conv/ops";
import { sameShape, sizeOf, stridesOf } from "@conv/tensor";
import type { CpuKernel, Task } from "../../compile/code.ts";
import { fitted } from "../fitted.ts";
import { MOST_COLUMNS, thinCode, thinWork, type Columns, type Thin } from "./thin.ts";

/** Elements of a column per channel of the source at most: gathering is unrolled. */
const MOST_GATHERED = 256;

interface Product {
  readonly thin: Thin;
  readonly columns: Columns | null;
}

/** The task as a product with few columns, or the reason why it is not one. */
function productOf(task: Task<ConvGeometry>): Product | string {
  const g = collapsedOf(task);
  const forward = task.op === convOp;
  const many = g.n * sizeOf(forward ? g.output : g.input);
  if (many < 1 || many > MOST_COLUMNS) return `takes 1 to ${MOST_COLUMNS} positions, not ${many}`;
  return forward ? forwardProduct(task, g) : gradInputProduct(task, g);
}

/** y[oc, p] = Σ w[oc, (channel, tap)] · column p[(channel, tap)]. */
function forwardProduct(task: Task<ConvGeometry>, g: ConvGeometry): Product | string {
  const [icg, ocg] = [g.ic / g.groups, g.oc / g.groups];
  const [plane, outPlane, taps] = [sizeOf(g.input), sizeOf(g.output), sizeOf(g.kernel)];
  const depth = icg * taps;
  const positions = g.n * outPlane;
  if (positions * taps > MOST_GATHERED)
    return `gathers at most ${MOST_GATHERED} elements per channel, not ${positions * taps}`;
  const images = Array.from({ length: g.n }, (_, image) => image);
  const offsets = images.flatMap((image) =>
    windows(g).map((own) => own.map((o) => (o === null ? null : image * g.ic * plane + o))),
  );
  return {
    thin: {
      problems: g.groups,
      rows: ocg,
      depth,
      wide: { problem: ocg * depth, row: depth, k: 1 },
      thin: { problem: icg * plane, at: offsets.map(([first]) => first ?? 0), k: plane },
      y: {
        problem: ocg * outPlane,
        row: outPlane,
        at: images.flatMap((image) =>
          offsets.slice(0, outPlane).map((_, p) => image * g.oc * outPlane + p),
        ),
      },
      operand: { problem: ocg, row: 1, at: offsets.map(() => 0) },
      epilogue: task.epilogue,
    },
    columns:
      taps * plane === 1 && offsets.every(([o]) => o !== null)
        ? null
        : { problems: g.groups, channels: icg, problem: icg * plane, channel: plane, offsets },
  };
}

/** dx[ic, p] = Σ w[oc, ic] · dy[oc, p]. */
function gradInputProduct(task: Task<ConvGeometry>, g: ConvGeometry): Product | string {
  const rest = gatherGradInput(g);
  const { phases } = rest;
  if (sizeOf(g.kernel) !== 1 || phases.length !== 1 || !sameShape(rest.source, rest.output))
    return "takes 1×1 kernels alone in gradients to the input";
  const { from, to, output } = rest;
  const plane = sizeOf(output);
  const at = (channels: number) =>
    Array.from(
      { length: g.n * plane },
      (_, p) => Math.floor(p / plane) * channels * plane + (p % plane),
    );
  return {
    thin: {
      problems: g.groups,
      rows: to,
      depth: from,
      wide: { problem: from * to, row: 1, k: to },
      thin: { problem: from * plane, at: at(g.oc), k: plane },
      y: { problem: to * plane, row: plane, at: at(g.ic) },
      operand: { problem: to, row: 1, at: at(0).map(() => 0) },
      epilogue: task.epilogue,
    },
    columns: null,
  };
}

/** For each output position the offset of each tap in the source plane, null in the padding. */
function windows(g: ConvGeometry): (number | null)[][] {
  const strides = stridesOf(g.input);
  return cellsOf(g.output).map((o) =>
    cellsOf(g.kernel).map((k) => {
      const at = o.map((v, a) => v * g.stride[a] - g.padLo[a] + k[a] * g.dilation[a]);
      return at.every((v, a) => v >= 0 && v < g.input[a])
        ? at.reduce((sum, v, a) => sum + v * strides[a], 0)
        : null;
    }),
  );
}

export const thinConv: CpuKernel = fitted({
  name: "thinConv",
  fuses: ["channel", "element"],
  ops: [convOp, convGradInputOp],
  unsupportedReason(task) {
    const product = productOf(task);
    return typeof product === "string" ? product : null;
  },
  work(task) {
    const { thin, columns } = productOf(task) as Product;
    return thinWork(thin, columns);
  },
  build(task, caps) {
    const { thin, columns } = productOf(task) as Product;
    return thinCode(thin, caps, { wide: 1, thin: 0 }, columns);
  },
});
