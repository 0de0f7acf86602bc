// A model's graph read as the picture draws it: stages, one for each layer that the model names, with the ops in it that look at
// a window. Knows ops, no model.

import { traceModel, type Model, type TracedModel } from "@conv/layers";
import {
  avgPoolOp,
  concatOp,
  convOp,
  isElementwise,
  matmulOp,
  maxPoolOp,
  reshapeOp,
  sliceOp,
  sumOp,
  type AvgPoolGeometry,
  type ConvGeometry,
  type MatmulParams,
  type PoolGeometry,
  type ReduceParams,
} from "@conv/ops";
import { formatShape, graphOf, optimise, sizeOf, type Graph, type Node, type Value } from "@conv/tensor";
import { applies, origin } from "./routes.ts";

/** A node that looks at a window. */
export type Main =
  | { readonly kind: "conv"; readonly node: Node<ConvGeometry> }
  | { readonly kind: "matmul"; readonly node: Node<MatmulParams> }
  | { readonly kind: "maxPool"; readonly node: Node<PoolGeometry> }
  | { readonly kind: "avgPool"; readonly node: Node<AvgPoolGeometry> }
  | { readonly kind: "sum"; readonly node: Node<ReduceParams> };

export interface Stage {
  /** The layer's name in the model. */
  readonly name: string;
  /** Usually one; a layer made of several convolutions has several; none where every value depends on one value alone. */
  readonly mains: readonly Main[];
  /** The output of the stage before, or the network's input. */
  readonly source: Value;
  readonly output: Value;
  readonly sourceMaps: Maps;
  readonly maps: Maps;
  /** Names of the activations that follow. */
  readonly activations: readonly string[];
  /** Weights of the mains, each once. */
  readonly weights: readonly Value[];
}

/** Maps, height, width; a vector is one map of one row. */
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
  /** Inputs [x, …parameters]; outputs: each stage's output. */
  readonly graph: Graph;
  /** How many numbers are learned. */
  readonly learned: number;
}

/** Maps of a value with batch 1: (1, c, h, w), or a row of (1, n) and (1, n, 1, 1). */
export function mapsOf(shape: readonly number[]): Maps {
  const [, channels = 1, height = 1, width = 1] = shape;
  return height * width === 1 ? { channels: 1, height: 1, width: channels } : { channels, height, width };
}

/** The node as one that looks at a window; null for all others. */
export function mainOf(node: Node | null): Main | null {
  if (applies(node, convOp)) return { kind: "conv", node };
  if (applies(node, matmulOp)) return { kind: "matmul", node };
  if (applies(node, maxPoolOp)) return { kind: "maxPool", node };
  if (applies(node, avgPoolOp)) return { kind: "avgPool", node };
  if (applies(node, sumOp)) return { kind: "sum", node };
  return null;
}

const moves = (n: Node): boolean => applies(n, reshapeOp) || applies(n, sliceOp) || applies(n, concatOp);

/** Reads a model whose layers follow one another, as those of every network of digits do. */
export function readNetwork(model: Model): Network {
  const traced = traceModel(model);
  const { x, graph } = traced;
  const flowing = new Set<Value>([x]); // depends on the input
  const layers = new Map<string, Node[]>();
  for (const n of graph.nodes) {
    if (!n.inputs.some((v) => flowing.has(v))) continue;
    for (const y of n.outputs) flowing.add(y);
    const [name] = n.path.split(".");
    const own = layers.get(name);
    if (own) own.push(n);
    else layers.set(name, [n]);
  }
  const stages: Stage[] = [];
  for (const [name, nodes] of layers) {
    const last = nodes.findLast((n) => !applies(n, reshapeOp));
    if (!last) continue; // a layer that only reshapes shows nothing new
    const [output] = last.outputs;
    const source = stages.at(-1)?.output ?? x;
    const mains = nodes.flatMap((n) => mainOf(n) ?? []);
    const constants = mains.flatMap(({ node }) => node.inputs.slice(1).filter((v) => !flowing.has(v)));
    const activations = nodes.filter((n) => n.inputs.length === 1 && isElementwise(n) && !moves(n) && n.op.name !== "affine").map((n) => n.op.name);
    stages.push({
      name,
      mains,
      source,
      output,
      sourceMaps: mapsOf(source.shape),
      maps: mapsOf(output.shape),
      activations: mains.some((m) => m.kind === "sum") ? [] : activations,
      weights: [...new Set(constants.map((value) => origin({ value, index: 0 }).value))],
    });
  }
  return {
    model,
    traced,
    inputMaps: mapsOf(x.shape),
    stages,
    graph: optimise(
      graphOf(
        [x, ...traced.values],
        stages.map((s) => s.output),
      ),
    ),
    learned: traced.entries.filter((e) => e.trainable).reduce((sum, e) => sum + sizeOf(e.spec.shape), 0),
  };
}

/** Values of the graph at hand: the input, the parameters, every stage's output. */
export type Known = ReadonlyMap<Value, Float32Array>;

/** Joins what a run gave with what went into it. */
export const known = ({ traced, stages }: Network, x: Float32Array, parameters: readonly Float32Array[], outputs: readonly Float32Array[]): Known =>
  new Map([[traced.x, x], ...traced.values.map((v, i) => [v, parameters[i]] as const), ...stages.map((s, i) => [s.output, outputs[i]] as const)]);

/** `6×28×28`, or `120`. */
export const formatMaps = ({ channels, height, width }: Maps): string =>
  channels * height === 1 ? `${width}` : formatShape([channels, height, width]);
