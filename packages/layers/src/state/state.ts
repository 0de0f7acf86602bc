// The values of a model's parameters on the host: first values by seed, and the check that a state
// fits a model.

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
import { describeModel, type Entry, type Model, type Values } from "../layers/layer.ts";

/** One tensor on the host, float32, in the order of its shape. */
export interface Saved {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Named tensors, as saved and loaded. */
export type State = Map<string, Saved>;

/** Prefix of the names of an optimizer's tensors in a checkpoint; no layer can have such a name. */
export const optimizerPrefix = "optimizer/";
/** Prefix of the names of the new values of running statistics among gradients. */
export const nextPrefix = "next/";

/**
 * First values of all parameters and buffers. Each depends on the seed and its own name only.
 * Throws ShapeError where an init does not return as many values as the tensor holds.
 */
export function initialize<I extends Values, O extends Values>(
  model: Model<I, O>,
  seed = 0,
): State {
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

/** Index of the first value that is NaN or infinite, or −1. The loop is 15 times as fast as `findIndex`. */
export function indexOfNotFinite(data: Float32Array): number {
  let at = 0;
  while (at < data.length && Number.isFinite(data[at])) at++;
  return at < data.length ? at : -1;
}

/** Throws ShapeError for a value that is NaN or infinite. */
export function mustBeFinite(name: string, state: State, refuse = refuseIn(name)): void {
  for (const [tensor, { data }] of state) {
    const at = indexOfNotFinite(data);
    if (at >= 0) refuse(tensor, data[at], at);
  }
}

const refuseIn =
  (name: string) =>
  (tensor: string, value: number, index = 0): void => {
    throw shapeError(
      name,
      "not-finite",
      message`${{ tensor }} holds ${{ value }} at index ${{ index }}; use weights of an earlier checkpoint`,
    );
  };

/**
 * The tensors of `state` in the order of `entries`; those of an optimizer, as in a checkpoint, are
 * skipped. Throws ShapeError where tensors are missing or unexpected, or for the first whose shape
 * differs, or whose data do not fill the shape or are not finite.
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
      "state-kind",
      message`the state is ${{ kind: kindOf(state) }}, must be a Map of names to { shape, data }`,
    );
  checkNames(name, entries, state);
  const matched = new Map(entries.map((e) => [e.name, state.get(e.name)!]));
  for (const { name: tensor, spec } of entries)
    checkTensor(name, printable(tensor, 80), spec.shape, matched.get(tensor)!);
  mustBeFinite(name, matched, refuse);
  return [...matched.values()].map(({ data }) => data);
}

/** Throws ShapeError where a state has other tensors than the entries. */
export function checkNames(
  name: string,
  entries: readonly Pick<Entry, "name">[],
  state: State,
  problem = "these weights belong to another network",
): void {
  const wanted = new Set(entries.map((e) => e.name));
  const missing = entries.filter((e) => !state.has(e.name)).map((e) => e.name);
  const unexpected = [...state.keys()].filter(
    (k) => !wanted.has(k) && !k.startsWith(optimizerPrefix),
  );
  if (missing.length === 0 && unexpected.length === 0) return;
  const list = [
    missing.length > 0 && `missing ${some(missing)}`,
    unexpected.length > 0 && `unexpected ${some(unexpected)}`,
  ];
  const text = `${problem} (${list.filter(Boolean).join("; ")})`;
  throw shapeError(name, "other-network", {
    text,
    values: {
      missing: missing.length,
      firstMissing: printable(missing[0] ?? "", 80),
      unexpected: unexpected.length,
      firstUnexpected: printable(unexpected[0] ?? "", 80),
    },
  });
}

/** Throws ShapeError where a saved tensor does not fit. */
function checkTensor(
  name: string,
  tensor: string,
  needed: readonly number[],
  { shape, data }: Saved,
): void {
  if (kindOf(data) !== "Float32Array")
    throw shapeError(
      name,
      "data-kind",
      message`${{ tensor }} has data of kind ${{ kind: kindOf(data) }} in the state, must be Float32Array`,
    );
  if (!sameShape(shape, needed))
    throw shapeError(
      name,
      "tensor-shape",
      message`${{ tensor }} has shape ${{ given: formatShape(shape) }} in the state, ${{ needed: formatShape(needed) }} in the model`,
    );
  if (data.length !== sizeOf(shape))
    throw shapeError(
      name,
      "data-length",
      message`${{ tensor }} of shape ${{ shape: formatShape(shape) }} has ${{ values: data.length }} values`,
    );
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
      "weights",
      message`weights ${{ weights: weights.join(", ") }} are not ${{ count: states.length }} finite numbers ≥ 0 with a sum > 0`,
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

/** The first name, printable as it may come from a file, and the number of the others. */
const some = ([first, ...rest]: readonly string[]): string =>
  printable(first, 80) + (rest.length > 0 ? ` and ${rest.length} more` : "");

/** The tensors of these entries. */
export const stateOf = (
  entries: readonly Pick<Entry, "name" | "spec">[],
  arrays: readonly Float32Array[],
): State => new Map(entries.map((e, i) => [e.name, { shape: e.spec.shape, data: arrays[i] }]));
