// What estimates are fitted to: the layers of the lists in all three directions, and matrix
// products of linear layers.

import {
  convGradInputOp,
  convGradWeightOp,
  convGeometry,
  convOp,
  matmul,
  type ConvGeometry,
} from "@conv/ops";
import { node, sizeOf, spec, trace, type Graph, type Op } from "@conv/tensor";
import {
  directions,
  layerCases,
  macsOf,
  shapesOf,
  type Direction,
  type SetName,
} from "../layers.ts";
import { operand, random } from "../random.ts";
import { reference, type Reference } from "../verify.ts";

export type Kind = Direction | "matmul";
export const fitKinds: readonly Kind[] = [...directions, "matmul"];

export interface FitCase {
  readonly kind: Kind;
  readonly name: string;
  readonly graph: Graph;
  /** Made anew at each call: all together would fill the memory. */
  operands(): Float32Array[];
  expected(operands: readonly Float32Array[]): Reference;
}

/** Multiply-adds of a case at most: larger ones take seconds and tell nothing new. */
const MOST_MACS = 2e9;
/** Products that the reference of a case may cost. */
const JUDGED = 2 ** 21;

/**
 * All cases of the kinds, in an order that is mixed and always the same; those of ResNet-50 and
 * MobileNet come early.
 */
export function fitCases(set: SetName, kinds: readonly Kind[]): FitCase[] {
  const early = new Set(layerCases("resnet").map((c) => c.name));
  const lists = kinds.map((kind) => {
    const cases = kind === "matmul" ? products() : layersOf(set, kind);
    const next = random(1);
    const keyed = cases.map((c) => ({ c, at: next() / (early.has(c.name) ? 8 : 1) }));
    return keyed.toSorted((p, q) => p.at - q.at).map(({ c }) => c);
  });
  const longest = Math.max(...lists.map((list) => list.length));
  return Array.from({ length: longest }, (_, i) =>
    lists.flatMap((list) => list.slice(i, i + 1)),
  ).flat();
}

const ops: Record<Direction, Op<ConvGeometry>> = {
  forward: convOp,
  gradInput: convGradInputOp,
  gradWeight: convGradWeightOp,
};
const operandsOf = (shapes: readonly (readonly number[])[]) => () =>
  shapes.map((shape, i) => operand(i + 1, sizeOf(shape)));

function layersOf(set: SetName, kind: Direction): FitCase[] {
  return layerCases(set)
    .filter(({ geometry }) => macsOf(geometry) <= MOST_MACS)
    .map(({ name, geometry }) => {
      const { operands } = shapesOf(kind, geometry);
      return {
        kind,
        name,
        graph: trace(
          (a, b) => node(ops[kind], geometry, [a, b])[0],
          operands.map((shape) => spec(shape)),
        ),
        operands: operandsOf(operands),
        expected: ([a, b]) => reference(kind, geometry, a, b, JUDGED),
      };
    });
}

/** Inputs and outputs of linear layers: LeNet-5, AlexNet, ResNets, MobileNet, transformers. */
const LINEAR = [
  [400, 120],
  [120, 84],
  [84, 10],
  [784, 500],
  [512, 1000],
  [1024, 1000],
  [2048, 1000],
  [4096, 4096],
  [512, 512],
  [768, 3072],
  [3072, 768],
  [64, 64],
] as const;

/** y = x·wᵀ, dx = dy·w and dw = dyᵀ·x. */
function products(): FitCase[] {
  return [1, 2, 4, 8, 12, 16, 32, 64, 128, 256].flatMap((n) =>
    LINEAR.flatMap(([from, to]) => [
      product(`x·wᵀ ${n}×${from}·${to}`, { m: n, k: from, n: to, transposeB: true }),
      product(`dy·w ${n}×${to}·${from}`, { m: n, k: to, n: from }),
      product(`dyᵀ·x ${to}×${n}·${from}`, { m: to, k: n, n: from, transposeA: true }),
    ]),
  );
}

interface Product {
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

function product(
  name: string,
  { m, k, n, transposeA = false, transposeB = false }: Product,
): FitCase {
  const shapes = [transposeA ? [k, m] : [m, k], transposeB ? [n, k] : [k, n]];
  // The judge knows convolutions: the columns of b are positions, the rows of a are output
  // channels.
  const geometry = convGeometry(spec([1, k, n]), spec([m, k, 1]));
  return {
    kind: "matmul",
    name,
    graph: trace(
      (a, b) => matmul(a, b, { transposeA, transposeB }),
      shapes.map((shape) => spec(shape)),
    ),
    operands: operandsOf(shapes),
    expected: ([a, b]) =>
      reference(
        "forward",
        geometry,
        transposeB ? transposed(b, n, k) : b,
        transposeA ? transposed(a, k, m) : a,
        JUDGED,
      ),
  };
}

const transposed = (data: Float32Array, rows: number, columns: number): Float32Array =>
  data.map((_, i) => data[(i % rows) * columns + Math.floor(i / rows)]);
