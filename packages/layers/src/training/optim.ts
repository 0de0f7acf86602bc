// Optimizers: functions that add the update to the training graph, with PyTorch's rules. Numbers
// that change with the step (learning rate, bias corrections) are an input of the graph, so a
// schedule needs no new program.

import { map, sqrt, square, sum, type Expr } from "@conv/ops";
import { checkOptions, kindOf, message, rangeError, type Value } from "@conv/tensor";
import { mustBe } from "../checks.ts";

/** A learning rate, or a function of the number of previous updates. */
export type LearningRate = number | ((step: number) => number);

/** Settings of one parameter. */
export interface ParameterOptions {
  /** Factor of the learning rate. Default: 1. */
  readonly rate?: number | undefined;
  /** Weight decay. Default: that of the optimizer. */
  readonly weightDecay?: number | undefined;
}

/**
 * An update rule. In `update` all tensors have the shape of the parameter, except `hyper`, which
 * are scalars.
 */
export interface Optimizer {
  readonly name: string;
  /** Names of the state tensors of each parameter, initially 0. */
  readonly slots: readonly string[];
  /** Number of values that `hyper` returns. */
  readonly hypers: number;
  learningRate(step: number): number;
  /** The numbers for the update after `step` previous updates. */
  hyper(step: number): readonly number[];
  update(
    param: Value,
    gradient: Value,
    slots: readonly Value[],
    hyper: readonly Value[],
    options?: ParameterOptions,
  ): { param: Value; slots: readonly Value[] };
}

/** Options of an update rule that are numbers; `betas` is a pair of numbers. */
type Numbers = Readonly<Record<string, number | readonly number[]>> & {
  readonly weightDecay: number;
};

/** An update rule: state, numbers of a step (default: the learning rate), and update. */
interface Rule
  extends Pick<Optimizer, "slots">, Partial<Pick<Optimizer, "hypers" | "hyper" | "learningRate">> {
  update(
    param: Value,
    gradient: Value,
    slots: readonly Value[],
    hyper: readonly Value[],
    factor: number,
    decay: number,
  ): ReturnType<Optimizer["update"]>;
}

const FRACTIONS = ["momentum", "alpha", "betas"];
const WORDS: Readonly<Record<string, string>> = {
  weightDecay: "weight decay",
  lrDecay: "learning rate decay",
};

/** Throws RangeError unless fractions are in [0, 1) and other numbers finite and ≥ 0. */
function checkNumbers(name: string, numbers: Numbers, defaults: Numbers): void {
  for (const [key, value] of Object.entries(numbers)) {
    const kind = FRACTIONS.includes(key) ? "in [0, 1)" : "a finite number ≥ 0";
    const list = defaults[key];
    if (typeof list === "number") {
      mustBe(kind, name, { [WORDS[key] ?? key]: value });
      continue;
    }
    if (!Array.isArray(value) || value.length !== list.length)
      throw rangeError(
        name,
        "numbers",
        message`${{ option: key }} is ${{ kind: kindOf(value) }}, must be a list of ${{ count: list.length }} numbers`,
      );
    mustBe(kind, name, Object.fromEntries(value.map((v, i) => [`${key}[${i}]`, v])));
  }
}

/**
 * Creates an optimizer from an update rule and options with defaults. Throws RangeError for unknown
 * options and numbers out of range.
 */
function optimizer<N extends Numbers>(
  name: string,
  options: { readonly lr?: LearningRate | undefined } & {
    readonly [K in keyof NoInfer<N>]?: NoInfer<N>[K] | undefined;
  },
  lrByDefault: number,
  defaults: N,
  rule: (numbers: N, learningRate: (step: number) => number) => Rule,
  more: readonly string[] = [],
): Optimizer {
  checkOptions(name, options, ["lr", ...Object.keys(defaults), ...more].join(" "));
  const { lr = lrByDefault } = options;
  const given = Object.entries(options).filter(
    ([key, value]) => key in defaults && value !== undefined,
  );
  const numbers: N = { ...defaults, ...Object.fromEntries(given) };
  checkNumbers(name, numbers, defaults);
  const rate = (step: number) => {
    const value = typeof lr === "function" ? lr(step) : lr;
    mustBe("a finite number ≥ 0", name, { "learning rate": value });
    return value;
  };
  if (typeof lr !== "function") rate(0);
  const {
    slots,
    learningRate = rate,
    hypers = 1,
    hyper = (step) => [learningRate(step)],
    update,
  } = rule(numbers, rate);
  return {
    name,
    slots,
    hypers,
    learningRate,
    hyper,
    update: (param, gradient, kept, scalars, special = {}) =>
      update(
        param,
        gradient,
        kept,
        scalars,
        special.rate ?? 1,
        special.weightDecay ?? numbers.weightDecay,
      ),
  };
}

