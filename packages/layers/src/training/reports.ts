// What a training and an evaluation tell.

export interface StepReport {
  /** From 1. */
  readonly epoch: number;
  /** From 1 to `steps`. */
  readonly step: number;
  readonly steps: number;
  /** Of this batch, before its update, with what heads, layers and regularizers add. */
  readonly loss: number;
  readonly accuracy: number;
  readonly learningRate: number;
  /** Samples of the epoch seen so far. */
  readonly seen: number;
  /** Samples in the epoch. */
  readonly samples: number;
  /** Since this call began the epoch. */
  readonly seconds: number;
}

export interface Evaluation {
  /** The mean over all that the loss counts, however batched. */
  readonly loss: number;
  /** Share of right answers, labels out of range left out; NaN where labels are no classes. */
  readonly accuracy: number;
  /**
   * The class with the largest output, for each label in order; NaN is larger than all numbers, and
   * never a right answer.
   */
  readonly predicted: Int32Array;
  /** Means over all that they count, by the names that the trainer was given. */
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
