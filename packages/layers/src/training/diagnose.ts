// Finds the origin of a value that is not finite: the graph of a step runs again, and its only
// output is one flag for each of its values.

import { concat, reshape } from "@conv/ops";
import {
  complaint,
  graphOf,
  message,
  type ConvError,
  type Facts,
  type Graph,
  type Message,
  type Value,
} from "@conv/tensor";
import { notFinite } from "./guard.ts";
import type { TrainingGraph } from "./step.ts";

/** The first value that was not finite, in topological order. */
export interface Origin {
  /**
   * The path of the layer, or the name of the input tensor; `loss` or `update` for these parts of a
   * step, "" outside of all layers.
   */
  readonly layer: string;
  /** The op that computed it, or `given` for an input. */
  readonly op: string;
  readonly phase: "forward" | "backward" | "update";
}

/** Epoch and step, counted from 1, and the loss of the step. */
interface At {
  readonly epoch: number;
  readonly step: number;
  readonly loss: number;
}

/**
 * The error for a loss, a gradient or a new value of a tensor that is not finite. The trainer is in
 * the state before that step.
 */
export class DivergedError extends Error implements ConvError, At {
  override readonly name = "DivergedError";
  readonly op = "train";
  readonly code: string;
  readonly values: Facts;
  /** From 1. */
  readonly epoch: number;
  readonly step: number;
  /** The loss of the step. It is finite if another value was not. */
  readonly loss: number;
  /** null if all values were finite when the step was repeated. */
  readonly origin: Origin | null;

  constructor(code: string, rule: Message, { epoch, step, loss }: At, origin: Origin | null) {
    super(complaint("train", rule.text));
    this.code = code;
    this.values = rule.values;
    this.epoch = epoch;
    this.step = step;
    this.loss = loss;
    this.origin = origin;
  }
}

type Traced = Pick<TrainingGraph, "traced" | "made">;

/** The float32 values of a step with their phases, inputs first, in topological order. */
function watched({ traced: { inputs }, made }: Traced): { value: Value; phase: Origin["phase"] }[] {
  // The third input is `hyper`, the numbers of the optimizer.
  const phases = new Map<Value, Origin["phase"]>(
    inputs.map((v, i) => [v, i === 2 ? "update" : "forward"]),
  );
  for (const phase of ["forward", "backward", "update"] as const)
    for (const value of graphOf(inputs, made[phase]).nodes.flatMap((n) => n.outputs))
      if (!phases.has(value)) phases.set(value, phase);
  return [...phases].flatMap(([value, phase]) =>
    value.dtype === "float32" ? { value, phase } : [],
  );
}

/**
 * A graph with the inputs of a step that returns one number for each float32 value: 0 if it is
 * finite.
 */
export const flagGraph = (step: Traced): Graph =>
  graphOf(step.traced.inputs, [
    concat(watched(step).map(({ value }) => reshape(notFinite([value]), [1]))),
  ]);

/** The first value with a flag other than 0; null if there is none. */
export function originOf(step: Traced, flags: Float32Array): Origin | null {
  const first = watched(step)[flags.findIndex((flag) => flag !== 0)];
  if (!first) return null;
  const { value, phase } = first;
  return value.node
    ? { layer: value.node.path, op: value.node.op.name, phase }
    : { layer: value.name ?? "", op: "given", phase };
}

/** The error for an input of a step, or for a value that it would write. */
export const givenNotFinite = (
  code: string,
  rule: Message,
  at: Omit<At, "loss">,
  layer: string,
  phase: Origin["phase"],
): DivergedError =>
  new DivergedError(code, rule, { ...at, loss: NaN }, { layer, op: "given", phase });

const KINDS = {
  forward: { code: "value-not-finite", text: "a value is not finite" },
  backward: { code: "gradient-not-finite", text: "a gradient is not finite" },
  update: { code: "update-not-finite", text: "the update is not finite" },
};

/** The error for a step that was not finite. */
export function diverged(
  at: At & { readonly learningRate: number },
  origin: Origin | null,
): DivergedError {
  const { epoch, step, loss, learningRate } = at;
  const kind = Number.isFinite(loss)
    ? KINDS[origin?.phase ?? "backward"]
    : { code: "loss-not-finite", text: `the loss is ${loss}` };
  const { layer = "", op = "", phase = "" } = origin ?? {};
  const where = !origin
    ? "but all values were finite when the step was repeated"
    : op === "given"
      ? `${phase === "update" ? "the learning rate" : layer} was not finite before the step`
      : `first in ${layer || "no layer"} (${op}, ${phase})`;
  const rule = message`${{ problem: kind.text }} at epoch ${{ epoch }}, step ${{ step }}, ${{ where }}; a lower learning rate than ${{ learningRate }} may help`;
  const values = { ...rule.values, loss, layer, op, phase };
  return new DivergedError(kind.code, { text: rule.text, values }, at, origin);
}
