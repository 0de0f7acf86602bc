// A training step as one graph: forward, loss, backward and update together, so that it compiles to one program.

import { add, affine, crossEntropy, grad, reshape, slice } from "@conv/ops";
import { formatShape, graphOf, input, optimise, shapeError, sizeOf, spec, within, type Graph, type Value } from "@conv/tensor";
import type { Loss } from "./forward.ts";
import { traceModel, type Entry, type Model } from "./layer.ts";
import type { Optimizer } from "./optim.ts";

/**
 * The graph of a step. Inputs: x, labels (int32, one a sample), hyper, …seeds, …entries, …slots; outputs: loss, output,
 * …entries that change (`written`), …slots. Those at the end may be written over the inputs that they replace.
 */
export interface TrainingGraph {
  readonly graph: Graph;
  readonly entries: readonly Entry[];
  /** Indices of the entries that a step changes: the trainable ones, and buffers such as running statistics. */
  readonly written: readonly number[];
  /** Number of int32 [2] seeds. */
  readonly seeds: number;
  /** Number of values in `output` for one sample. */
  readonly width: number;
}

/** The model's own loss, or cross-entropy. */
export const lossOf = (model: Model, loss?: Loss): Loss => loss ?? model.loss ?? crossEntropy;

/** Traces a training step over `batch` samples. Throws ShapeError where shapes do not fit or the loss is not one element. */
export function traceStep(model: Model, optimizer: Optimizer, batch: number, loss?: Loss): TrainingGraph {
  const { x, output, entries, values, updates, seeds, auxiliaries } = traceModel(model, { batch, training: true });
  const labels = input(spec([batch], "int32"), "labels");
  const hyper = input(spec([optimizer.hypers]), "hyper");
  const trainable = values.filter((_, i) => entries[i].trainable);
  if (trainable.length === 0) throw shapeError("train", `${model.name} has no trainable parameter`);
  const errorOf = (answer: Value) => lossOf(model, loss)(answer, labels);
  const error = within("loss", () => auxiliaries.reduce((sum, head) => add(sum, affine(errorOf(head.output), head.weight)), errorOf(output)));
  if (sizeOf(error.shape) !== 1) throw shapeError("train", `the loss has shape ${formatShape(error.shape)}, must have one element`);
  const gradients = grad(error, trainable);
  const slots = trainable.map((p) => optimizer.slots.map((slot) => input(p.spec, `${slot} ${p.name}`)));
  const learned = within("update", () => {
    const scalars = Array.from({ length: optimizer.hypers }, (_, i) => reshape(slice(hyper, [i], [1]), []));
    return trainable.map((p, i) => optimizer.update(p, gradients[i], slots[i], scalars));
  });
  const next = new Map(trainable.map((p, i) => [p, learned[i].param]));
  values.forEach((v, i) => updates[i] && next.set(v, updates[i]));
  const written = values.flatMap((v, i) => (next.has(v) ? [i] : []));
  const outputs: Value[] = [error, output, ...written.map((i) => next.get(values[i])!), ...learned.flatMap((u) => u.slots)];
  const graph = optimise(graphOf([x, labels, hyper, ...seeds, ...values, ...slots.flat()], outputs));
  return { graph, entries, written, seeds: seeds.length, width: sizeOf(output.shape) / batch };
}
