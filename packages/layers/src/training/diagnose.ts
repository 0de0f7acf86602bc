// The origin of a value that is not finite: the graph of a step runs again with one flag for each
// of its values as its only output.

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

/** The first value that was not finite; each value comes after its operands. */
export interface Origin {
  /**
   * The path of the layer, or the name of the input tensor; `loss` and `update` for those parts of
   * a step, "" outside of all layers.
   */
  readonly layer: string;
  /** The op that made it, or `given` for an input. */
  readonly op: string;
  readonly phase: "forward" | "backward" | "update";
}

/** The place of a step in a training, from 1, and its loss. */
interface At {
  readonly epoch: number;
  readonly step: number;
  readonly loss: number;
}

/**
 * Training met a loss, a gradient or a value to write that is not finite. The trainer is as it was
 * before that step.
 */
export class DivergedError extends Error implements ConvError, At {
  override readonly name = "DivergedError";
  readonly op = "train";
  readonly code: string;
  readonly values: Facts;
  /** From 1. */
  readonly epoch: number;
  readonly step: number;
  /** The loss of the step; finite where only another value was not. */
  readonly loss: number;
  /** null where all values were finite when the step ran again. */
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

/** The float values of a step with their phases, inputs first, each after its operands. */
function watched({ traced: { inputs }, made }: Traced): { value: Value; phase: Origin["phase"] }[] {
  // The third input holds the numbers of the optimizer.
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

/** A graph with the inputs of a step, and one flag for each float value: 0 where it is finite. */
export const flagGraph = (step: Traced): Graph =>
  graphOf(step.traced.inputs, [
    concat(watched(step).map(({ value }) => reshape(notFinite([value]), [1]))),
  ]);

/** The first value with a flag other than 0; null where there is none. */
export function originOf(step: Traced, flags: Float32Array): Origin | null {
  const first = watched(step)[flags.findIndex((flag) => flag !== 0)];
  if (!first) return null;
  const { value, phase } = first;
  return value.node
    ? { layer: value.node.path, op: value.node.op.name, phase }
    : { layer: value.name ?? "", op: "given", phase };
}

/** The error for a value that was passed to a step, or that it would write. */
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
    ? "but all was finite when the step ran again"
    : op === "given"
      ? `${phase === "update" ? "the learning rate" : layer} was not finite before it`
      : `first in ${layer || "no layer"} (${op}, ${phase})`;
  const rule = message`${{ problem: kind.text }} at epoch ${{ epoch }}, step ${{ step }}, ${{ where }}; a lower learning rate than ${{ learningRate }} may help`;
  const values = { ...rule.values, loss, layer, op, phase };
  return new DivergedError(kind.code, { text: rule.text, values }, at, origin);
}