/** The coefficients of the two moving averages of Adam and its relatives. */
type Betas = readonly [number, number];

const times = (factor: number, e: Expr): Expr => (factor === 1 ? e : ["mul", factor, e]);
const plus = (e: Expr, factor: number, other: Expr): Expr =>
  factor === 0 ? e : ["add", e, times(factor, other)];

// In the expressions, a is the parameter and b its gradient. The gradient with weight decay, b +
// weightDecay·a:
const decayed = (weightDecay: number): Expr => plus("b", weightDecay, "a");
// β·old + (1 − β)·now
const follow = (beta: number, old: Expr, now: Expr): Expr => [
  "add",
  ["mul", beta, old],
  ["mul", 1 - beta, now],
];
const squared = (e: Expr): Expr => ["mul", e, e];

export interface SgdOptions {
  readonly lr: LearningRate;
  readonly momentum?: number | undefined;
  readonly weightDecay?: number | undefined;
  readonly nesterov?: boolean | undefined;
}

/**
 * Stochastic gradient descent, as torch.optim.SGD: d = g + weightDecay·p; m ← momentum·m + d; p ← p
 * − lr·m, with Nesterov p ← p − lr·(d + momentum·m). Throws RangeError for numbers out of range.
 */
export const sgd = (options: SgdOptions): Optimizer =>
  optimizer(
    "sgd",
    options,
    NaN,
    { momentum: 0, weightDecay: 0 },
    ({ momentum }) => {
      const { nesterov = false } = options;
      if (nesterov && momentum === 0)
        throw rangeError(
          "sgd",
          "nesterov",
          message`nesterov needs momentum > ${{ least: 0 }}; set the option momentum, for example 0.9`,
        );
      return {
        slots: momentum ? ["momentum"] : [],
        update(p, g, [m], [eta], factor, decay) {
          const d = decayed(decay);
          if (!m)
            return {
              param: map("sgd", ["sub", "a", ["mul", times(factor, "c"), d]], [p, g, eta]),
              slots: [],
            };
          const next = map("momentum", ["add", ["mul", momentum, "c"], d], [p, g, m]);
          const param = nesterov
            ? map(
                "nesterov",
                ["sub", "a", ["mul", times(factor, "d"), ["add", d, ["mul", momentum, "c"]]]],
                [p, g, next, eta],
              )
            : map("descend", ["sub", "a", ["mul", times(factor, "c"), "b"]], [p, next, eta]);
          return { param, slots: [next] };
        },
      };
    },
    ["nesterov"],
  );

export interface AdamOptions {
  readonly lr?: LearningRate | undefined;
  readonly betas?: readonly [number, number] | undefined;
  readonly eps?: number | undefined;
  readonly weightDecay?: number | undefined;
}

/**
 * Adam (Kingma and Ba 2015), as torch.optim.Adam: g ← g + weightDecay·p; m ← β₁m + (1 − β₁)g; v ←
 * β₂v + (1 − β₂)g²; p ← p − lr/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε). Throws RangeError for numbers
 * out of range.
 */
export const adam = (options: AdamOptions = {}): Optimizer => moments("adam", options, 0);

/**
 * Adam with decoupled weight decay (Loshchilov and Hutter 2019), as torch.optim.AdamW: p ← (1 −
 * lr·weightDecay)·p, then as {@link adam} without decay; the default decay is 0.01. Throws
 * RangeError for numbers out of range.
 */
export const adamW = (options: AdamOptions = {}): Optimizer => moments("adamW", options, 0.01);

