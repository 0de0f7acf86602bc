// Optimisers: functions of values that build the update inside the training graph, by PyTorch's rules. What changes from
// step to step (learning rate, bias corrections) enters as a small input, so that schedules never recompile.

import { map, type Expr } from "@conv/ops";
import { shapeError, type Value } from "@conv/tensor";

/** A learning rate, or one per step; `step` counts the updates made before, from 0. */
export type LearningRate = number | ((step: number) => number);

/** A rule of update. All tensors in `update` have the parameter's shape, except the scalars of `hyper`. */
export interface Optimizer {
  readonly name: string;
  /** Names of the tensors kept for each parameter; zero at first. */
  readonly slots: readonly string[];
  /** How many numbers `hyper` gives. */
  readonly hypers: number;
  learningRate(step: number): number;
  /** The numbers of the update that follows `step` others. */
  hyper(step: number): readonly number[];
  update(param: Value, gradient: Value, slots: readonly Value[], hyper: readonly Value[]): { param: Value; slots: readonly Value[] };
}

export interface SgdOptions {
  readonly lr: LearningRate;
  readonly momentum?: number;
  readonly weightDecay?: number;
  readonly nesterov?: boolean;
}

function rate(op: string, lr: LearningRate): (step: number) => number {
  return (step) => {
    const value = typeof lr === "number" ? lr : lr(step);
    if (!(value >= 0 && Number.isFinite(value))) throw shapeError(op, `learning rate ${value} is not a finite number ≥ 0`);
    return value;
  };
}

function mustBeFraction(op: string, what: string, value: number): void {
  if (!(value >= 0 && value < 1)) throw shapeError(op, `${what} ${value} is not in [0, 1)`);
}

function mustBePositive(op: string, what: string, value: number): void {
  if (!(value >= 0 && Number.isFinite(value))) throw shapeError(op, `${what} ${value} is not a finite number ≥ 0`);
}

// With a the parameter and b its gradient: the gradient with weight decay.
const decayed = (weightDecay: number): Expr => (weightDecay ? ["add", "b", ["mul", weightDecay, "a"]] : "b");

/**
 * Stochastic gradient descent as torch.optim.SGD: d = g + weightDecay·p; m ← momentum·m + d; p ← p − lr·m, with
 * Nesterov p ← p − lr·(d + momentum·m). Throws ShapeError for numbers out of range.
 */
export function sgd({ lr, momentum = 0, weightDecay = 0, nesterov = false }: SgdOptions): Optimizer {
  mustBeFraction("sgd", "momentum", momentum);
  mustBePositive("sgd", "weight decay", weightDecay);
  if (nesterov && momentum === 0) throw shapeError("sgd", "Nesterov needs momentum > 0");
  const learningRate = rate("sgd", lr);
  if (typeof lr === "number") learningRate(0);
  const d = decayed(weightDecay);
  return {
    name: "sgd",
    slots: momentum ? ["momentum"] : [],
    hypers: 1,
    learningRate,
    hyper: (step) => [learningRate(step)],
    update(p, g, [m], [eta]) {
      if (!m) return { param: map("sgd", ["sub", "a", ["mul", "c", d]], [p, g, eta]), slots: [] };
      const next = map("momentum", ["add", ["mul", momentum, "c"], d], [p, g, m]);
      const param = nesterov
        ? map("nesterov", ["sub", "a", ["mul", "d", ["add", d, ["mul", momentum, "c"]]]], [p, g, next, eta])
        : map("descend", ["sub", "a", ["mul", "c", "b"]], [p, next, eta]);
      return { param, slots: [next] };
    },
  };
}

export interface AdamOptions {
  readonly lr?: LearningRate;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  readonly weightDecay?: number;
}

/**
 * Adam (Kingma and Ba 2015) as torch.optim.Adam: g ← g + weightDecay·p; m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²;
 * p ← p − lr/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε). Throws ShapeError for numbers out of range.
 */
export function adam({ lr = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 }: AdamOptions = {}): Optimizer {
  mustBeFraction("adam", "beta1", beta1);
  mustBeFraction("adam", "beta2", beta2);
  mustBePositive("adam", "epsilon", epsilon);
  mustBePositive("adam", "weight decay", weightDecay);
  const learningRate = rate("adam", lr);
  if (typeof lr === "number") learningRate(0);
  const g = decayed(weightDecay);
  return {
    name: "adam",
    slots: ["mean", "variance"],
    hypers: 2,
    learningRate,
    hyper: (step) => [learningRate(step) / (1 - beta1 ** (step + 1)), 1 / Math.sqrt(1 - beta2 ** (step + 1))],
    update(p, gradient, [m, v], [rate, correction]) {
      const mean = map("adamMean", ["add", ["mul", beta1, "c"], ["mul", 1 - beta1, g]], [p, gradient, m]);
      const variance = map("adamVariance", ["add", ["mul", beta2, "c"], ["mul", 1 - beta2, ["mul", g, g]]], [p, gradient, v]);
      const denominator: Expr = ["add", ["mul", ["sqrt", "c"], "e"], epsilon];
      return {
        param: map("adam", ["sub", "a", ["div", ["mul", "d", "b"], denominator]], [p, mean, variance, rate, correction]),
        slots: [mean, variance],
      };
    },
  };
}
