// Shared by the tests of rewritten networks: weights, images, answers and counts.

import { createCpu } from "@conv/kernels-cpu";
import {
  evaluate,
  hostArray,
  ShapeError,
  sizeOf,
  spec,
  UnsupportedError,
  type Backend,
} from "@conv/tensor";
import { afterAll, beforeAll, expect } from "vitest";
import {
  avgPool2d,
  conv2d,
  createPredictor,
  createRandom,
  dropout,
  flatten,
  leakyRelu,
  linear,
  maxPool2d,
  pipe,
  sequential,
  tanh,
  traceModel,
} from "../src/index.ts";
import type { Model, State } from "../src/index.ts";

let backend: Backend;
/** Opens the back end of a test file, and disposes of it. */
export function useBackend(): void {
  beforeAll(async () => {
    backend = await createCpu({ threads: 1 });
  });
  afterAll(() => backend.dispose());
}

/**
 * Numbers for every tensor, such that signals neither vanish nor grow and no normalization is
 * trivial.
 */
export function drawn(model: Model): State {
  return new Map(
    traceModel(model).entries.map(({ name, spec: { shape } }, i) => {
      const bound = shape.length > 1 ? Math.sqrt(6 / sizeOf(shape.slice(1))) : 0.5;
      const at = /(weight|running_var)$/.test(name) && shape.length === 1 ? 1 : 0;
      let bits = i; // a linear congruential generator, for networks have millions of weights
      return [
        name,
        {
          shape,
          data: Float32Array.from(
            { length: sizeOf(shape) },
            () => at + (bound * (bits = (Math.imul(bits, 1664525) + 1013904223) | 0)) / 2 ** 31,
          ),
        },
      ];
    }),
  );
}

export const image = (shape: readonly number[], key = "image"): Float32Array => {
  const random = createRandom(key);
  return Float32Array.from({ length: sizeOf(shape) }, () => random.normal());
};

export async function answer(
  model: Model,
  state: State,
  x: Float32Array,
): Promise<{ shape: readonly number[]; y: Float32Array }> {
  using predictor = createPredictor(backend, model, state, { batch: 2 });
  return { shape: predictor.output, y: await predictor.predict(x) };
}

/** In float64, for one image. */
export function exact(model: Model, state: State, x: Float32Array): Float64Array {
  const { graph, entries } = traceModel(model);
  const arrays = entries.map((e) => hostArray(e.spec, Float64Array.from(state.get(e.name)!.data)));
  return evaluate(graph, [hostArray(spec([1, ...model.input]), Float64Array.from(x)), ...arrays])[0]
    .data;
}

export function expectClose(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  tolerance: number,
): void {
  expect(got.length).toBe(want.length);
  const largest = Math.max(...Array.from(want, Math.abs));
  for (let i = 0; i < want.length; i++)
    expect(Math.abs(got[i] - want[i]) / largest, `element ${i}`).toBeLessThanOrEqual(tolerance);
}

export const failure = (fn: () => unknown): string => {
  try {
    fn();
  } catch (error) {
    if (error instanceof ShapeError || error instanceof UnsupportedError) return error.message;
    throw error;
  }
  throw new Error("nothing was thrown");
};

export const stored = (model: Model, kind: "parameter" | "buffer"): number =>
  traceModel(model).entries.reduce(
    (sum, e) => sum + (e.kind === kind ? sizeOf(e.spec.shape) : 0),
    0,
  );
export const opsOf = (model: Model): string[] =>
  traceModel(model).graph.nodes.map((n) => n.op.name);

/** LeNet-5 for 1×32×32, without padding. */
export const unpadded: Model = {
  name: "unpadded",
  input: [1, 32, 32],
  classes: 10,
  layer: sequential({
    c1: pipe(conv2d(6, 5), tanh()),
    s2: avgPool2d(2),
    c3: pipe(conv2d(16, 5), tanh()),
    s4: maxPool2d(2),
    flat: flatten(),
    c5: pipe(linear(120), tanh()),
    drop: dropout(),
    f6: pipe(linear(84), leakyRelu()),
    output: linear(10),
  }),
};
