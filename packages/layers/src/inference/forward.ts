// Forward passes of a model whose parameters are on a device: one program for each batch size,
// compiled at its first use.

import {
  allocate,
  bytesOf,
  createCache,
  graphOf,
  input,
  optimize,
  sizeOf,
  spec,
  type Backend,
  type Buffer,
  type Graph,
  type Program,
  type Value,
} from "@conv/tensor";
import type { Batch, Target } from "../data/data.ts";
import { traceModel, type Model } from "../layers/layer.ts";

/**
 * Number of compiled programs that a predictor or a trainer keeps. A new one replaces the least
 * recently used.
 */
export const KEPT_PROGRAMS = 8;

/** A program, with buffers for its inputs and outputs. */
export interface Compiled {
  readonly program: Program;
  readonly inputs: readonly Buffer[];
  readonly outputs: readonly Buffer[];
}

export interface Forward {
  /**
   * Compiles the program for `count` samples. Throws ShapeError if the model needs more samples.
   */
  prepare(count: number, target?: Target): void;
  /**
   * Enqueues one pass over the samples in x. Returns the output, and the result of `measures` if
   * there is one.
   */
  run(
    x: Float32Array,
    labels?: Batch["y"],
    target?: Target,
  ): { output: Promise<Float32Array>; measured: Promise<Float32Array> };
  dispose(): void;
}

/**
 * `parameters` are in the order of the model's entries; the caller frees them. `measures` computes
 * a value from output and labels in the same program; without it, `run` takes no labels and
 * `measured` is empty.
 */
export function createForward(
  backend: Backend,
  model: Model,
  parameters: readonly Buffer[],
  measures?: (output: Value, labels: Value) => Value,
): Forward {
  const compiled = createCache<Compiled>(
    KEPT_PROGRAMS,
    (made) => release(backend, made),
    model.name,
  );
  const size = sampleSize(model);
  const compile = (n: number, target?: Target): Compiled => {
    const { x, values, output } = traceModel(model, { batch: n });
    const labels = labelsOf(n, target);
    const inputs = measures ? [x, labels] : [x];
    const outputs = measures ? [output, measures(output, labels)] : [output];
    return compileStep(
      backend,
      optimize(graphOf([...inputs, ...values], outputs)),
      inputs.length,
      outputs.length,
    );
  };
  const made = (n: number, target?: Target): Compiled =>
    compiled.get(targetKey(n, target), () => compile(n, target));
  return {
    prepare: (n, target) => void made(n, target),
    run(x, labels, target) {
      const { program, inputs, outputs } = made(x.length / size, target);
      backend.write(inputs[0], x);
      if (labels) backend.write(inputs[1], labels);
      program.run([...inputs, ...parameters], outputs);
      const read = (i: number) => readFloats(backend, outputs[i]);
      return {
        output: read(0),
        measured: measures ? read(1) : Promise.resolve(new Float32Array()),
      };
    },
    dispose: compiled.dispose,
  };
}

/**
 * The labels of n samples as an input of a graph, with shape and dtype of the target (default:
 * classes).
 */
export const labelsOf = (n: number, target?: Target): Value =>
  input(spec([n, ...(target?.shape ?? [])], target?.dtype ?? "int32"), "labels");

/** A key for the cache of programs: the number of samples, and shape and dtype of labels. */
export const targetKey = (n: number, target?: Target): string =>
  `${n} ${target?.dtype ?? "int32"} ${target?.shape.join() ?? ""}`;

export const readFloats = (backend: Backend, buffer: Buffer): Promise<Float32Array> =>
  backend.read(buffer).then((bytes) => new Float32Array(bytes));

/**
 * Compiles a graph and allocates buffers for its first inputs and outputs. If this throws, nothing
 * stays allocated.
 */
export function compileStep(
  backend: Backend,
  graph: Graph,
  inputs: number,
  outputs: number,
): Compiled {
  const program = backend.compile(graph);
  try {
    const held = [...graph.inputs.slice(0, inputs), ...graph.outputs.slice(0, outputs)];
    const buffers = allocate(
      backend,
      held.map((v) => bytesOf(v.spec)),
    );
    return { program, inputs: buffers.slice(0, inputs), outputs: buffers.slice(inputs) };
  } catch (error) {
    program.dispose();
    throw error;
  }
}

export function release(backend: Backend, { program, inputs, outputs }: Compiled): void {
  program.dispose();
  for (const buffer of [...inputs, ...outputs]) backend.free(buffer);
}

/** Copies float arrays to new buffers. If this throws, nothing stays allocated. */
export function upload(backend: Backend, arrays: readonly Float32Array[]): Buffer[] {
  const buffers = allocate(
    backend,
    arrays.map((data) => data.byteLength),
  );
  arrays.forEach((data, i) => backend.write(buffers[i], data));
  return buffers;
}

/**
 * The class with the largest value for each label, the first of equal ones. NaN counts as larger
 * than all numbers. `values` are the outputs of `rows` samples, (rows, classes, labels), where
 * `labels` is 1, or the number of pixels.
 */
export function argMax(values: Float32Array, rows: number, labels = 1): Int32Array {
  const width = values.length / rows;
  return Int32Array.from({ length: rows * labels }, (_, at) => {
    const start = Math.floor(at / labels) * width + (at % labels);
    let best = start;
    for (let i = start + labels; i < (Math.floor(at / labels) + 1) * width; i += labels)
      if (values[i] > values[best] || Number.isNaN(values[i])) best = i;
    return (best - start) / labels;
  });
}

export const sampleSize = (model: Model): number => sizeOf(model.input);
