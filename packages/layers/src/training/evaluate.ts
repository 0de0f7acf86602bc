// Evaluation: loss, predictions and metrics over a data set with the current weights. All means are
// independent of the batch size.

import { concat, reshape } from "@conv/ops";
import { type Backend, type Buffer, message, shapeError, sizeOf } from "@conv/tensor";
import type { Batch, Dataset, Target } from "../data/data.ts";
import { whereNotFinite, type Loader } from "../data/load.ts";
import { argMax, createForward } from "../inference/forward.ts";
import type { Model } from "../layers/layer.ts";
import { breather } from "./events.ts";
import { measure, type Loss } from "./loss.ts";
import type { Metric } from "./metrics.ts";
import type { Evaluation } from "./reports.ts";

/**
 * Number of correct predictions for labels in range (NaN is never correct), and number of these
 * labels; NaN and 0 if labels are not classes.
 */
export function rightOf(
  output: Float32Array,
  y: Batch["y"],
  count: number,
  target?: Target,
): { readonly right: number; readonly labels: number } {
  if (target?.dtype === "float32") return { right: NaN, labels: 0 };
  const each = sizeOf(target?.shape ?? []);
  const classes = output.length / count / each;
  let [right, labels] = [0, 0];
  argMax(output, count, each).forEach((answer, i) => {
    const score = output[(Math.floor(i / each) * classes + answer) * each + (i % each)];
    right += Number(answer === y[i] && !Number.isNaN(score));
    labels += Number(y[i] >= 0 && y[i] < classes);
  });
  return { right, labels };
}

export interface Evaluator {
  /**
   * Compiles the program for a batch of `count` samples. Throws ShapeError if the model needs more
   * samples.
   */
  prepare(count: number, target?: Target): void;
  evaluate(data: Dataset, signal?: AbortSignal): Promise<Evaluation>;
  dispose(): void;
}

export function createEvaluator(
  backend: Backend,
  model: Model,
  parameters: readonly Buffer[],
  {
    loss = model.loss,
    batch,
    metrics,
    loader,
  }: {
    loss?: Loss | undefined;
    batch: number;
    metrics: Readonly<Record<string, Metric>>;
    loader: Loader;
  },
): Evaluator {
  const forward = createForward(backend, model, parameters, (output, labels) => {
    const { mean, weight } = measure(loss, output, labels);
    return concat([mean, weight].map((v) => reshape(v, [1])));
  });
  const evaluate = async (data: Dataset, signal?: AbortSignal): Promise<Evaluation> => {
    loader.check(data);
    const { target } = data;
    const each = sizeOf(target?.shape ?? []);
    const predicted = new Int32Array(data.count * each);
    const sums = new Map(Object.keys(metrics).map((name) => [name, { sum: 0, weight: 0 }]));
    const breathe = breather();
    const total = { loss: 0, weight: 0, right: 0, labels: 0 };
    for (let at = 0; at < data.count; at += batch) {
      signal?.throwIfAborted();
      const indices = Uint32Array.from(
        { length: Math.min(batch, data.count - at) },
        (_, i) => at + i,
      );
      const count = indices.length;
      const samples = loader.load(data, indices);
      const fault = whereNotFinite(samples, count);
      if (fault)
        throw shapeError(
          "evaluate",
          "sample-not-finite",
          message`sample ${{ sample: at + fault.sample }} contains ${{ value: fault.value }} in ${{ tensor: fault.tensor }}; correct or remove the sample`,
        );
      const run = forward.run(samples.x, samples.y, target);
      const [output, [mean, weight]] = await Promise.all([run.output, run.measured]);
      predicted.set(argMax(output, count, each), at * each);
      const { right, labels } = rightOf(output, samples.y, count, target);
      total.right += right;
      total.labels += labels;
      total.loss += mean * weight;
      total.weight += weight;
      for (const [name, measured] of sums) {
        const metric = metrics[name];
        const of = metric.weight?.(output, samples.y, count) ?? count;
        if (of > 0) measured.sum += of * metric(output, samples.y, count);
        measured.weight += of;
      }
      await breathe();
    }
    const means = Object.fromEntries(
      [...sums].map(([name, { sum, weight }]) => [name, sum / weight]),
    );
    return {
      loss: total.loss / total.weight,
      accuracy: total.right / total.labels,
      predicted,
      metrics: means,
    };
  };
  return { prepare: forward.prepare, evaluate, dispose: forward.dispose };
}
