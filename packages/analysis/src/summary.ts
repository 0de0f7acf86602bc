// What a network costs, layer by layer, read off its graph and nothing else. A layer is a path under which nodes were
// traced; a layer below another one (`c3.0` below `c3`, the convolutions of a residual block) is a part of it.

import { reshapeOp } from "@conv/ops";
import { bytesOf, sizeOf, type Graph, type Node, type Spec, type Value } from "@conv/tensor";
import { connectionsOf } from "./connections.ts";
import { receptiveFields, type Field } from "./field.ts";

/** A traced network; `traceModel` of @conv/layers makes one. `values[i]` is the graph's input that `entries[i]` names. */
export interface Traced {
  readonly name: string;
  readonly graph: Graph;
  /** The input proper: (n, c, …space). */
  readonly x: Value;
  readonly entries: readonly { readonly name: string; readonly spec: Spec; readonly kind: "parameter" | "buffer"; readonly trainable: boolean }[];
  readonly values: readonly Value[];
}

/** Counts of a layer or of the whole; {@link conventions} says what each means. */
export interface Counts {
  readonly parameters: number;
  readonly trainable: number;
  readonly buffers: number;
  readonly macs: number;
  readonly flops: number;
  readonly connections: number;
  readonly activationBytes: number;
  readonly parameterBytes: number;
}

export interface LayerSummary extends Counts {
  /** The layer's name; "" for what stands outside any. */
  readonly path: string;
  /** The op with most connections, else the last. */
  readonly type: string;
  /** All ops on the way from the layer's input to its output, in order, without those of its parts. */
  readonly ops: readonly string[];
  /** Sizes of the window of `type` along each axis; absent where it has none. */
  readonly kernel?: readonly number[];
  /** Shape, batch first. */
  readonly output: readonly number[];
  /** One for each spatial axis of the network's input. */
  readonly receptiveField: readonly Field[];
  /** Layers inside this one; all its counts include theirs. */
  readonly parts: readonly LayerSummary[];
}

/** Plain data, ready for JSON. */
export interface Summary {
  readonly model: string;
  /** Shape, batch first. */
  readonly input: readonly number[];
  readonly totals: Counts;
  readonly layers: readonly LayerSummary[];
  readonly conventions: typeof conventions;
}

/** What every number means, and whose counting it follows. */
export const conventions = {
  parameters: "numbers in saved tensors that are learned (PyTorch: parameters)",
  trainable: "parameters that training changes: all but the frozen",
  buffers: "numbers in saved tensors that are not learned (PyTorch: buffers)",
  macs: "multiply-accumulates of convolutions and matrix products for the whole batch, products with padding included, bias not (torchvision)",
  flops:
    "every arithmetic operation for the whole batch: 2 per MAC, and 1 for each function of an elementwise op, comparison of a maximum or addition of a pool (bias included)",
  connections: "lines into the units of a layer for one sample, biases and padding included (LeCun et al. 1998)",
  activationBytes: "float32 output of each layer and part for the whole batch, 4 bytes a number; the input and mere changes of shape take none",
  parameterBytes: "parameters and buffers as float32, 4 bytes a number",
  receptiveField: "inputs that one output depends on, per axis: output o sees `size` of them from start + jump·o (Araujo, Norris, Sim 2019)",
} as const;

/** Summarises a traced network: per layer, in order of first use, and in total. */
export function summarise({ name, graph, x, entries, values }: Traced): Summary {
  const fields = receptiveFields(graph, x);
  const activations = new Set(fields.keys());
  const nodesOf = new Map<string, Node[]>();
  for (const n of graph.nodes) nodesOf.set(n.path, [...(nodesOf.get(n.path) ?? []), n]);
  const computing = graph.nodes.filter((n) => activations.has(n.outputs[0]));
  const running = (path: string) => computing.filter((n) => n.path === path);
  const paths = [...new Set(computing.map((n) => n.path))]; // scales made of parameters alone may stand long before
  const parentOf = (path: string) => paths.filter((p) => p !== "" && path.startsWith(`${p}.`)).reduce((a, b) => (b.length > a.length ? b : a), "");
  const owner = new Map<Value, string>(); // a tensor belongs to the layer that uses it first
  for (const n of graph.nodes) for (const v of n.inputs) if (!owner.has(v)) owner.set(v, n.path);

  const layer = (path: string): LayerSummary => {
    const own = running(path);
    const parts = path === "" ? [] : paths.filter((p) => parentOf(p) === path).map(layer);
    const inside = (p: string) => p === path || (path !== "" && p.startsWith(`${path}.`));
    const nodes = graph.nodes.filter((n) => inside(n.path));
    const lines = nodes.map((n) => (activations.has(n.outputs[0]) ? connectionsOf(n, activations) : 0));
    const most = Math.max(...lines);
    const main = most > 0 ? nodes[lines.indexOf(most)] : own[own.length - 1];
    const kernel = main.op.window?.(main.params).map((w) => w.kernel);
    const [output] = own[own.length - 1].outputs;
    return {
      path,
      type: main.op.name,
      ops: own.map((n) => n.op.name),
      ...(kernel && { kernel }),
      output: output.shape,
      ...stored(entries.filter((_, i) => inside(owner.get(values[i]) ?? ""))),
      macs: sum(nodes.map((n) => costOf(n).macs)),
      flops: sum(nodes.map((n) => costOf(n).flops)),
      connections: sum(lines) / x.shape[0],
      activationBytes: (own.every((n) => n.op === reshapeOp) ? 0 : bytesOf(output.spec)) + sum(parts.map((p) => p.activationBytes)),
      receptiveField: fields.get(output)!,
      parts,
    };
  };

  const layers = paths.filter((path) => parentOf(path) === "").map(layer);
  const total = (key: "macs" | "flops" | "connections" | "activationBytes") => sum(layers.map((l) => l[key]));
  const totals = {
    ...stored(entries),
    macs: total("macs"),
    flops: total("flops"),
    connections: total("connections"),
    activationBytes: total("activationBytes"),
  };
  return { model: name, input: x.shape, totals, layers, conventions };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

const costOf = (n: Node) =>
  n.op.cost(
    n.inputs.map((v) => v.spec),
    n.params,
  );

function stored(entries: Traced["entries"]) {
  const numbers = (list: Traced["entries"]) => sum(list.map((e) => sizeOf(e.spec.shape)));
  const own = entries.filter((e) => e.kind === "parameter");
  const [parameters, all] = [numbers(own), numbers(entries)];
  return { parameters, trainable: numbers(own.filter((e) => e.trainable)), buffers: all - parameters, parameterBytes: 4 * all };
}
