// The values of a model's parameters, apart from any device: first values by seed, and the check that a state fits a model.

import { formatShape, printable, sameShape, shapeError } from "@conv/tensor";
import { traceModel, type Entry, type Model } from "./layer.ts";
import { createRandom } from "./random.ts";

/** One tensor on the host, float32, in the order of its shape. */
export interface Saved {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Named tensors, as saved and loaded. */
export type State = Map<string, Saved>;

/** What stands before the names of an optimiser's tensors in a checkpoint; no layer can have such a name. */
export const optimizerPrefix = "optimizer/";

/** First values of all parameters and buffers. Each depends on the seed and its own name only. */
export function initialise(model: Model, seed = 0): State {
  return new Map(
    traceModel(model).entries.map(({ name, spec: { shape }, init }) => [name, { shape, data: init(shape, createRandom(`${seed} ${name}`)) }]),
  );
}

/**
 * The tensors of `state` in the order of `entries`. An optimiser's tensors, as in a checkpoint, are passed over.
 * Throws ShapeError that names missing and unexpected tensors, or the first whose shape differs.
 */
export function matchState(name: string, entries: readonly Pick<Entry, "name" | "spec">[], state: State): Float32Array[] {
  const wanted = new Set(entries.map((e) => e.name));
  const missing = entries.filter((e) => !state.has(e.name)).map((e) => e.name);
  const unexpected = [...state.keys()].filter((k) => !wanted.has(k) && !k.startsWith(optimizerPrefix));
  if (missing.length || unexpected.length)
    throw shapeError(
      name,
      `state does not fit: ${[missing.length && `missing ${some(missing)}`, unexpected.length && `unexpected ${some(unexpected)}`].filter(Boolean).join("; ")}`,
    );
  return entries.map((e) => {
    const { shape, data } = state.get(e.name)!;
    if (!sameShape(shape, e.spec.shape))
      throw shapeError(name, `${e.name} has shape ${formatShape(shape)} in the state, ${formatShape(e.spec.shape)} in the model`);
    return data;
  });
}

/**
 * The mean of several states, or of gradients, of equal names and shapes; with weights Σ wᵢ·stateᵢ / Σ wᵢ. Sums are in float64, in the order of
 * the list. Throws ShapeError where they differ, or weights are not as many finite numbers ≥ 0 with a sum > 0.
 */
export function average(states: readonly State[], weights: readonly number[] = states.map(() => 1)): State {
  const total = weights.reduce((a, b) => a + b, 0);
  if (weights.length !== states.length || !weights.every((w) => w >= 0) || !(total > 0 && Number.isFinite(total)))
    throw shapeError("average", `weights ${weights.join(", ")} are not ${states.length} finite numbers ≥ 0 with a sum > 0`);
  const entries = [...states[0]].map(([name, { shape }]) => ({ name, spec: { shape, dtype: "float32" as const } }));
  const arrays = states.map((state) => matchState("average", entries, state));
  return new Map(
    entries.map(({ name, spec: { shape } }, i) => {
      const data = arrays[0][i].map((_, k) => arrays.reduce((sum, list, s) => sum + weights[s] * list[i][k], 0) / total);
      return [name, { shape, data }];
    }),
  );
}

/** All names, or the first of many; each as a message may hold it, for they may come from a file. */
const some = (names: readonly string[]): string =>
  names
    .slice(0, names.length > 8 ? 6 : 8)
    .map((name) => printable(name, 80))
    .join(", ") + (names.length > 8 ? ` and ${names.length - 6} more` : "");
