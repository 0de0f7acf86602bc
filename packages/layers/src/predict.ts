// The predictor: a model with its weights on a device, for any number of samples.

import { dispose, formatShape, shapeError, type Backend } from "@conv/tensor";
import { breather } from "./events.ts";
import { createForward, sampleSize, upload } from "./forward.ts";
import { traceModel, type Model } from "./layer.ts";
import { matchState, type State } from "./state.ts";

/** A model ready to be asked. Its tensors live on the back end until `dispose` (or the end of `using`). */
export interface Predictor extends Disposable {
  /** Shape of the output for one sample. */
  readonly output: readonly number[];
  /** Outputs (logits, unless the model ends otherwise) of all samples in `x`, one after the other. Throws ShapeError unless x holds whole samples. */
  predict(x: Float32Array): Promise<Float32Array>;
  /** Replaces the weights; throws ShapeError, and changes nothing, where names or shapes differ. */
  setState(state: State): void;
  dispose(): void;
}

export interface PredictorOptions {
  /** Most samples in one run. */
  readonly batch?: number;
}

/** Puts a model on a device. A rest smaller than `batch` runs in a batch of the next power of two, filled up with zeros. */
export function createPredictor(backend: Backend, model: Model, state: State, { batch = 64 }: PredictorOptions = {}): Predictor {
  const { entries, output } = traceModel(model);
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
      if (x.length % inSize)
        throw shapeError(model.name, `${x.length} values are no whole number of samples of shape ${formatShape(model.input)}, which hold ${inSize}`);
      const count = x.length / inSize;
      const result = new Float32Array(count * outSize);
      const breathe = breather();
      for (let at = 0; at < count; at += batch) {
        const n = Math.min(batch, count - at);
        const size = Math.min(batch, 2 ** Math.ceil(Math.log2(n)));
        let samples = x.subarray(at * inSize, (at + n) * inSize);
        if (size > n) {
          const filled = new Float32Array(size * inSize);
          filled.set(samples);
          samples = filled;
        }
        const rows = await forward.run(samples).output;
        result.set(rows.subarray(0, n * outSize), at * outSize);
        await breathe();
      }
      return result;
    },
    setState(next) {
      matchState(model.name, entries, next).forEach((data, i) => backend.write(parameters[i], data));
    },
    dispose: end,
    [dispose]: end,
  };
}
