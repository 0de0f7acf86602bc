// What a network costs, layer by layer, read off its graph and nothing else. A layer is a path
// under which nodes were traced; a layer below another one (`c3.0` below `c3`, the convolutions of
// a residual block) is a part of it.

import { receptiveFields, type ReceptiveField } from "@conv/compiler";
import { reshapeOp } from "@conv/ops";
import { bytesOf, checkOptions, sizeOf, type Node, type Value } from "@conv/tensor";
import { connectionsOf } from "./connections.ts";
import {
  countNodes,
  operationConventions,
  torchinfoMemory,
  type Convention,
  type Operations,
  type TorchinfoMemory,
} from "./operations.ts";
import { sum, type Traced } from "./traced.ts";

/** Counts of a layer or of the whole; {@link conventions} says what each means. */
export interface Counts {
  readonly parameters: number;
  readonly trainable: number;
  readonly frozen: number;
  readonly shared: number;
  readonly buffers: number;
  readonly macs: number;
  readonly flops: number;
  /**
   * One number for each convention by which operations are counted; `operationConventions` says
   * what each means.
   */
  readonly operations: Operations;
  /** Multiply-accumulates of the gradients, dx to the input and dw to the parameters. */
  readonly backward: { readonly dx: number; readonly dw: number };
  readonly connections: number;
  readonly elements: number;
  readonly movedBytes: number;
  readonly activationBytes: number;
  readonly parameterBytes: number;
}

export interface LayerSummary extends Counts {
  /** The layer's name; "" for what stands outside any. */
  readonly path: string;
  /** The op with most connections, else the last; "module" where only its parts compute. */
  readonly type: string;
  /**
   * All ops on the way from the layer's input to its output, in order, without those of its parts.
   */
  readonly ops: readonly string[];
  /** Sizes of the window of `type` along each axis; absent where it has none. */
  readonly kernel?: readonly number[] | undefined;
  /** Shape, batch first. */
  readonly output: readonly number[];
  /** One for each spatial axis of the network's input. */
  readonly receptiveField: readonly ReceptiveField[];
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
  /**
   * Of the parameters those of layers that only training runs, so that no layer here has them;
   * absent where there are none.
   */
  readonly trainingOnly?: number | undefined;
  /** Bytes by the rule that torchinfo prints. */
  readonly torchinfo: TorchinfoMemory;
  readonly conventions: typeof conventions;
}

/** What every number means, and whose counting it follows. */
export const conventions = {
  parameters: "numbers in saved tensors that are learned (PyTorch: parameters)",
  trainable: "parameters that training changes: all but the frozen",
  frozen: "parameters that training leaves as they are",
  shared:
    "parameters that another layer uses too; they are counted once, with the layer that uses them first",
  buffers: "numbers in saved tensors that are not learned (PyTorch: buffers)",
  macs: operationConventions.torchvision,
  flops:
    "every arithmetic operation for the whole batch: 2 per MAC, and 1 for each function of an elementwise op, comparison of a maximum or addition of a pool (bias included)",
  operations: operationConventions,
  backward:
    "multiply-accumulates of the gradients for the whole batch, as torchvision counts: dx to the layer's input, none where nothing before it is trained, and dw to its parameters",
  connections:
    "lines into the units of a layer for one sample, biases and padding included (LeCun et al. 1998)",
  elements:
    "numbers that the layer and its parts give out for the whole batch; mere changes of shape give out none",
  movedBytes:
    "bytes that all operations read and write for the whole batch, each operand once, as float32, if nothing is fused",
  activationBytes:
    "float32 output of each layer and part for the whole batch, 4 bytes a number; the input and mere changes of shape take none",
  parameterBytes: "parameters and buffers as float32, 4 bytes a number",
  receptiveField:
    "inputs that one output depends on, per axis: output o sees `size` of them from start + jump·o (Araujo, Norris, Sim 2019)",
} as const;

export interface SummaryOptions {
  /**
   * Rolls up by module: `layer1` holds `layer1.0` and so on, though nothing computes in it but its
   * parts.
   */
  readonly modules?: boolean | undefined;
}

