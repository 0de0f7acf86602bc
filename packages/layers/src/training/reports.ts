// The reports of training and evaluation.

export interface StepReport {
  /** From 1. */
  readonly epoch: number;
  /** From 1 to `steps`. */
  readonly step: number;
  readonly steps: number;
  /** Of this batch before its update, with what auxiliary heads, layers and regularizers add. */
  readonly loss: number;
  readonly accuracy: number;
  readonly learningRate: number;
  /** Samples of the epoch seen so far. */
  readonly seen: number;
  /** Samples in the epoch. */
  readonly samples: number;
  /** Since this call began or resumed the epoch. */
  readonly seconds: number;
}

export interface Evaluation {
  /** The mean over the whole data set; it does not depend on the batch size. */
  readonly loss: number;
  /** Share of right answers, without labels out of range; NaN where labels are not classes. */
  readonly accuracy: number;
  /**
   * The class with the largest output for each label, in order. NaN counts as larger than all
   * numbers and is never a right answer.
   */
  readonly predicted: Int32Array;
  /** The metrics of the trainer by name. */
  readonly metrics: Readonly<Record<string, number>>;
}

export interface EpochReport {
  /** From 1. */
  readonly epoch: number;
  /** Means over the epoch, each batch before its update. */
  readonly loss: number;
  readonly accuracy: number;
  readonly validation?: Evaluation | undefined;
  /** Whether the validation loss is the lowest so far; true without validation. */
  readonly improved: boolean;
  /** Of training, without validation; of this call alone where an epoch was resumed. */
  readonly seconds: number;
  readonly imagesPerSecond: number;
}
