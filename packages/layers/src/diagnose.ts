// Where a step went wrong: which layer first made a value that is not finite. A step's graph is run once more with one flag for
// each of its values as only output.

import { concat, reshape, sub, sum } from "@conv/ops";
import { graphOf, type Graph, type Value } from "@conv/tensor";

/** The first value that was not finite, in an order in which each comes after what it is made of. */
export interface Origin {
  /** Path of the layer, or of the tensor that came in so; `loss` and `update` where they are to blame, "" outside any layer. */
  readonly layer: string;
  /** The op that made it, or `given`. */
  readonly op: string;
  readonly phase: "forward" | "backward" | "update";
}

/** Thrown by training when the loss or a gradient is not finite. The trainer is as it was before that step. */
export class DivergedError extends Error {
  override readonly name = "DivergedError";
  /** From 1. */
  readonly epoch: number;
  readonly step: number;
  /** The loss of the step, finite where only a gradient was not. */
  readonly loss: number;
  /** null where the step, run again, was finite. */
  readonly origin: Origin | null;

  constructor(message: string, { epoch, step, loss, origin }: { epoch: number; step: number; loss: number; origin: Origin | null }) {
    super(message);
    this.epoch = epoch;
    this.step = step;
    this.loss = loss;
    this.origin = origin;
  }
}

/** The float values of a step's graph, inputs first, that `flags` looks at. Those of the guard itself are left out. */
function watched({ inputs, nodes }: Graph): Value[] {
  const made = nodes.filter((n) => !/^guard\b/.test(n.path)).flatMap((n) => n.outputs);
  return [...inputs, ...made].filter((v) => v.dtype === "float32");
}

/** A graph with the same inputs, and one number for each value: 0 where it is finite everywhere, else NaN. */
export const flagGraph = (traced: Graph): Graph => graphOf(traced.inputs, [concat(watched(traced).map((v) => reshape(sum(sub(v, v)), [1])))]);

/** The first value whose flag is not 0; null where all are. */
export function originOf(traced: Graph, flags: Float32Array): Origin | null {
  const value = watched(traced)[flags.findIndex((flag) => flag !== 0)];
  if (!value) return null;
  const forward = new Set(graphOf(traced.inputs, traced.outputs.slice(0, 2)).nodes);
  const { node } = value;
  if (!node) return { layer: value.name ?? "", op: "given", phase: "forward" };
  const phase = forward.has(node) ? "forward" : /^update\b/.test(node.path) ? "update" : "backward";
  return { layer: node.path, op: node.op.name, phase };
}

/** The error for a step, in words. */
export function diverged(at: { epoch: number; step: number; loss: number; learningRate: number }, origin: Origin | null): DivergedError {
  const { epoch, step, loss, learningRate } = at;
  const what = Number.isFinite(loss) ? "a gradient is not finite" : `the loss is ${loss}`;
  const where = !origin
    ? "run again it was finite"
    : origin.op === "given"
      ? `${origin.layer} was not finite before it`
      : `first in ${origin.layer || "no layer"} (${origin.op}, ${origin.phase})`;
  return new DivergedError(`train: ${what} at epoch ${epoch}, step ${step}, ${where}; a lower learning rate than ${learningRate} may help`, {
    ...at,
    origin,
  });
}
