// The parameters and buffers of a model on the host: initialization from a seed, and checks that a
// state fits a model.

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

/** A float32 tensor on the host, in row-major order. */
export interface Saved {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Tensors by name, as `state_dict` of PyTorch. */
export type State = Map<string, Saved>;

/** Prefix of the names of an optimizer's tensors in a checkpoint. Names of layers have no slash. */
export const optimizerPrefix = "optimizer/";
/** Prefix of the names of the new values of running statistics among gradients. */
export const nextPrefix = "next/";

/**
 * Initial values of all parameters and buffers. Each tensor depends only on the seed (default 0)
 * and its own name. Throws ShapeError if an initializer does not return a Float32Array of the size
 * of the tensor.
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
          message`the initializer of ${{ tensor: name }} returned ${{ returned: kindOf(data) }}, must return a Float32Array of ${{ count: sizeOf(shape) }} values; write constant(0.1), not constant`,
        );
      return [name, { shape, data }];
    }),
  );
}

/**
 * Index of the first value that is NaN or infinite, or −1. A loop is 15 times as fast as
 * `findIndex`.
 */
export function indexOfNotFinite(data: Float32Array): number {
  let at = 0;
  while (at < data.length && Number.isFinite(data[at])) at++;
  return at < data.length ? at : -1;
}

/**
 * Throws ShapeError for the first value that is NaN or infinite, with the name of its tensor and
 * its index.
 */
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
      message`${{ tensor }} contains ${{ value }} at index ${{ index }}; use weights of an earlier checkpoint`,
    );
  };

/**
 * The data of a state in the order of `entries`. Tensors of an optimizer, as in a checkpoint, are
 * ignored. Throws ShapeError if tensors are missing or unexpected, and for the first tensor with a
 * different shape, a wrong number of values, or a value that is not finite.
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
      message`the state is ${{ kind: kindOf(state) }}, must be a Map from names to { shape, data }`,
    );
  checkNames(name, entries, state);
  const matched = new Map(entries.map((e) => [e.name, state.get(e.name)!]));
  for (const { name: tensor, spec } of entries)
    checkTensor(name, printable(tensor, 80), spec.shape, matched.get(tensor)!);
  mustBeFinite(name, matched, refuse);
  return [...matched.values()].map(({ data }) => data);
}

/**
 * Throws ShapeError unless a state has the tensors of the entries and, except for an optimizer's,
 * no others.
 */
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

/** Throws ShapeError unless a tensor of a state is float32, of the shape `needed`, and complete. */
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
 * The weighted mean of several states, or of gradients, with equal names and shapes: Σ wᵢ·stateᵢ /
 * Σ wᵢ (default: equal weights). Sums are in float64, in the order of the list. Throws ShapeError
 * if names or shapes differ, or if the weights are not one finite number ≥ 0 for each state with a
 * sum > 0.
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

/**
 * The first name and the number of the others. The name may come from a file, so it is made
 * printable.
 */
const some = ([first, ...rest]: readonly string[]): string =>
  printable(first, 80) + (rest.length > 0 ? ` and ${rest.length} more` : "");

/** A state from entries and their data, in the same order. */
export const stateOf = (
  entries: readonly Pick<Entry, "name" | "spec">[],
  arrays: readonly Float32Array[],
): State => new Map(entries.map((e, i) => [e.name, { shape: e.spec.shape, data: arrays[i] }]));
