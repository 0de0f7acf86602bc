// How costs grow: with what is traced anew (batch, resolution), and with the width of all layers,
// which follows from the graph.

import { convGradInputOp, convOp } from "@conv/ops";
import { isOp, dependents, sizeOf } from "@conv/tensor";
import { memoryOf } from "./memory.ts";
import { countNodes } from "./operations.ts";
import { madeOf, type Traced } from "./traced.ts";

/** Plain data; bytes as float32. */
export interface GrowthPoint {
  readonly factor: number;
  readonly parameters: number;
  /** Multiply-accumulates by torchvision's convention. */
  readonly macs: number;
  readonly activationBytes: number;
  readonly peakBytes: number;
}

/** Costs at each factor; `trace` makes the network of that batch, resolution or whatever grows. */
export function growthOf(
  trace: (factor: number) => Traced,
  factors: readonly number[] = [1, 2, 4],
): GrowthPoint[] {
  return factors.map((factor) => {
    const traced = trace(factor);
    const { activations, peak } = memoryOf(traced);
    return {
      factor,
      parameters: traced.entries.reduce(
        (sum, e) => sum + (e.kind === "parameter" ? sizeOf(e.spec.shape) : 0),
        0,
      ),
      macs: [...countNodes(traced).values()].reduce((sum, c) => sum + c.macs, 0),
      activationBytes: activations,
      peakBytes: peak.bytes,
    };
  });
}

/**
 * The power of the factor with which a cost grows from the last point but one to the last: 1 in
 * proportion, 2 by its square.
 */
export function growthPower(
  points: readonly GrowthPoint[],
  key: Exclude<keyof GrowthPoint, "factor">,
): number {
  const [a, b] = points.slice(-2);
  return Math.log(b[key] / a[key]) / Math.log(b.factor / a.factor);
}

/** Coefficients of 1, f and f² at width f. */
export type Polynomial = readonly [constant: number, linear: number, quadratic: number];

export const evaluatePolynomial = ([c, b, a]: Polynomial, f: number): number => c + f * (b + f * a);

/**
 * Multiply-accumulates and weights of the products at width f, every layer having f times as many
 * channels but the input and the last layer's outputs. Groups of one channel stay so; other groups
 * stay as many.
 */
export function widthGrowth(traced: Traced): {
  readonly macs: Polynomial;
  readonly weights: Polynomial;
} {
  const { graph, x, entries } = traced;
  const activations = dependents(graph, [x]);
  const made = madeOf(traced, activations);
  const products = [...countNodes(traced)].filter(
    ([n, c]) => c.macs > 0 && activations.has(n.outputs[0]),
  );
  const wide = dependents(
    graph,
    products.flatMap(([n]) => n.outputs),
  );
  const last = products.at(-1)?.[0];
  const macs: [number, number, number] = [0, 0, 0];
  const weights: [number, number, number] = [0, 0, 0];
  for (const [n, counts] of products) {
    const depthwise =
      isOp(n, convOp, convGradInputOp) &&
      n.params.groups > 1 &&
      n.params.groups === Math.min(n.params.ic, n.params.oc);
    const power = Number(n !== last) + Number(!depthwise && n.inputs.some((v) => wide.has(v)));
    macs[power] += counts.macs;
    const own = new Set(
      n.inputs.flatMap((v) => (activations.has(v) ? [] : [...(made.get(v) ?? [])])),
    );
    for (const i of own) weights[power] += sizeOf(entries[i].spec.shape);
  }
  return { macs, weights };
}
