// The options of a training step.

import type { Target } from "../data/data.ts";
import type { Loss } from "./loss.ts";
import type { ParameterRule } from "./rules.ts";

/** Gradient clipping before the update. `value` is applied first, then `norm`. */
export interface Clip {
  /** Clamps each element to [−value, value]. */
  readonly value?: number | undefined;
  /**
   * Scales all gradients by a common factor so that their total norm √Σg² is at most `norm`, as
   * torch.nn.utils.clip_grad_norm_.
   */
  readonly norm?: number | undefined;
}

export interface StepOptions {
  /** Default: the model's loss, or cross-entropy. */
  readonly loss?: Loss | undefined;
  /** Shape and dtype of the target of one sample. Default: a class. */
  readonly target?: Target | undefined;
  readonly rules?: readonly ParameterRule[] | undefined;
  readonly clip?: Clip | undefined;
  /**
   * Gradient accumulation. `add` adds weight·gradient to the slots `sum` and the weight to the slot
   * `weight`, and updates only buffers of the model. `apply` adds too, updates parameters by
   * sum/weight, and clears the slots. Terms that layers add to the loss have slots `added`, to
   * which share·gradient is added; the share of the batch in the samples of the update is one more
   * number of `hyper`.
   */
  readonly accumulate?: "add" | "apply" | undefined;
  /**
   * Computes a moving average of each parameter in a slot: average ← d·average + (1 − d)·parameter,
   * where d is one more number at the end of `hyper`.
   */
  readonly average?: boolean | undefined;
  /**
   * Adds one input and output at the end, a flag of one element. It becomes 0 when the loss, a
   * gradient or a new value is not finite. While it is 0, steps change nothing.
   */
  readonly guard?: boolean | undefined;
}

/** Names of {@link StepOptions}, for `checkOptions`. */
export const STEP = "loss target rules clip accumulate average guard";
