// Losses, made of other ops, with PyTorch's definitions and its default, the mean; each is a
// scalar. Of a traced one, `lossTerms` gives the sum and the weight whose quotient it is, so that
// batches of different weights can be put together.

import {
  checkOptions,
  formatShape,
  message,
  sameShape,
  scope,
  shapeError,
  sizeOf,
  tensor,
  Value,
  type Arg,
} from "@conv/tensor";
import { full, oneHot } from "./create.ts";
import { abs, affine, div, map, mul, square, sub } from "./elementwise.ts";
import { mul as times, variable, type Expr } from "./expr.ts";
import { concat, transpose } from "./move.ts";
import { sum } from "./reduce.ts";
import { logSoftmax } from "./softmax.ts";

/**
 * A loss before it is divided: what was lost, and how much was measured (labels, their weights, or
 * elements). Both have one element.
 */
export interface LossTerms {
  readonly sum: Value;
  readonly weight: Value;
}

const termsOf = /* @__PURE__ */ new WeakMap<Value, LossTerms>();

/**
 * Sum and weight of a traced mean that a loss of this package returned; undefined for any other
 * value.
 */
export const lossTerms = (mean: Value): LossTerms | undefined => termsOf.get(mean);

function quotient<T extends Arg>(total: T, weight: T | number): T {
  const result = typeof weight === "number" ? affine(total, 1 / weight) : div(total, weight);
  if (result instanceof Value)
    termsOf.set(result, {
      sum: total as Value,
      weight: typeof weight === "number" ? full([], weight) : (weight as Value),
    });
  return result;
}

const mean = <T extends Arg>(x: T): T => quotient(sum(x), sizeOf(x.shape));

export interface CrossEntropyOptions {
  /** How much of each label is shared out evenly among all classes, in [0, 1). */
  readonly labelSmoothing?: number | undefined;
  /** What a sample of each class counts for, finite and ≥ 0; the mean is by these. */
  readonly weight?: readonly number[] | undefined;
}

/**
 * −1/n Σ log softmax(logits)[i, labels[i]]: logits (n, classes, …space), labels int32 (n, …space) →
 * scalar; with space, n is the number of all labels. With smoothing ε a label is 1 − ε + ε/classes
 * at its class and ε/classes at the others. With weight w the term of class c is multiplied by
 * w[c], and n is Σ w[labels[i]]. A label out of range adds nothing to the sum and has no gradient;
 * it counts in n, except with weight (ones, if nothing else), where it weighs nothing. Throws
 * ShapeError.
 */
export function crossEntropy<T extends Arg>(
  logits: T,
  labels: T,
  options: CrossEntropyOptions = {},
): T {
  checkOptions("crossEntropy", options, "labelSmoothing weight");
  const { labelSmoothing = 0, weight } = options;
  const [n, classes, ...space] = logits.shape;
  if (logits.shape.length < 2 || !sameShape(labels.shape, [n, ...space]))
    throw shapeError(
      "crossEntropy",
      "labels-shape",
      message`logits ${{ logits: formatShape(logits.shape) }} and labels ${{ labels: formatShape(labels.shape) }} are not ${{ expected: space.length ? "n×classes×space and n×space" : "n×classes and n" }}`,
    );
  const count = sizeOf(labels.shape);
  mustMeasure("crossEntropy", count);
  if (!(labelSmoothing >= 0 && labelSmoothing < 1))
    throw shapeError(
      "crossEntropy",
      "label-smoothing",
      message`label smoothing ${{ labelSmoothing }} is not in [0, 1)`,
    );
  if (weight && weight.length !== classes)
    throw shapeError(
      "crossEntropy",
      "weight-count",
      message`weight has ${{ weights: weight.length }} numbers for ${{ classes }} classes; give one for each`,
    );
  if (weight && !Array.from(weight).every((w) => w >= 0 && w < Infinity))
    throw shapeError(
      "crossEntropy",
      "weight-range",
      message`weight ${{ weight: weight.join(", ") }} must be finite numbers ≥ 0`,
    );
  return scope(() => {
    const last = logits.shape.map((_, axis) => axis).toSpliced(1, 1);
    const p = logSoftmax(space.length ? transpose(logits, [...last, 1]) : logits, -1);
    const own = oneHot(labels, classes);
    // What is not chosen may be infinite: it is passed over, never multiplied by 0. a is p and b is
    // own; c is 1 for labels in range.
    const inputs = [p, own];
    const next = (x: T) => variable(inputs.push(x) - 1);
    const share = labelSmoothing / classes;
    const [counts, term]: Expr[] = labelSmoothing
      ? [
          next(sum(own, -1, true)),
          ["mul", ["select", "b", 1 - labelSmoothing + share, share], ["neg", "a"]],
        ]
      : ["b", ["neg", "a"]];
    if (!weight)
      return quotient(sum(map("crossEntropy", ["select", counts, term, 0], inputs)), count);
    const w = constants(logits, weight);
    const by = next(w);
    const total = sum(
      map("crossEntropy", ["select", ["mul", counts, by], ["mul", by, term], 0], inputs),
    );
    return quotient(total, sum(mul(own, w)));
  });
}

