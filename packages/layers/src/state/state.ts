// The values of a model's parameters, apart from any device: first values by seed, and the check
// that a state fits a model.

import {
  formatShape,
  kindOf,
  message,
  printable,
  sameShape,
  shapeError,
  sizeOf,
} from "@conv/tensor";
import { createRandom } from "../data/random.ts";
import { describeModel, type Entry, type Model } from "../layers/layer.ts";

/** One tensor on the host, float32, in the order of its shape. */
export interface Saved {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Named tensors, as saved and loaded. */
export type State = Map<string, Saved>;

/**
 * What stands before the names of an optimizer's tensors in a checkpoint; no layer can have such a
 * name.
 */
export const optimizerPrefix = "optimizer/";
/** What stands before the names of running statistics among gradients: what they become. */
export const nextPrefix = "next/";

/**
 * First values of all parameters and buffers. Each depends on the seed and its own name only.
 * Throws ShapeError where an init does not return as many values as the tensor holds.
 */
export function initialize(model: Model, seed = 0): State {
  return new Map(
    describeModel(model).entries.map(({ name, spec: { shape }, init }) => {
      const data = init(shape, createRandom(`${seed} ${name}`));
      if (!(data instanceof Float32Array) || data.length !== sizeOf(shape))
        throw shapeError(
          model.name,
          "init-values",
          message`the init of ${{ tensor: name }} returned ${{ returned: kindOf(data) }}, must return a Float32Array of ${{ count: sizeOf(shape) }} values; write constant(0.1), not constant`,
        );
      return [name, { shape, data }];
    }),
  );
}

/**
 * Index of the first value that is NaN or infinite, or −1. A plain loop takes a fifteenth of the
 * time of `findIndex`.
 */
export function indexOfNotFinite(data: Float32Array): number {
  let at = 0;
  while (at < data.length && Number.isFinite(data[at])) at++;
  return at < data.length ? at : -1;
}

/**
 * Throws ShapeError, naming tensor and place, where a number is NaN or infinite: nobody can predict
 * or train on with such.
 */
export function mustBeFinite(name: string, state: State, refuse = refuseIn(name)): void {
  for (const [tensor, { data }] of state) {
    const at = indexOfNotFinite(data);
    if (at >= 0) refuse(tensor, data[at], at);
  }
}

const refuseIn =
  (name: string) =>
  (tensor: string, value: number, at = 0): void => {
    throw shapeError(
      name,
      `${tensor} holds ${value} at place ${at}; these weights are spoilt, take those of an earlier checkpoint`,
    );
  };

/**
 * The tensors of `state` in the order of `entries`. An optimizer's tensors, as in a checkpoint, are
 * passed over. Throws ShapeError that names missing and unexpected tensors, or the first whose
 * shape differs, whose data do not fill it or are not finite.
 */
export function matchState(
  name: string,
  entries: readonly Pick<Entry, "name" | "spec">[],
  state: State,
  refuse?: (tensor: string, value: number) => void,
): Float32Array[] {
  if (typeof state?.has !== "function")
    throw shapeError(
      name,
      `the state is ${kindOf(state)}, must be a Map of names to { shape, data }`,
    );
  const wanted = new Set(entries.map((e) => e.name));
  const missing = entries.filter((e) => !state.has(e.name)).map((e) => e.name);
  const unexpected = [...state.keys()].filter(
    (k) => !wanted.has(k) && !k.startsWith(optimizerPrefix),
  );
  if (missing.length || unexpected.length)
    throw shapeError(
      name,
      `state does not fit: ${[missing.length && `missing ${some(missing)}`, unexpected.length && `unexpected ${some(unexpected)}`].filter(Boolean).join("; ")}`,
    );
  const matched = new Map(entries.map((e) => [e.name, state.get(e.name)!]));
  for (const e of entries) {
    const { shape, data } = matched.get(e.name)!;
    if (kindOf(data) !== "Float32Array")
      throw shapeError(
        name,
        `${e.name} has data of kind ${kindOf(data)} in the state, must be Float32Array`,
      );
    if (!sameShape(shape, e.spec.shape))
      throw shapeError(
        name,
        `${printable(e.name, 80)} has shape ${formatShape(shape)} in the state, ${formatShape(e.spec.shape)} in the model`,
      );
    if (data.length !== sizeOf(shape))
      throw shapeError(
        name,
        `${printable(e.name, 80)} of shape ${formatShape(shape)} has ${data.length} values`,
      );
  }
  mustBeFinite(name, matched, refuse);
  return [...matched.values()].map(({ data }) => data);
}

/**
 * The mean of several states, or of gradients, of equal names and shapes; with weights Σ wᵢ·stateᵢ
 * / Σ wᵢ. Sums are in float64, in the order of the list. Throws ShapeError where they differ, or
 * weights are not as many finite numbers ≥ 0 with a sum > 0.
 */
export function average(
  states: readonly State[],
  weights: readonly number[] = states.map(() => 1),
): State {
  const total = weights.reduce((a, b) => a + b, 0);
  if (
    weights.length !== states.length ||
    !weights.every((w) => w >= 0) ||
    !(total > 0 && Number.isFinite(total))
  )
    throw shapeError(
      "average",
      `weights ${weights.join(", ")} are not ${states.length} finite numbers ≥ 0 with a sum > 0`,
    );
  const entries = [...states[0]].map(([name, { shape }]) => ({
    name,
    spec: { shape, dtype: "float32" as const },
  }));
  const arrays = states.map((state) => matchState("average", entries, state));
  return new Map(
    entries.map(({ name, spec: { shape } }, i) => {
      const data = arrays[0][i].map(
        (_, k) => arrays.reduce((sum, list, s) => sum + weights[s] * list[i][k], 0) / total,
      );
      return [name, { shape, data }];
    }),
  );
}

/**
 * All names, or the first of many; each as a message may hold it, for they may come from a file.
 */
const some = (names: readonly string[]): string =>
  names
    .slice(0, names.length > 8 ? 6 : 8)
    .map((name) => printable(name, 80))
    .join(", ") + (names.length > 8 ? ` and ${names.length - 6} more` : "");
