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

/** A model on a back end. Its tensors stay there until `dispose` (or the end of `using`). */
export interface Predictor extends Disposable {
  /** Shape of the output for one sample. */
  readonly output: readonly number[];
  /**
   * Outputs (logits, unless the model ends otherwise) of all samples in `x`, one after the other.
   * Throws ShapeError unless x holds whole samples.
   */
  predict(x: Float32Array): Promise<Float32Array>;
  /** Replaces the weights; throws ShapeError, and changes nothing, where names or shapes differ. */
  setState(state: State): void;
  dispose(): void;
}

export interface PredictorOptions {
  /** Largest number of samples in one run. Default: 64. */
  readonly batch?: number | undefined;
}

/**
 * Uploads a model. Samples run in batches of `batch`, and the rest in a smaller batch: a model may
 * use all samples of a batch. The programs of the last 8 sizes are kept. Throws RangeError unless
 * `batch` is a whole number ≥ 1.
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
          message`samples are ${{ kind: kindOf(x) }}, must be Float32Array: Float32Array.from(…)`,
        );
      if (x.length % inSize)
        throw shapeError(
          model.name,
          "samples-size",
          message`${{ values: x.length }} values are not a whole number of samples of shape ${{ shape: formatShape(model.input) }}, which hold ${{ size: inSize }}`,
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
