// The guard of a training step: a step in which a value is not finite in float32 writes nothing.

import { concat, map, reshape, sum, variable, type Expr } from "@conv/ops";
import { graphOf, input, spec, within, type Graph, type Value } from "@conv/tensor";

// The largest finite float32. The host computes in float64 and rounds results to float32.
const LARGEST = 3.4028234663852886e38;

/**
 * The number of positions at which any of several tensors of equal shape is not finite in float32:
 * NaN, for which all comparisons are false, or larger in magnitude than the largest float32.
 */
export function notFinite(tensors: readonly Value[]): Value {
  const fine = tensors
    .map((_, i): Expr => ["gt", LARGEST, ["abs", variable(i)]])
    .reduce((a, b) => ["mul", a, b]);
  return sum(map("notFinite", ["sub", 1, fine], tensors));
}

const TOGETHER = 4; // tensors in one pass: a gradient, its parameter and two state tensors

/**
 * 1 if `health` is 1 and every tensor is finite, else 0. Tensors of equal shape are checked in one
 * pass.
 */
function stillFine(health: Value, tensors: readonly Value[]): Value {
  const open = new Map<string, Value[]>();
  const groups: Value[][] = [];
  for (const v of tensors) {
    const shape = v.shape.join();
    const last = open.get(shape);
    if (last && last.length < TOGETHER) last.push(v);
    else {
      const group = [v];
      groups.push(group);
      open.set(shape, group);
    }
  }
  const counts = concat(groups.map((list) => reshape(notFinite(list), [1])));
  return map("health", ["mul", "a", ["gt", 1, "b"]], [health, sum(counts)]);
}

/** The tensors that a graph may change, and the new values of those that it changes. */
export interface Changes {
  readonly tensors: readonly Value[];
  readonly next: ReadonlyMap<Value, Value>;
  /** Further values that must be finite. */
  readonly checked: readonly Value[];
  readonly guard?: boolean | undefined;
}

/**
 * A graph whose last outputs are the new values, in the order of `tensors`. With `guard` it has one
 * more input and output, `health`, and all tensors keep their values if any value is not finite.
 */
export function guarded(
  inputs: readonly Value[],
  outputs: readonly Value[],
  { tensors, next, checked, guard = false }: Changes,
): Graph {
  const changing = tensors.flatMap((v) => next.get(v) ?? []);
  if (!guard) return graphOf(inputs, [...outputs, ...changing]);
  return within("guard", () => {
    const health = input(spec([]), "health");
    const after = stillFine(health, [...checked, ...changing]);
    const kept = tensors.flatMap((old) => {
      const value = next.get(old);
      return value ? [map("keep", ["select", "c", "a", "b"], [value, old, after])] : [];
    });
    return graphOf([...inputs, health], [...outputs, ...kept, after]);
  });
}

/** Indices of the values that have a new value. */
export const changed = (values: readonly Value[], next: ReadonlyMap<Value, Value>): number[] =>
  values.flatMap((v, i) => (next.has(v) ? [i] : []));
