// What PyTorch answers: the numbers of ../goldens (made by make.py there), typed. Inputs are exact in float32; results were
// computed in float64 and rounded once. Every gradient is that of the golden's output with cotangent `dy` (1 for a loss).

import type { ConvOptions, ConvTransposeOptions } from "@conv/ops";
import adaptivePool from "../goldens/adaptivePool.json" with { type: "json" };
import batchNorm from "../goldens/batchNorm.json" with { type: "json" };
import conv from "../goldens/conv.json" with { type: "json" };
import elementwise from "../goldens/elementwise.json" with { type: "json" };
import layers from "../goldens/layers.json" with { type: "json" };
import losses from "../goldens/losses.json" with { type: "json" };
import networkGradients from "../goldens/networkGradients.json" with { type: "json" };
import networks from "../goldens/networks.json" with { type: "json" };
import optimizers from "../goldens/optimizers.json" with { type: "json" };
import pool from "../goldens/pool.json" with { type: "json" };
import schedules from "../goldens/schedules.json" with { type: "json" };
import softmax from "../goldens/softmax.json" with { type: "json" };
import space from "../goldens/space.json" with { type: "json" };

/** Contiguous values, channels first. */
export interface GoldenArray {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

type Arrays<Names extends string> = { readonly [Name in Names]: GoldenArray };

/** `op` is "conv" or "convTranspose"; both take x and w to y. */
export interface ConvGolden extends Arrays<"x" | "w" | "y" | "dy" | "dx" | "dw"> {
  readonly name: string;
  readonly op: string;
  readonly options: ConvOptions & ConvTransposeOptions;
}

/** `op` is "maxPool" or "avgPool". */
export interface PoolGolden extends Arrays<"x" | "y" | "dy" | "dx"> {
  readonly name: string;
  readonly op: string;
  readonly kernel: readonly number[];
  readonly options: {
    readonly stride: readonly number[];
    readonly padding: readonly number[];
    readonly dilation?: readonly number[];
    readonly ceilMode?: boolean;
    readonly countIncludePad?: boolean;
  };
}

/** `op` is the exported name of an elementwise function of one or two tensors, with its defaults; cotangent 1 everywhere. */
export interface ElementwiseGolden extends Arrays<"y"> {
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly GoldenArray[];
  readonly grads: readonly GoldenArray[];
}

/** Batch normalization over axis 1; `meanAfter` and `varAfter` are the running statistics after the step. */
export interface BatchNormGolden extends Arrays<
  | "x"
  | "weight"
  | "bias"
  | "mean"
  | "var"
  | "y"
  | "dy"
  | "dx"
  | "dweight"
  | "dbias"
  | "meanAfter"
  | "varAfter"
> {
  readonly name: string;
  readonly training: boolean;
  readonly momentum: number;
  readonly eps: number;
}

/** Average pooling to `output`, one size for each spatial axis. */
export interface AdaptivePoolGolden extends Arrays<"x" | "y" | "dy" | "dx"> {
  readonly name: string;
  readonly output: readonly number[];
}

/**
 * A layer of @conv/layers by its exported name and the arguments that make it (made by layers.py and space.py): its tensors by PyTorch's names before
 * (`state`) and, of buffers after a training step, behind (`after`), and the gradients of its parameters.
 */
export interface LayerGolden extends Arrays<"x" | "y" | "dy" | "dx"> {
  readonly name: string;
  readonly layer: string;
  readonly args: readonly unknown[];
  readonly training: boolean;
  readonly state: Readonly<Record<string, GoldenArray>>;
  readonly gradients: Readonly<Record<string, GoldenArray>>;
  readonly after: Readonly<Record<string, GoldenArray>>;
}

/**
 * A network by its name in @conv/layers/models, and how its heads differ. `state`: where torchvision has it, the SHA-256 of the lines
 * `name shape` of its state, in order. `outputs`, unless there are too many weights for a test: the values 0, step, 2·step, … of what it
 * answers to one sample of shape `input`, with the weights that networks.py says.
 */
export interface NetworkGolden {
  readonly name: string;
  readonly state?: string;
  readonly input?: readonly number[];
  readonly step?: number;
  readonly outputs?: readonly number[];
}

/**
 * A network in training, with the weights of {@link NetworkGolden}, on two samples of classes 3 and 7: the cross-entropy, the norm √Σg² of its
 * gradient by some tensors, and of some running statistics after the step.
 */
export interface NetworkGradientGolden {
  readonly name: string;
  readonly input: readonly number[];
  readonly loss: number;
  readonly norms: readonly (readonly (string | number)[])[];
  readonly after: readonly (readonly (string | number)[])[];
}

/** `op` is "softmax" or "logSoftmax". */
export interface SoftmaxGolden extends Arrays<"x" | "y" | "dy" | "dx"> {
  readonly name: string;
  readonly op: string;
  readonly axis: number;
}

/** `op` is the exported name of a loss of x and int32 `labels` or a float `target`, with its options. */
export interface LossGolden extends Arrays<"x" | "loss" | "dx"> {
  readonly name: string;
  readonly op: string;
  readonly options?: Readonly<Record<string, number | number[] | undefined>>;
  readonly labels?: GoldenArray;
  readonly target?: GoldenArray;
  readonly dtarget?: GoldenArray;
}

/** The network's parameters by their names: conv.weight, conv.bias, fc.weight, fc.bias. */
export type GoldenParams = Arrays<"conv.weight" | "conv.bias" | "fc.weight" | "fc.bias">;

/** Options are those of PyTorch's optimizer in camel case; what is missing has PyTorch's default. */
export interface OptimizerRun {
  readonly name: string;
  readonly optimizer: string;
  readonly options: {
    readonly lr?: number;
    readonly momentum?: number;
    readonly weightDecay?: number;
    readonly nesterov?: boolean;
    readonly betas?: readonly number[];
    readonly eps?: number;
    readonly alpha?: number;
    readonly lrDecay?: number;
  };
  /** The loss before each of the three steps. */
  readonly losses: readonly number[];
  readonly after1: GoldenParams;
  readonly after3: GoldenParams;
}

/** The learning rates of steps 0, 1, … by the schedule `name` with these options. */
export interface ScheduleGolden {
  readonly name: string;
  readonly options: Readonly<Record<string, number | number[] | undefined>>;
  readonly rates: readonly number[];
}

export const convGoldens: readonly ConvGolden[] = conv.map(
  ({ options: { padLo, padHi, ...options }, ...golden }) => ({
    ...golden,
    options: { ...options, padding: padLo.map((lo, axis) => [lo, padHi[axis]] as const) },
  }),
);
export const poolGoldens: readonly PoolGolden[] = pool;
export const adaptivePoolGoldens: readonly AdaptivePoolGolden[] = adaptivePool;
export const layerGoldens: readonly LayerGolden[] = [...layers, ...space].map(
  ({ state, gradients, after, ...golden }) => ({
    ...golden,
    state: present(state),
    gradients: present(gradients),
    after: present(after),
  }),
);
export const batchNormGoldens: readonly BatchNormGolden[] = batchNorm;
export const networkGoldens: readonly NetworkGolden[] = networks;
export const networkGradientGoldens: readonly NetworkGradientGolden[] = networkGradients;
export const elementwiseGoldens: readonly ElementwiseGolden[] = elementwise;
export const softmaxGoldens: readonly SoftmaxGolden[] = softmax;
export const lossGoldens: readonly LossGolden[] = losses;

/**
 * Three steps of an optimizer on a tiny network: conv 1→2 3×3 with bias, relu, max pooling 2, flatten, linear 8→3,
 * cross-entropy; each step sees x (4, 1, 6, 6) and labels (4). All runs start from `params`.
 */
export const optimizerGoldens: {
  readonly network: {
    readonly params: GoldenParams;
    readonly steps: readonly Arrays<"x" | "labels">[];
  };
  readonly runs: readonly OptimizerRun[];
} = optimizers;

/** Without the names that only other layers have: the type of the JSON has them all. */
function present(
  arrays: Readonly<Record<string, GoldenArray | undefined>>,
): Record<string, GoldenArray> {
  return Object.fromEntries(
    Object.entries(arrays).flatMap(([name, array]) => (array ? [[name, array]] : [])),
  );
}

export const scheduleGoldens: readonly ScheduleGolden[] = schedules;
