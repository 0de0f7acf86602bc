// The cost of each layer as a formula: in symbols, with its numbers, and worked out. N samples, C
// channels in, K out, g groups; D, H, W the sizes of the output (of the input, where a convolution
// is transposed), kd, kh, kw of the kernel; m, k, n the sizes of a matrix product.

import { convGradInputOp, convOp, isElementwise, matmulGeometry, matmulOp } from "@conv/ops";
import { isOp, dependents, costOf, sizeOf, type Node, type Value } from "@conv/tensor";
import { addsParameters } from "./operations.ts";
import { type Traced } from "./traced.ts";

/** `K·(C/g)·kh·kw` with `64·(64/1)·3·3`, which is 36,864. */
export interface Term {
  readonly symbols: string;
  readonly numbers: string;
  readonly value: number;
}

/**
 * What a layer's parameters, multiply-accumulates (torchvision's convention) and outputs are made
 * of. Plain data.
 */
export interface LayerFormula {
  readonly path: string;
  readonly op: string;
  /** What the symbols stand for. */
  readonly symbols: Readonly<Record<string, number>>;
  readonly parameters: Term;
  readonly macs: Term;
  readonly elements: Term;
}

/** A factor: a symbol, or the quotient of two. */
type Factor = string | readonly [string, string];

/** Names of spatial axes, by rank, the last of three. */
const axes = (rank: number): string[] =>
  rank <= 3 ? ["D", "H", "W"].slice(3 - rank) : Array.from({ length: rank }, (_, a) => `S${a + 1}`);

function term(
  symbols: Readonly<Record<string, number>>,
  sums: readonly (readonly Factor[])[],
): Term {
  const number = (f: string) => `${symbols[f]}`;
  const write = (of: (f: string) => string) =>
    sums
      .map((factors) =>
        factors.map((f) => (typeof f === "string" ? of(f) : `(${of(f[0])}/${of(f[1])})`)).join("·"),
      )
      .join(" + ");
  const value = sums.reduce(
    (sum, factors) =>
      sum +
      factors.reduce(
        (product, f) =>
          product * (typeof f === "string" ? symbols[f] : symbols[f[0]] / symbols[f[1]]),
        1,
      ),
    0,
  );
  return { symbols: write((f) => f), numbers: write(number), value };
}

/**
 * A formula for each convolution and each matrix product with parameters, in the order in which
 * they compute.
 */
export function formulasOf(traced: Traced): LayerFormula[] {
  const { graph, x, entries, values } = traced;
  const activations = dependents(graph, [x]);
  const learned = dependents(
    graph,
    values.filter((_, i) => entries[i].kind === "parameter"),
  );
  const biased = new Set<Value>();
  for (const n of graph.nodes)
    if (
      isElementwise(n) &&
      addsParameters(n, activations) &&
      n.inputs.some((v) => !activations.has(v) && learned.has(v))
    )
      for (const v of n.inputs) if (v.node?.path === n.path) biased.add(v);
  return graph.nodes.flatMap((n) => {
    const weight = n.inputs.find((v) => !activations.has(v) && learned.has(v));
    if (!activations.has(n.outputs[0]) || !weight || costOf(n).macs === 0) return [];
    return formulaOf(n, weight, biased.has(n.outputs[0])) ?? [];
  });
}

function formulaOf(n: Node, weight: Value, bias: boolean): LayerFormula | null {
  const of = (
    symbols: Readonly<Record<string, number>>,
    parameters: readonly Factor[],
    out: string,
    places: readonly Factor[],
    elements: readonly Factor[],
  ) => ({
    path: n.path,
    op: n.op.name,
    symbols,
    parameters: term(symbols, bias ? [parameters, [out]] : [parameters]),
    macs: term(symbols, [[...places, ...parameters]]),
    elements: term(symbols, [elements]),
  });
  if (isOp(n, convOp, convGradInputOp)) {
    const g = n.params;
    const [sizes, transposed] = [axes(g.kernel.length), n.op === convGradInputOp];
    const kernel = sizes.map((axis) => `k${axis.toLowerCase()}`);
    // A transposed convolution is the gradient of one that goes the other way: its places are those
    // of its input.
    const [into, out] = transposed ? [g.oc, g.ic] : [g.ic, g.oc];
    const symbols = {
      N: g.n,
      C: into,
      K: out,
      g: g.groups,
      ...Object.fromEntries(sizes.map((s, a) => [s, g.output[a]])),
      ...Object.fromEntries(kernel.map((s, a) => [s, g.kernel[a]])),
    };
    const parameters: Factor[] = transposed
      ? ["C", ["K", "g"], ...kernel]
      : ["K", ["C", "g"], ...kernel];
    if (!transposed) return of(symbols, parameters, "K", ["N", ...sizes], ["N", "K", ...sizes]);
    const made = sizes.map((s) => `${s}′`);
    return of(
      { ...symbols, ...Object.fromEntries(made.map((s, a) => [s, g.input[a]])) },
      parameters,
      "K",
      ["N", ...sizes],
      ["N", "K", ...made],
    );
  }
  if (isOp(n, matmulOp)) {
    const {
      batch,
      m,
      k,
      n: columns,
    } = matmulGeometry(n.inputs[0].spec, n.inputs[1].spec, n.params);
    const rows =
      weight === n.inputs[1]
        ? { N: sizeOf(batch) * m, C: k, K: columns }
        : { N: sizeOf(batch) * columns, C: k, K: m };
    return of(rows, ["K", "C"], "K", ["N"], ["N", "K"]);
  }
  return null;
}