/** Summarizes a traced network: per layer, in order of first use, and in total. */
export function summarize(traced: Traced, options: SummaryOptions = {}): Summary {
  checkOptions("summarize", options, "modules");
  const { modules = false } = options;
  const { name, graph, x, entries, values } = traced;
  const fields = receptiveFields(graph, x);
  const activations = new Set(fields.keys());
  const counts = countNodes(traced);
  const lines = new Map(
    graph.nodes.map((n) => [
      n,
      activations.has(n.outputs[0]) ? connectionsOf(n, activations) / x.shape[0] : 0,
    ]),
  );
  const computing = graph.nodes.filter((n) => activations.has(n.outputs[0]));
  const running = groupBy(computing, (n) => [n.path]);
  // Scales made of parameters alone may stand long before the layer computes.
  const paths = [
    ...new Set([...running.keys()].flatMap((path) => (modules ? prefixes(path) : [path]))),
  ];
  const known = new Set(paths);
  const parentOf = (path: string): string => {
    for (let at = path.lastIndexOf("."); at > 0; at = path.lastIndexOf(".", at - 1))
      if (known.has(path.slice(0, at))) return path.slice(0, at);
    return "";
  };
  const partsOf = groupBy(
    paths.filter((p) => p !== ""),
    (path) => [parentOf(path)],
  );
  const users = new Map<Value, Set<string>>(); // a tensor belongs to the layer that uses it first
  for (const n of graph.nodes)
    for (const v of n.inputs) users.set(v, (users.get(v) ?? new Set()).add(n.path));
  const usersOf = new Map(entries.map((e, i) => [e, [...(users.get(values[i]) ?? [""])]]));
  // What stands in a layer or in its parts.
  const nodesIn = groupBy(graph.nodes, (n) => prefixes(n.path));
  const entriesIn = groupBy(entries, (e) => prefixes(usersOf.get(e)![0]));
  const shared = entries.filter((e) => e.kind === "parameter" && usersOf.get(e)!.length > 1);
  const sharedIn = groupBy(shared, (e) => [...new Set(usersOf.get(e)!.flatMap(prefixes))]);

  const numbersOf = (nodes: readonly Node[]) => {
    const each = nodes.map((n) => counts.get(n)!);
    const operations = (key: Convention) => sum(each.map((c) => c.operations[key]));
    return {
      macs: sum(each.map((c) => c.macs)),
      flops: sum(each.map((c) => c.flops)),
      operations: {
        torchvision: operations("torchvision"),
        "conv-only": operations("conv-only"),
        "with-bias": operations("with-bias"),
        torchinfo: operations("torchinfo"),
        ptflops: operations("ptflops"),
        flops2: operations("flops2"),
      },
      backward: {
        dx: sum(each.map((c) => c.backward.dx)),
        dw: sum(each.map((c) => c.backward.dw)),
      },
      connections: sum(nodes.map((n) => lines.get(n)!)),
      movedBytes: sum(each.map((c) => c.bytesRead + c.bytesWritten)),
    };
  };

  const layer = (path: string): LayerSummary => {
    const own = running.get(path) ?? [];
    const parts = path === "" ? [] : (partsOf.get(path) ?? []).map(layer);
    const nodes = nodesIn.get(path)!;
    const most = nodes.reduce((a, b) => (lines.get(b)! > lines.get(a)! ? b : a));
    const last = own[own.length - 1] ?? nodes.findLast((n) => activations.has(n.outputs[0]));
    const main = lines.get(most)! > 0 ? most : last;
    const kernel = own.length ? main.op.window?.(main.params).map((w) => w.kernel) : undefined;
    const [output] = last.outputs;
    const shapeOnly = own.every((n) => n.op === reshapeOp);
    return {
      path,
      type: own.length ? main.op.name : "module",
      ops: own.map((n) => n.op.name),
      ...(kernel && { kernel }),
      output: output.shape,
      ...stored(entriesIn.get(path) ?? [], sharedIn.get(path)),
      ...numbersOf(nodes),
      elements: (shapeOnly ? 0 : sizeOf(output.shape)) + sum(parts.map((p) => p.elements)),
      activationBytes:
        (shapeOnly ? 0 : bytesOf(output.spec)) + sum(parts.map((p) => p.activationBytes)),
      receptiveField: fields.get(output)!,
      parts,
    };
  };

  const layers = [...(known.has("") ? [""] : []), ...(partsOf.get("") ?? [])]
    .toSorted((a, b) => paths.indexOf(a) - paths.indexOf(b))
    .map(layer);
  const totals = {
    ...stored(entries, shared),
    ...numbersOf(graph.nodes),
    elements: sum(layers.map((l) => l.elements)),
    activationBytes: sum(layers.map((l) => l.activationBytes)),
  };
  const trainingOnly = numbers(
    entries.filter((e, i) => e.kind === "parameter" && !users.has(values[i])),
  );
  return {
    model: name,
    input: x.shape,
    totals,
    layers,
    ...(trainingOnly > 0 && { trainingOnly }),
    torchinfo: torchinfoMemory(traced, counts),
    conventions,
  };
}

function groupBy<T>(list: readonly T[], keys: (item: T) => readonly string[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of list)
    for (const key of keys(item)) {
      const group = groups.get(key);
      if (group) group.push(item);
      else groups.set(key, [item]);
    }
  return groups;
}

/** `a`, `a.b`, `a.b.c`. */
const prefixes = (path: string): string[] =>
  path.split(".").map((_, i, names) => names.slice(0, i + 1).join("."));

const numbers = (list: Traced["entries"]): number => sum(list.map((e) => sizeOf(e.spec.shape)));

function stored(entries: Traced["entries"], shared: Traced["entries"] = []) {
  const own = entries.filter((e) => e.kind === "parameter");
  const [parameters, all, trainable] = [
    numbers(own),
    numbers(entries),
    numbers(own.filter((e) => e.trainable)),
  ];
  return {
    parameters,
    trainable,
    frozen: parameters - trainable,
    shared: numbers(shared),
    buffers: all - parameters,
    parameterBytes: 4 * all,
  };
}