/** x[i, labels[i]] of x (n, classes) as (n, 1), 0 where the label is out of range. */
const atLabels = <T extends Arg>(x: T, own: T): T =>
  sum(map("atLabels", ["select", "b", "a", 0], [x, own]), 1, true);

/** These numbers where `like` is: traced, equal neighbors as one constant. */
function constants<T extends Arg>(like: T, values: readonly number[]): T {
  if (!(like instanceof Value)) return tensor(like.backend, values) as T;
  const starts = values.flatMap((v, i) => (v === values[i - 1] ? [] : [i]));
  return concat(
    starts.map((at, i) => full([(starts[i + 1] ?? values.length) - at], values[at])),
  ) as T;
}

function mustEqual(op: string, y: Arg, target: Arg): void {
  if (!sameShape(y.shape, target.shape))
    throw shapeError(
      op,
      "target-shape",
      message`output has shape ${{ output: formatShape(y.shape) }}, target has ${{ target: formatShape(target.shape) }}`,
    );
  mustMeasure(op, sizeOf(y.shape));
}

function mustMeasure(op: string, count: number): void {
  if (count === 0) throw shapeError(op, "batch-empty", message`the batch is empty`, 0);
}

/** Mean of (y − target)² over all elements; equal shapes. Throws ShapeError. */
export function squaredError<T extends Arg>(y: T, target: T): T {
  mustEqual("squaredError", y, target);
  return scope(() => mean(square(sub(y, target))));
}

/** Mean of |y − target| over all elements; equal shapes. Throws ShapeError. */
export function absoluteError<T extends Arg>(y: T, target: T): T {
  mustEqual("absoluteError", y, target);
  return scope(() => mean(abs(sub(y, target))));
}

/**
 * Mean of ½d² where |d| ≤ delta and delta·(|d| − ½delta) elsewhere, d = y − target; equal shapes.
 * Throws ShapeError.
 */
export function huber<T extends Arg>(
  y: T,
  target: T,
  options: { readonly delta?: number | undefined } = {},
): T {
  checkOptions("huber", options, "delta");
  const { delta = 1 } = options;
  mustEqual("huber", y, target);
  if (!(delta > 0 && Number.isFinite(delta)))
    throw shapeError("huber", "delta", message`delta ${{ delta }} is not a finite number > 0`);
  // With m = min(|d|, delta) both are m·(|d| − ½m), whose slope is m·sign(d).
  const d: Expr = ["sub", "a", "b"];
  const m: Expr = ["min", ["abs", d], delta];
  const slope: Expr = ["max", ["min", d, delta], -delta];
  return scope(() =>
    mean(
      map(
        "huber",
        ["mul", m, ["sub", ["abs", d], ["mul", 0.5, m]]],
        [y, target],
        [slope, ["neg", slope]],
      ),
    ),
  );
}

/**
 * Mean of −t·log p − (1 − t)·log(1 − p) over all elements, p a probability and t in [0, 1]; equal
 * shapes. A logarithm counts as −100 at least. {@link binaryCrossEntropyWithLogits} is more
 * accurate. Throws ShapeError.
 */
export function binaryCrossEntropy<T extends Arg>(p: T, target: T): T {
  mustEqual("binaryCrossEntropy", p, target);
  const log = (e: Expr): Expr => ["max", e, -100];
  const [yes, no] = [log(["log", "a"]), log(["log1p", ["neg", "a"]])];
  const f: Expr = ["neg", ["add", ["mul", "b", yes], ["mul", ["sub", 1, "b"], no]]];
  const df: Expr = ["div", ["sub", "a", "b"], ["max", ["mul", "a", ["sub", 1, "a"]], 1e-12]];
  return scope(() => mean(map("binaryCrossEntropy", f, [p, target], [df, ["sub", no, yes]])));
}

/**
 * {@link binaryCrossEntropy} of p = 1/(1 + e⁻ˣ), from x itself: mean of t·softplus(−x) + (1 −
 * t)·softplus(x). `posWeight` multiplies the terms of t. Equal shapes. Throws ShapeError.
 */
