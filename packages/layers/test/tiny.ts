// Shared by the tests: a task that a tiny net learns in a few steps, stripes across or along, and
// how to read weights.

import { createHost, sizeOf, type Backend } from "@conv/tensor";
import { expect } from "vitest";
import {
  arrayDataset,
  conv1d,
  conv2d,
  conv3d,
  createRandom,
  dropout,
  flatten,
  linear,
  maxPool1d,
  maxPool2d,
  maxPool3d,
  pipe,
  relu,
  sequential,
} from "../src/index.ts";
import type { Dataset, Layer, Model, State, Trainer } from "../src/index.ts";

const convs = [conv1d, conv2d, conv3d];
const pools = [maxPool1d, maxPool2d, maxPool3d];

/** conv 3, relu, pool 2, dropout, linear over `rank` axes of six. */
export const tinyModel = (rank = 2, drop = 0): Model => ({
  name: "tiny",
  input: [1, ...Array.from({ length: rank }, () => 6)],
  classes: 2,
  layer: sequential({
    c1: pipe(convs[rank - 1](3, 3), relu()),
    s2: pools[rank - 1](2),
    flat: flatten(),
    drop: dropout(drop),
    out: linear(2),
  }),
});

/**
 * Samples of class 0 change along the last axis, those of class 1 not (with one axis: at twice the
 * pace), all with noise.
 */
export function stripes(count: number, rank = 2, seed = 0): Dataset {
  const random = createRandom(`stripes ${seed}`);
  const sample = tinyModel(rank).input;
  const size = sizeOf(sample);
  const y = Int32Array.from({ length: count }, (_, i) => i % 2);
  const x = Float32Array.from({ length: count * size }, (_, at) => {
    const [i, k] = [Math.floor(at / size), at % size];
    const phase = y[i] === 0 ? k % 6 : rank === 1 ? k >> 1 : Math.floor(k / 6);
    return (phase % 2) + 0.2 * random.normal();
  });
  return arrayDataset({ x, y, sample });
}

/** A model of one layer. */
export const only = (layer: Layer, input: readonly number[]): Model => ({
  name: "only",
  layer,
  input,
});

/** Weights as plain numbers, to be compared whole. */
export const plain = (state: State): Record<string, number[]> =>
  Object.fromEntries([...state].map(([name, { data }]) => [name, [...data]]));

export const weightsOf = async (trainer: Trainer): Promise<Record<string, number[]>> =>
  plain(await trainer.state());

/** Runs a test on the host and checks that it gave everything back. */
export async function onHost(test: (backend: Backend) => Promise<void>): Promise<void> {
  const backend = createHost();
  await test(backend);
  const { buffers, programs } = backend.memory();
  if (buffers || programs)
    throw new Error(`${buffers} buffers and ${programs} programs were not freed`);
  backend.dispose();
}

export async function all<T>(iterable: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of iterable) list.push(item);
  return list;
}

/** Matches an error of this name and message, with this code or any. */
export const failure = (name: string, message: string, code: unknown = expect.any(String)) =>
  expect.objectContaining({ name, message, code });