function moments(name: "adam" | "adamW", options: AdamOptions, decayByDefault: number): Optimizer {
  const decoupled = name === "adamW";
  const betas: Betas = [0.9, 0.999];
  const defaults = { betas, eps: 1e-8, weightDecay: decayByDefault };
  return optimizer(
    name,
    options,
    1e-3,
    defaults,
    ({ betas: [beta1, beta2], eps }, learningRate) => ({
      slots: ["mean", "variance"],
      hypers: decoupled ? 3 : 2,
      hyper(step) {
        const eta = learningRate(step);
        const corrections = [
          eta / (1 - beta1 ** (step + 1)),
          1 / Math.sqrt(1 - beta2 ** (step + 1)),
        ];
        return decoupled ? [...corrections, eta] : corrections;
      },
      update(p, gradient, [m, v], [scale, correction, eta], factor, decay) {
        const g = decayed(decoupled ? 0 : decay);
        const mean = map(`${name}Mean`, follow(beta1, "c", g), [p, gradient, m]);
        const variance = map(`${name}Variance`, follow(beta2, "c", squared(g)), [p, gradient, v]);
        const denominator: Expr = ["add", ["mul", ["sqrt", "c"], "e"], eps];
        const shrunk: Expr =
          decoupled && decay ? ["sub", "a", ["mul", ["mul", factor * decay, "f"], "a"]] : "a";
        const inputs = [p, mean, variance, scale, correction];
        const f: Expr = ["sub", shrunk, ["div", ["mul", times(factor, "d"), "b"], denominator]];
        return {
          param: map(name, f, shrunk === "a" ? inputs : [...inputs, eta]),
          slots: [mean, variance],
        };
      },
    }),
  );
}

export interface RmspropOptions {
  readonly lr?: LearningRate | undefined;
  readonly alpha?: number | undefined;
  readonly eps?: number | undefined;
  readonly weightDecay?: number | undefined;
  readonly momentum?: number | undefined;
}

/**
 * RMSprop (Hinton 2012), as torch.optim.RMSprop: g ← g + weightDecay·p; v ← αv + (1 − α)g²; d = g /
 * (√v + ε); with momentum m ← momentum·m + d and p ← p − lr·m, else p ← p − lr·d. Throws RangeError
 * for numbers out of range.
 */
export const rmsprop = (options: RmspropOptions = {}): Optimizer =>
  optimizer(
    "rmsprop",
    options,
    0.01,
    { alpha: 0.99, eps: 1e-8, weightDecay: 0, momentum: 0 },
    ({ alpha, eps, momentum }) => ({
      slots: momentum ? ["variance", "momentum"] : ["variance"],
      update(p, gradient, [v, m], [eta], factor, decay) {
        const g = decayed(decay);
        const variance = map("rmspropVariance", follow(alpha, "c", squared(g)), [p, gradient, v]);
        const d: Expr = ["div", g, ["add", ["sqrt", "c"], eps]];
        if (!m)
          return {
            param: map(
              "rmsprop",
              ["sub", "a", ["mul", times(factor, "d"), d]],
              [p, gradient, variance, eta],
            ),
            slots: [variance],
          };
        const next = map(
          "rmspropMomentum",
          ["add", ["mul", momentum, "d"], d],
          [p, gradient, variance, m],
        );
        return {
          param: map("descend", ["sub", "a", ["mul", times(factor, "c"), "b"]], [p, next, eta]),
          slots: [variance, next],
        };
      },
    }),
  );

export interface AdagradOptions {
  readonly lr?: LearningRate | undefined;
  readonly lrDecay?: number | undefined;
  readonly eps?: number | undefined;
  readonly weightDecay?: number | undefined;
}

/**
 * Adagrad (Duchi, Hazan and Singer 2011), as torch.optim.Adagrad: g ← g + weightDecay·p; s ← s +
 * g²; p ← p − lr/(1 + lrDecay·step) · g / (√s + ε). Throws RangeError for numbers out of range.
 */
export const adagrad = (options: AdagradOptions = {}): Optimizer =>
  optimizer(
    "adagrad",
    options,
    0.01,
    { lrDecay: 0, eps: 1e-10, weightDecay: 0 },
    ({ lrDecay, eps }, rate) => ({
      slots: ["squares"],
      learningRate: (step) => rate(step) / (1 + lrDecay * step),
      update(p, gradient, [s], [eta], factor, decay) {
        const g = decayed(decay);
        const squares = map("adagradSquares", ["add", "c", squared(g)], [p, gradient, s]);
        const d: Expr = ["div", g, ["add", ["sqrt", "c"], eps]];
        return {
          param: map(
            "adagrad",
            ["sub", "a", ["mul", times(factor, "d"), d]],
            [p, gradient, squares, eta],
          ),
          slots: [squares],
        };
      },
    }),
  );

export interface LionOptions {
  readonly lr?: LearningRate | undefined;
  readonly betas?: readonly [number, number] | undefined;
  readonly weightDecay?: number | undefined;
}