export function binaryCrossEntropyWithLogits<T extends Arg>(
  x: T,
  target: T,
  options: { readonly posWeight?: number | undefined } = {},
): T {
  checkOptions("binaryCrossEntropyWithLogits", options, "posWeight");
  const { posWeight = 1 } = options;
  mustEqual("binaryCrossEntropyWithLogits", x, target);
  // w·t·softplus(−x) + (1 − t)·softplus(x), softplus(x) = max(x, 0) + log1p(e^−|x|): no term is the
  // difference of two large ones.
  const soft = (x: Expr): Expr => ["add", ["max", x, 0], ["log1p", ["exp", ["neg", ["abs", "a"]]]]];
  const sigmoid = (minusX: Expr): Expr => ["div", 1, ["add", 1, ["exp", minusX]]];
  const [yes, no] = [times(posWeight, soft(["neg", "a"])), soft("a")];
  const mixed = (own: Expr, other: Expr): Expr => [
    "add",
    ["mul", "b", own],
    ["mul", ["sub", 1, "b"], other],
  ];
  const df: Expr[] = [
    mixed(times(-posWeight, sigmoid("a")), sigmoid(["neg", "a"])),
    ["sub", yes, no],
  ];
  return scope(() => mean(map("binaryCrossEntropyWithLogits", mixed(yes, no), [x, target], df)));
}

/**
 * The hinge loss of several classes (torch.nn.MultiMarginLoss): mean over samples of Σ max(0,
 * margin − x[own] + x[c])ᵖ over the other classes c, divided by the number of classes; x (n,
 * classes), labels int32 (n) → scalar; p is 1 or 2. A label out of range adds nothing and counts.
 * Throws ShapeError.
 */
export function hinge<T extends Arg>(
  x: T,
  labels: T,
  options: { readonly margin?: number | undefined; readonly p?: 1 | 2 | undefined } = {},
): T {
  checkOptions("hinge", options, "margin p");
  const { margin = 1, p = 1 } = options;
  const [n, classes] = x.shape;
  if (x.shape.length !== 2 || !sameShape(labels.shape, [n]))
    throw shapeError(
      "hinge",
      "labels-shape",
      message`scores ${{ scores: formatShape(x.shape) }} and labels ${{ labels: formatShape(labels.shape) }} are not n×classes and n`,
    );
  mustMeasure("hinge", n);
  if (p !== 1 && p !== 2)
    throw shapeError("hinge", "exponent", message`p is ${{ p: String(p) }}, must be 1 or 2`);
  return scope(() => {
    const own = oneHot(labels, classes);
    // b is x at the label, d − c is 1 at the other classes of a label in range.
    const inputs = [x, atLabels(x, own), own, sum(own, 1, true)];
    const short: Expr = ["max", ["add", ["sub", "a", "b"], margin], 0];
    const others = (e: Expr): Expr => ["select", ["sub", "d", "c"], e, 0];
    const slope = others(p === 2 ? ["mul", 2, short] : ["gt", short, 0]);
    const f = others(p === 2 ? ["mul", short, short] : short);
    return quotient(
      affine(sum(map("hinge", f, inputs, [slope, ["neg", slope], 0, 0])), 1 / classes),
      n,
    );
  });
}

/**
 * 1 − (2·Σ p·t + smooth) / (Σ p + Σ t + smooth), the sums over all axes from the third on, then the
 * mean over samples and channels: how little a predicted region and the true one overlap (Sudre et
 * al. 2017). p (n, c, …space) in [0, 1], target of the same shape. Throws ShapeError.
 */
export function dice<T extends Arg>(
  p: T,
  target: T,
  options: { readonly smooth?: number | undefined } = {},
): T {
  checkOptions("dice", options, "smooth");
  const { smooth = 1 } = options;
  mustEqual("dice", p, target);
  if (p.shape.length < 3)
    throw shapeError(
      "dice",
      "output-rank",
      message`output has shape ${{ shape: formatShape(p.shape) }}, needs samples, channels and space`,
    );
  const space = p.shape.flatMap((_, axis) => (axis > 1 ? [axis] : []));
  return scope(() => {
    const [both, all] = [
      sum(mul(p, target), space),
      sum(map("add", ["add", "a", "b"], [p, target]), space),
    ];
    return mean(
      map(
        "dice",
        ["sub", 1, ["div", ["add", ["mul", 2, "a"], smooth], ["add", "b", smooth]]],
        [both, all],
      ),
    );
  });
}
