// The options of a training step.

import type { Target } from "../data/data.ts";
import type { Loss } from "./loss.ts";
import type { ParameterRule } from "./rules.ts";

/** Limits of the gradients before the update. The limit of single values applies first. */
export interface Clip {
  /** Clamps each element to [−value, value]. */
  readonly value?: number | undefined;
  /**
   * Scales all gradients by one factor so that √Σg² over all of them is at most this, as
   * torch.nn.utils.clip_grad_norm_.
   */
  readonly norm?: number | undefined;
}

export interface StepOptions {
  /** Default: the model's loss, or cross-entropy. */
  readonly loss?: Loss | undefined;
  /** Shape and dtype of a label. Default: a class. */
  readonly target?: Target | undefined;
  readonly rules?: readonly ParameterRule[] | undefined;
  readonly clip?: Clip | undefined;
  /**
   * `add` adds weight·gradient of the loss to the slots `sum` and the weight to the slot `weight`,
   * and updates only buffers of the model. `apply` updates by their quotient and clears them. What
   * layers add to the loss has slots `added`, to which share·gradient is added; the share of the
   * batch in the samples of the update is one more number of `hyper`.
   */
  readonly accumulate?: "add" | "apply" | undefined;
  /**
   * Keeps a moving average of each parameter in a slot: average ← d·average + (1 − d)·parameter; d
   * is one more number at the end of `hyper`.
   */
  readonly average?: boolean | undefined;
  /**
   * One more input and output at the end, of one element: 1 while everything is finite. It becomes
   * 0 where the loss, a gradient or any value to write is not finite; from then on steps change
   * nothing.
   */
  readonly guard?: boolean | undefined;
}

/** Names of {@link StepOptions}, for `checkOptions`. */
export const STEP = "loss target rules clip accumulate average guard";