/**
 * Lion (Chen et al., "Symbolic discovery of optimization algorithms", 2023): p ← p − lr·(sign(β₁m +
 * (1 − β₁)g) + weightDecay·p); m ← β₂m + (1 − β₂)g. Throws RangeError for numbers out of range.
 */
export const lion = (options: LionOptions = {}): Optimizer =>
  optimizer(
    "lion",
    options,
    1e-4,
    { betas: [0.9, 0.99] as Betas, weightDecay: 0 },
    ({ betas: [beta1, beta2] }) => ({
      slots: ["momentum"],
      update(p, g, [m], [eta], factor, decay) {
        const direction = follow(beta1, "c", "b");
        const sign: Expr = ["sub", ["gt", direction, 0], ["gt", 0, direction]];
        return {
          param: map(
            "lion",
            ["sub", "a", ["mul", times(factor, "d"), plus(sign, decay, "a")]],
            [p, g, m, eta],
          ),
          slots: [map("lionMomentum", follow(beta2, "b", "a"), [g, m])],
        };
      },
    }),
  );

/**
 * LAMB (You et al., "Large batch optimization for deep learning", 2020): with Adam's corrected
 * moments m̂ and v̂, u = m̂ / (√v̂ + ε) + weightDecay·p; p ← p − lr·‖p‖/‖u‖·u, where ‖p‖/‖u‖ is
 * replaced by 1 if a norm is 0. Throws RangeError for numbers out of range.
 */
export const lamb = (options: AdamOptions = {}): Optimizer =>
  optimizer(
    "lamb",
    options,
    1e-3,
    { betas: [0.9, 0.999] as Betas, eps: 1e-6, weightDecay: 0.01 },
    ({ betas: [beta1, beta2], eps }, learningRate) => ({
      slots: ["mean", "variance"],
      hypers: 3,
      hyper: (step) => [
        learningRate(step),
        1 / (1 - beta1 ** (step + 1)),
        1 / Math.sqrt(1 - beta2 ** (step + 1)),
      ],
      update(p, g, [m, v], [eta, c1, c2], factor, decay) {
        const mean = map("lambMean", follow(beta1, "b", "a"), [g, m]);
        const variance = map("lambVariance", follow(beta2, "b", squared("a")), [g, v]);
        const adapted: Expr = ["div", ["mul", "b", "d"], ["add", ["mul", ["sqrt", "c"], "e"], eps]];
        const u = map("lambDirection", plus(adapted, decay, "a"), [p, mean, variance, c1, c2]);
        const norm = (x: Value) => sqrt(sum(square(x)));
        const [size, length] = [norm(p), norm(u)];
        const trust = map(
          "lambTrust",
          ["select", ["mul", ["gt", "a", 0], ["gt", "b", 0]], ["div", "a", "b"], 1],
          [size, length],
        );
        return {
          param: map(
            "lamb",
            ["sub", "a", ["mul", ["mul", times(factor, "c"), "d"], "b"]],
            [p, u, eta, trust],
          ),
          slots: [mean, variance],
        };
      },
    }),
  );

/** Options that all optimizers share. */
export interface CommonOptions {
  readonly lr: LearningRate;
  readonly weightDecay?: number | undefined;
}

/** An entry of the list of optimizers. */
export interface OptimizerChoice {
  /** Name to show, for example `AdamW`. */
  readonly label: string;
  /** Learning rate to start with for small networks. */
  readonly lr: number;
  readonly create: (options: CommonOptions) => Optimizer;
}

/**
 * All optimizers by name, for the command line and the playground. Here stochastic gradient descent
 * has Nesterov momentum 0.9.
 */
export const optimizers = {
  adam: { label: "Adam", lr: 0.003, create: adam },
  adamw: { label: "AdamW", lr: 0.003, create: adamW },
  sgd: { label: "SGD", lr: 0.03, create: (o) => sgd({ momentum: 0.9, nesterov: true, ...o }) },
  rmsprop: { label: "RMSprop", lr: 0.001, create: rmsprop },
  adagrad: { label: "Adagrad", lr: 0.01, create: adagrad },
  lion: { label: "Lion", lr: 3e-4, create: lion },
  lamb: { label: "LAMB", lr: 0.01, create: lamb },
} as const satisfies Readonly<Record<string, OptimizerChoice>>;

export type OptimizerName = keyof typeof optimizers;
