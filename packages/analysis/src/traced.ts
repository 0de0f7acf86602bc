// A network as analysis reads it: a graph, its input, and its parameters and buffers; and the
// entries on which each value depends.

import {
  checkOptions,
  graphOf,
  input,
  message,
  shapeError,
  spec,
  Value,
  type Graph,
  type Spec,
} from "@conv/tensor";
import { mustBeOneOf } from "./check.ts";

/**
 * A traced network; `traceModel` of @conv/layers makes one. `values[i]` is the graph's input that
 * `entries[i]` names.
 */
export interface Traced {
  readonly name: string;
  readonly graph: Graph;
  /** The input proper: (n, c, …space). */
  readonly x: Value;
  readonly entries: readonly {
    readonly name: string;
    readonly spec: Spec;
    readonly kind: "parameter" | "buffer";
    readonly trainable: boolean;
  }[];
  readonly values: readonly Value[];
}

export interface FunctionOptions {
  /** Default: the function's own. */
  readonly name?: string | undefined;
  /** Names of tensors that are saved but not learned. */
  readonly buffers?: readonly string[] | undefined;
  /** Names of parameters that training leaves as they are. */
  readonly frozen?: readonly string[] | undefined;
}

/**
 * A function of tensors as analysis sees it, by the shapes of what it takes: the first is the input
 * (n, c, …space), the others are its parameters. Throws what the function throws, ShapeError where
 * it takes nothing, and RangeError for unknown options and names.
 */
export function tracedOf(
  fn: (...inputs: Value[]) => Value | readonly Value[],
  shapes: Readonly<Record<string, readonly number[]>>,
  options: FunctionOptions = {},
): Traced {
  checkOptions("tracedOf", options, "name buffers frozen");
  const { name = fn.name || "function", buffers = [], frozen = [] } = options;
  const inputs = Object.entries(shapes).map(([key, shape]) => input(spec(shape), key));
  const [x, ...values] = inputs;
  if (!x)
    throw shapeError(
      "tracedOf",
      "no-inputs",
      message`the function takes no tensors; give the shape of its input first`,
    );
  for (const of of [...buffers, ...frozen])
    mustBeOneOf("tracedOf", "parameter", of, Object.keys(shapes).slice(1));
  const entries = values.map((v) => {
    const [of, kind] = [
      `${v.name}`,
      buffers.includes(`${v.name}`) ? ("buffer" as const) : ("parameter" as const),
    ];
    return {
      name: of,
      spec: v.spec,
      kind,
      trainable: kind === "parameter" && !frozen.includes(of),
    };
  });
  const outputs = fn(...inputs);
  return {
    name,
    graph: graphOf(inputs, outputs instanceof Value ? [outputs] : outputs),
    x,
    entries,
    values,
  };
}

/**
 * For each value that does not depend on the input: the indices of the entries that it is made of.
 */
export function madeOf(
  { graph, values }: Traced,
  activations: ReadonlySet<Value>,
): Map<Value, ReadonlySet<number>> {
  const made = new Map<Value, ReadonlySet<number>>(values.map((v, i) => [v, new Set([i])]));
  for (const n of graph.nodes) {
    if (activations.has(n.outputs[0])) continue;
    const all = new Set(n.inputs.flatMap((v) => [...(made.get(v) ?? [])]));
    for (const v of n.outputs) made.set(v, all);
  }
  return made;
}

export const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);

/** Bytes in use during each of so many steps. */
export function timelineOf(
  held: readonly { readonly bytes: number; readonly from: number; readonly to: number }[],
  steps: number,
): number[] {
  const change = new Float64Array(steps + 1);
  for (const { bytes, from, to } of held) {
    change[from] += bytes;
    change[to + 1] -= bytes;
  }
  let now = 0;
  return Array.from({ length: steps }, (_, i) => (now += change[i]));
}

/** The largest of these, 0 of none. */
export const most = (list: readonly number[]): number => list.reduce((a, b) => Math.max(a, b), 0);
