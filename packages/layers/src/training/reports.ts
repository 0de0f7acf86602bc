// The reports of training and evaluation.

export interface StepReport {
  /** From 1. */
  readonly epoch: number;
  /** From 1 to `steps`. */
  readonly step: number;
  readonly steps: number;
  /**
   * Of this batch before its update, with the terms of auxiliary heads, layers and regularizers.
   */
  readonly loss: number;
  readonly accuracy: number;
  readonly learningRate: number;
  /** Number of samples of the epoch so far. */
  readonly seen: number;
  /** Number of samples in the epoch. */
  readonly samples: number;
  /** Time since this call began or resumed the epoch. */
  readonly seconds: number;
}

export interface Evaluation {
  /** The mean over the whole data set; it does not depend on the batch size. */
  readonly loss: number;
  /** Share of correct predictions, without labels out of range; NaN if labels are not classes. */
  readonly accuracy: number;
  /**
   * The class with the largest output for each label, in order. NaN counts as larger than all
   * numbers and is never correct.
   */
  readonly predicted: Int32Array;
  /** The metrics of the trainer by name. */
  readonly metrics: Readonly<Record<string, number>>;
}

export interface EpochReport {
  /** From 1. */
  readonly epoch: number;
  /** Mean over the epoch, where each batch is measured before its update. */
  readonly loss: number;
  readonly accuracy: number;
  readonly validation?: Evaluation | undefined;
  /** Whether the validation loss is the lowest so far; true without validation. */
  readonly improved: boolean;
  /** Duration of training without validation; in this call only, if the epoch was resumed. */
  readonly seconds: number;
  readonly imagesPerSecond: number;
}
