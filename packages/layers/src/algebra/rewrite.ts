// Shared code for rewriting whole models: a model is traced, its graph is changed, and the changed
// graph becomes a model again, whose tensors keep their names. The new model is for inference only:
// it has no dropout and uses running statistics.

import { type Graph, message, type Node, type Op, unsupported, Value } from "@conv/tensor";
import type { Entry, Layer, Model, TracedModel } from "../layers/layer.ts";
import type { State } from "../state/state.ts";

/** A model and the values of its tensors. */
export interface ModelState {
  readonly model: Model;
  readonly state: State;
}

/** A layer with the tensors `entries`, under their full names, that returns fn(input, tensors). */
export function layerOf(
  type: string,
  entries: readonly Entry[],
  fn: (x: Value, tensors: ReadonlyMap<string, Value>) => Value,
): Layer {
  // Two traces never run at the same time, so they can share one map for the tensors of the
  // context.
  const tensors = new Map<string, Value>();
  const collector = (prefix: string, inside: readonly Entry[]): Layer => {
    const own = inside.filter(({ name }) => !name.slice(prefix.length).includes("."));
    const parts = new Map<string, Entry[]>();
    for (const entry of inside) {
      const [part, ...rest] = entry.name.slice(prefix.length).split(".");
      if (rest.length) parts.set(part, [...(parts.get(part) ?? []), entry]);
    }
    const children = [...parts].map(
      ([name, entries]) => [name, collector(`${prefix}${name}.`, entries)] as const,
    );
    return {
      type,
      forward(x, ctx) {
        for (const { name, spec, init, kind } of own)
          tensors.set(
            name,
            ctx[kind === "parameter" ? "param" : "buffer"](
              name.slice(prefix.length),
              spec.shape,
              init,
            ),
          );
        for (const [name, layer] of children) ctx.child(name, layer, x);
        return x;
      },
    };
  };
  const root = collector("", entries);
  return {
    type,
    forward(x, ctx) {
      if (ctx.training)
        throw unsupported(
          type,
          "inference-only",
          message`this model is for inference; train the model that it was made from`,
        );
      tensors.clear();
      root.forward(x, ctx);
      return fn(x, tensors);
    },
  };
}

/** The value with its node copied to another path. */
export const under = (path: string, { node, index }: Value): Value =>
  place(path, node!.op, node!.params, node!.inputs)[index];

/** Creates a node under a given path. */
function place(
  path: string,
  op: Op<unknown>,
  params: unknown,
  inputs: readonly Value[],
): readonly Value[] {
  const specs = op.infer(
    inputs.map((v) => v.spec),
    params,
  );
  const outputs: Value[] = [];
  const made: Node = { op, params, inputs, outputs, path };
  specs.forEach((s, i) => outputs.push(new Value(made, i, s)));
  return outputs;
}

/** Maps the input of a model (or its value `at`) and its tensors to their replacements. */
export const standIns = (
  { x, values, entries }: TracedModel,
  input: Value,
  tensors: ReadonlyMap<string, Value>,
  at = x,
): Map<Value, Value> =>
  new Map([
    [at, input],
    ...values.flatMap((v, i): [Value, Value][] => {
      const tensor = tensors.get(entries[i].name);
      return tensor ? [[v, tensor]] : [];
    }),
  ]);

/**
 * Copies a node with the replacements of its inputs, and adds its outputs to `known` as
 * replacements of the old ones. Does nothing if an input has no replacement.
 */
export function again(
  n: Node,
  known: Map<Value, Value>,
  inputs: readonly Value[] = n.inputs.flatMap((v) => known.get(v) ?? []),
): void {
  if (inputs.length < n.inputs.length) return;
  const made = place(n.path, n.op, n.params, inputs);
  n.outputs.forEach((v, i) => known.set(v, made[i]));
}

/** The nodes that read each value; a node that reads it twice is listed twice. */
export function consumers(graph: Graph): (v: Value) => readonly Node[] {
  const found = new Map<Value, Node[]>();
  for (const n of graph.nodes) for (const v of n.inputs) found.set(v, [...(found.get(v) ?? []), n]);
  return (v) => found.get(v) ?? [];
}

/** The name of a tensor of the model; undefined for other values. */
export function names({ entries, values }: TracedModel): (v: Value) => string | undefined {
  const found = new Map(values.map((v, i) => [v, entries[i].name]));
  return (v) => found.get(v);
}
