// The predictor: inference with a model on a back end, for any number of samples.

import {
  type Backend,
  checkOptions,
  dispose,
  formatShape,
  kindOf,
  message,
  shapeError,
} from "@conv/tensor";
import { mustCount } from "../checks.ts";
import { describeModel, mustBeSingle, type Model } from "../layers/layer.ts";
import { matchState, type State } from "../state/state.ts";
import { breather } from "../training/events.ts";
import { createForward, sampleSize, upload } from "./forward.ts";

/** A model on a back end. Its tensors stay allocated until `dispose` (or the end of `using`). */
export interface Predictor extends Disposable {
  /** Shape of the output for one sample. */
  readonly output: readonly number[];
  /**
   * Outputs of the model (usually logits) for all samples in `x`: (n, …input) → (n, …output), both
   * in row-major order. Rejects with ShapeError unless x has a whole number of samples.
   */
  predict(x: Float32Array): Promise<Float32Array>;
  /** Replaces the weights. Throws ShapeError, without any change, if names or shapes differ. */
  setState(state: State): void;
  dispose(): void;
}

export interface PredictorOptions {
  /** Number of samples in one run. Default: 64. */
  readonly batch?: number | undefined;
}

/**
 * Uploads a model to a back end for inference. Samples run in batches of `batch`, and the rest in a
 * smaller batch, without padding samples, because a model may compute statistics of its batch.
 * Programs are compiled for each batch size; the last 8 are kept. Throws RangeError unless `batch`
 * is a whole number ≥ 1, and ShapeError if the state does not fit the model.
 */
export function createPredictor(
  backend: Backend,
  model: Model,
  state: State,
  options: PredictorOptions = {},
): Predictor {
  checkOptions("predict", options, "batch");
  const { batch = 64 } = options;
  mustCount("predict", "batch", batch);
  const { entries, output } = describeModel(model);
  mustBeSingle("predict", model, output);
  const parameters = upload(backend, matchState(model.name, entries, state));
  const forward = createForward(backend, model, parameters);
  const [, ...shape] = output.shape;
  const inSize = sampleSize(model);
  const outSize = shape.reduce((a, b) => a * b, 1);
  const end = () => {
    forward.dispose();
    for (const buffer of parameters) backend.free(buffer);
  };
  return {
    output: shape,
    async predict(x) {
      if (kindOf(x) !== "Float32Array")
        throw shapeError(
          model.name,
          "samples-kind",
          message`samples are ${{ kind: kindOf(x) }}, must be Float32Array; convert them with Float32Array.from(…)`,
        );
      if (x.length % inSize)
        throw shapeError(
          model.name,
          "samples-size",
          message`${{ values: x.length }} values are not a whole number of samples of shape ${{ shape: formatShape(model.input) }}, which have ${{ size: inSize }} values`,
        );
      const count = x.length / inSize;
      const result = new Float32Array(count * outSize);
      const breathe = breather();
      for (let at = 0; at < count; at += batch) {
        result.set(
          await forward.run(x.subarray(at * inSize, Math.min(at + batch, count) * inSize)).output,
          at * outSize,
        );
        await breathe();
      }
      return result;
    },
    setState(next) {
      matchState(model.name, entries, next).forEach((data, i) =>
        backend.write(parameters[i], data),
      );
    },
    dispose: end,
    [dispose]: end,
  };
}
