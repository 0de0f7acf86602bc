// Where a step went wrong: which layer first made a value that is not finite. A step's graph is run
// once more with one flag for each of its values as only output.

import { concat, reshape } from "@conv/ops";
import { graphOf, printable, type Graph, type Value } from "@conv/tensor";
import { notFinite, type TrainingGraph } from "./step.ts";

/**
 * The first value that was not finite, in an order in which each comes after what it is made of.
 */
export interface Origin {
  /**
   * Path of the layer, or of the tensor that came in so; `loss` and `update` where they are to
   * blame, "" outside any layer.
   */
  readonly layer: string;
  /** The op that made it, or `given`. */
  readonly op: string;
  readonly phase: "forward" | "backward" | "update";
}

/**
 * Thrown by training when the loss, a gradient or anything that a step would write is not finite.
 * The trainer is as it was before that step.
 */
export class DivergedError extends Error {
  override readonly name = "DivergedError";
  /** From 1. */
  readonly epoch: number;
  readonly step: number;
  /** The loss of the step, finite where only something else was not. */
  readonly loss: number;
  /** null where the step, run again, was finite. */
  readonly origin: Origin | null;

  constructor(
    message: string,
    {
      epoch,
      step,
      loss,
      origin,
    }: { epoch: number; step: number; loss: number; origin: Origin | null },
  ) {
    super(printable(message, 2000));
    this.epoch = epoch;
    this.step = step;
    this.loss = loss;
    this.origin = origin;
  }
}

/**
 * The float values that a step makes, inputs first, each once and after what it is made of, with
 * the phase that makes it.
 */
function watched({
  traced: { inputs },
  made,
}: Pick<TrainingGraph, "traced" | "made">): { value: Value; phase: Origin["phase"] }[] {
  const phases = new Map<Value, Origin["phase"]>(
    inputs.map((v, i) => [v, i === 2 ? "update" : "forward"]),
  ); // the third are the optimizer's numbers
  for (const phase of ["forward", "backward", "update"] as const)
    for (const value of graphOf(inputs, made[phase]).nodes.flatMap((n) => n.outputs))
      if (!phases.has(value)) phases.set(value, phase);
  return [...phases].flatMap(([value, phase]) =>
    value.dtype === "float32" ? { value, phase } : [],
  );
}

/**
 * A graph with the same inputs, and one number for each value that a step makes: 0 where it is
 * finite everywhere, else another.
 */
export const flagGraph = (step: Pick<TrainingGraph, "traced" | "made">): Graph =>
  graphOf(step.traced.inputs, [
    concat(watched(step).map(({ value }) => reshape(notFinite([value]), [1]))),
  ]);

/** The first value whose flag is not 0; null where all are. */
export function originOf(
  step: Pick<TrainingGraph, "traced" | "made">,
  flags: Float32Array,
): Origin | null {
  const first = watched(step)[flags.findIndex((flag) => flag !== 0)];
  if (!first) return null;
  const { value, phase } = first;
  return value.node
    ? { layer: value.node.path, op: value.node.op.name, phase }
    : { layer: value.name ?? "", op: "given", phase };
}

/** The error for what was given to a step, or would be its update. */
export const notFiniteIn = (
  what: string,
  { epoch, step }: { epoch: number; step: number },
  layer: string,
  phase: Origin["phase"],
): DivergedError =>
  new DivergedError(`train: ${what}`, {
    epoch,
    step,
    loss: NaN,
    origin: { layer, op: "given", phase },
  });

/** The error for a step, in words. */
export function diverged(
  at: { epoch: number; step: number; loss: number; learningRate: number },
  origin: Origin | null,
): DivergedError {
  const { epoch, step, loss, learningRate } = at;
  const whats = {
    forward: "a value is",
    backward: "a gradient is",
    update: "what it would write is",
  };
  const what = Number.isFinite(loss)
    ? `${whats[origin?.phase ?? "backward"]} not finite`
    : `the loss is ${loss}`;
  const where = !origin
    ? "run again it was finite"
    : origin.op === "given"
      ? `${origin.phase === "update" ? "the learning rate" : origin.layer} was not finite before it`
      : `first in ${origin.layer || "no layer"} (${origin.op}, ${origin.phase})`;
  return new DivergedError(
    `train: ${what} at epoch ${epoch}, step ${step}, ${where}; a lower learning rate than ${learningRate} may help`,
    {
      ...at,
      origin,
    },
  );
}
