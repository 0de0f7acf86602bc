// A model's graph read as the picture draws it: stages, each an op that looks at a window or at everything, with what is done
// to its result one value at a time (bias, activation). Knows ops by name, no model.

import { isElementwise, type ElementwiseParams } from "@conv/ops";
import { formatShape, graphOf, optimise, sizeOf, type Graph, type Node, type Value } from "@conv/tensor";
import { initialise, traceModel, type Model, type TracedModel } from "@conv/layers";

export type StageKind = "conv" | "matmul" | "maxPool" | "avgPool" | "other";

export interface Stage {
  /** The layer's name in the model. */
  readonly name: string;
  readonly kind: StageKind;
  readonly main: Node;
  /** What `main` looks at: the output of the stage before, or the network's input. Same order of values, maybe another shape. */
  readonly source: Value;
  /** What follows it one value at a time, in order: bias, activation. */
  readonly tail: readonly Tail[];
  readonly output: Value;
  /** Maps, height, width; a vector is one map of one row. */
  readonly maps: Maps;
  /** The learned tensor of `main`, where it has one. */
  readonly weight: Value | null;
}

/** An elementwise node; input `chain` is the value before it, the others depend on parameters alone. */
export interface Tail {
  readonly node: Node<ElementwiseParams>;
  readonly chain: number;
}

export interface Maps {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

export interface Network {
  readonly model: Model;
  readonly traced: TracedModel;
  readonly inputMaps: Maps;
  readonly stages: readonly Stage[];
  /** Inputs [x, …parameters]; outputs are the `probes`. */
  readonly graph: Graph;
  /** Everything a picture needs besides parameters: each stage's output, and what is computed from parameters alone. */
  readonly probes: readonly Value[];
  readonly parameters: number;
}

const KINDS: readonly string[] = ["conv", "matmul", "maxPool", "avgPool"];
const kindOf = (name: string): StageKind => (KINDS.includes(name) ? (name as StageKind) : "other");

/** Maps of a value with batch 1: (1, c, h, w), or a row of (1, n) and (1, n, 1, 1). */
export function mapsOf(shape: readonly number[]): Maps {
  const [, channels = 1, height = 1, width = 1] = shape;
  return height * width === 1 ? { channels: 1, height: 1, width: channels } : { channels, height, width };
}

/** The value that a chain of reshapes started from: the same numbers in the same order. */
export function unshaped(v: Value): Value {
  while (v.node?.op.name === "reshape") [v] = v.node.inputs;
  return v;
}

/** Reads a model. Its graph must be a chain from input to output, as that of every network of digits is. */
export function readNetwork(model: Model): Network {
  const traced = traceModel(model);
  const { x, graph } = traced;
  const flowing = new Set<Value>([x]); // depends on the input
  const constants = new Set<Value>(); // computed from parameters alone: masked weights
  const stages: Stage[] = [];
  for (const n of graph.nodes) {
    const chain = n.inputs.findIndex((v) => flowing.has(v));
    if (chain < 0) continue;
    const [y] = n.outputs;
    flowing.add(y);
    if (n.op.name === "reshape") continue;
    const others = n.inputs.filter((v) => !flowing.has(v)).map(unshaped);
    for (const v of others) if (v.node) constants.add(v);
    const source = unshaped(n.inputs[chain]);
    const last = stages.at(-1);
    if (last && isElementwise(n) && others.length === n.inputs.length - 1 && source === last.output && sizeOf(y.shape) === sizeOf(source.shape))
      stages[stages.length - 1] = { ...last, tail: [...last.tail, { node: n, chain }], output: y, maps: mapsOf(y.shape) };
    else stages.push({ name: n.path || n.op.name, kind: kindOf(n.op.name), main: n, source, tail: [], output: y, maps: mapsOf(y.shape), weight: others[0] ?? null });
  }
  const probes = [...new Set([...stages.map((s) => s.output), ...constants])];
  const learned = traced.entries.filter((e) => e.trainable);
  return {
    model,
    traced,
    inputMaps: mapsOf(x.shape),
    stages,
    graph: optimise(graphOf([x, ...traced.values], probes)),
    probes,
    parameters: learned.reduce((sum, e) => sum + sizeOf(e.spec.shape), 0),
  };
}

/** Values of the graph at hand: the input, the parameters and the probes. */
export type Known = ReadonlyMap<Value, Float32Array>;

/** Joins what a run gave with what went into it. */
export function known(network: Network, x: Float32Array, parameters: readonly Float32Array[], probes: readonly Float32Array[]): Known {
  const { traced } = network;
  return new Map([[traced.x, x], ...traced.values.map((v, i) => [v, parameters[i]] as const), ...network.probes.map((v, i) => [v, probes[i]] as const)]);
}

/** First weights, in the order of the model's parameters. */
export const firstWeights = (model: Model, seed: number): Float32Array[] => [...initialise(model, seed).values()].map((saved) => saved.data);

/** `6×28×28`, or `120`. */
export const formatMaps = ({ channels, height, width }: Maps): string => (channels * height === 1 ? `${width}` : formatShape([channels, height, width]));
