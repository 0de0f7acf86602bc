// The graph of a model as the page draws it: a list of stages. A stage reads one window (a
// convolution with its batch norm and activation, a pooling, a linear layer) or joins values at the
// same position (the sum of a residual block). Stages are recognized by op objects, expressions and
// module paths, not by model.

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
  softmax,
  softmaxOp,
  sumOp,
  type AvgPoolGeometry,
  type ConvGeometry,
  type MatmulParams,
  type PoolGeometry,
  type ReduceParams,
  type SoftmaxParams,
} from "@conv/ops";
import {
  formatShape,
  graphOf,
  isOp,
  optimize,
  sizeOf,
  within,
  type Graph,
  type Node,
  type Value,
} from "@conv/tensor";
import { stepOf, type StepKind } from "./elementwise.ts";
import { origin } from "./routes.ts";

/** A node that reads a window. */
export type Main =
  | { readonly kind: "conv"; readonly node: Node<ConvGeometry> }
  | { readonly kind: "matmul"; readonly node: Node<MatmulParams> }
  | { readonly kind: "maxPool"; readonly node: Node<PoolGeometry> }
  | { readonly kind: "avgPool"; readonly node: Node<AvgPoolGeometry> }
  | { readonly kind: "sum"; readonly node: Node<ReduceParams> }
  | { readonly kind: "softmax"; readonly node: Node<SoftmaxParams> };

export interface Stage {
  /** The path of its module in the model. */
  readonly name: string;
  /**
   * Usually one; a layer made of several convolutions has several; none where every value depends
   * on values of the same place.
   */
  readonly mains: readonly Main[];
  /** What is done to each value after the window, in order. */
  readonly steps: readonly StepKind[];
  /** The values that it reads: outputs of earlier stages, or the network's input. */
  readonly sources: readonly Value[];
  readonly output: Value;
  readonly maps: Maps;
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
  /**
   * The stage whose values are the scores of the classes; the softmax after it makes them
   * probabilities.
   */
  readonly scores: Stage;
  /** Inputs [x, …parameters]; outputs: each stage's output. */
  readonly graph: Graph;
  /** How many numbers are learned. */
  readonly learned: number;
}

/** Maps of a value with batch 1: (1, c, h, w), or a row of (1, n) and (1, n, 1, 1). */
export function mapsOf(shape: readonly number[]): Maps {
  const [, channels = 1, height = 1, width = 1] = shape;
  return height * width === 1
    ? { channels: 1, height: 1, width: channels }
    : { channels, height, width };
}

/** The node as one that reads a window; null for all others. */
export function mainOf(node: Node | null): Main | null {
  if (!node) return null;
  if (isOp(node, convOp)) return { kind: "conv", node };
  if (isOp(node, matmulOp)) return { kind: "matmul", node };
  if (isOp(node, maxPoolOp)) return { kind: "maxPool", node };
  if (isOp(node, avgPoolOp)) return { kind: "avgPool", node };
  if (isOp(node, sumOp)) return { kind: "sum", node };
  if (isOp(node, softmaxOp)) return { kind: "softmax", node };
  return null;
}

const moves = (n: Node): boolean => isOp(n, reshapeOp) || isOp(n, sliceOp) || isOp(n, concatOp);

/** Nodes that make one stage, and the module that they belong to. */
interface Part {
  readonly name: string;
  readonly nodes: readonly Node[];
}

/** What depends on the network's input, and which stage reads which value. */
interface Flow {
  readonly flowing: ReadonlySet<Value>;
  /** The non-moving nodes that read a value, directly or moved. */
  readonly readers: ReadonlyMap<Value, readonly Node[]>;
}

/** Reads a model of digits. */
export function readNetwork(model: Model): Network {
  const traced = traceModel(model);
  const { x, entries, values } = traced;
  const probabilities = within("softmax", () => softmax(traced.output));
  const { nodes } = graphOf([x, ...values], [probabilities]);
  const flow = flowOf(x, nodes);
  const parts = merged(
    split(
      nodes.filter((n) => n.outputs.some((v) => flow.flowing.has(v))),
      "",
      flow,
    ),
    flow,
  );
  const stages = parts.map((part) => stageOf(part, flow));
  const scored = origin({ value: traced.output, index: 0 }).value;
  return {
    model,
    traced,
    inputMaps: mapsOf(x.shape),
    stages,
    scores: stages.find((s) => s.output === scored) ?? stages[stages.length - 1],
    graph: optimize(
      graphOf(
        [x, ...values],
        stages.map((s) => s.output),
      ),
    ),
    learned: entries.filter((e) => e.trainable).reduce((sum, e) => sum + sizeOf(e.spec.shape), 0),
  };
}

/** The values that a value's elements come from: itself, or through a concatenation several. */
function leavesOf(value: Value): Value[] {
  const n = value.node;
  return n && moves(n) ? n.inputs.flatMap(leavesOf) : [value];
}

function flowOf(x: Value, nodes: readonly Node[]): Flow {
  const flowing = new Set<Value>([x]);
  const readers = new Map<Value, Node[]>();
  for (const n of nodes) {
    if (!n.inputs.some((v) => flowing.has(v))) continue;
    for (const y of n.outputs) flowing.add(y);
    if (moves(n)) continue;
    for (const v of new Set(n.inputs.flatMap(leavesOf)))
      readers.set(v, [...(readers.get(v) ?? []), n]);
  }
  return { flowing, readers };
}

/**
 * Whether no node of these that looks at a window, or joins values, depends on another such node of
 * these.
 */
function isOneWindow(nodes: readonly Node[], flow: Flow): boolean {
  const after = new Set<Value>();
  for (const n of nodes) {
    const depends = n.inputs.some((v) => after.has(v));
    const looks = mainOf(n) !== null || isJoin(n, flow);
    if (looks && depends) return false;
    if (looks || depends) for (const y of n.outputs) after.add(y);
  }
  return true;
}

/** Whether a node computes one value from several that depend on the input. */
const isJoin = (n: Node, { flowing }: Flow): boolean =>
  !moves(n) && n.inputs.filter((v) => flowing.has(v)).length > 1;

/**
 * The nodes of a module as parts: the module itself where it looks at one window, else its own
 * modules, one after the other.
 */
function split(nodes: readonly Node[], name: string, flow: Flow): Part[] {
  if (name !== "" && isOneWindow(nodes, flow)) return [{ name, nodes }];
  const children = new Map<string, Node[]>();
  for (const n of nodes) {
    const child = n.path.slice(name === "" ? 0 : name.length + 1).split(".")[0];
    children.set(child, [...(children.get(child) ?? []), n]);
  }
  return [...children].flatMap(([child, own]) =>
    child === ""
      ? single(own, name, flow)
      : split(own, name === "" ? child : `${name}.${child}`, flow),
  );
}

/**
 * The nodes of a module that are in none of its modules: a part from each that looks at a window to
 * the next.
 */
function single(nodes: readonly Node[], name: string, flow: Flow): Part[] {
  const parts: Node[][] = [];
  for (const n of nodes)
    if (parts.length > 0 && isOneWindow([...parts[parts.length - 1], n], flow))
      parts[parts.length - 1].push(n);
    else parts.push([n]);
  return parts.map((own, i) => ({ name: i === 0 ? name : `${name}.${i}`, nodes: own }));
}

const outputOf = ({ nodes }: Part): Value | null =>
  nodes.findLast((n) => !moves(n))?.outputs[0] ?? null;

/**
 * What only goes on with each value of another part that nobody else reads belongs to that part:
 * batch norm to its convolution.
 */
function merged(parts: readonly Part[], { flowing, readers }: Flow): Part[] {
  const done: Part[] = [];
  for (const part of parts) {
    if (outputOf(part) === null) continue; // it only moves values
    const sources = sourcesOf(part, flowing);
    const at = done.findIndex((p) => sources.length === 1 && outputOf(p) === sources[0]);
    const goesOn = part.nodes.every(
      (n) => moves(n) || (isElementwise(n) && !isJoin(n, { flowing, readers })),
    );
    const onlyHere = readers.get(sources[0])?.every((n) => part.nodes.includes(n)) ?? false;
    if (at >= 0 && goesOn && onlyHere)
      done[at] = { name: done[at].name, nodes: [...done[at].nodes, ...part.nodes] };
    else done.push(part);
  }
  return done;
}

function sourcesOf({ nodes }: Part, flowing: ReadonlySet<Value>): Value[] {
  const made = new Set(nodes.flatMap((n) => n.outputs));
  const read = nodes
    .filter((n) => !moves(n))
    .flatMap((n) => n.inputs)
    .filter((v) => flowing.has(v))
    .flatMap(leavesOf);
  return [...new Set(read)].filter((v) => !made.has(v));
}

function stageOf(part: Part, flow: Flow): Stage {
  const output = outputOf(part);
  if (!output) throw new Error(`stages: ${part.name} computes nothing`);
  const mains = part.nodes.flatMap((n) => mainOf(n) ?? []);
  const constants = mains.flatMap(({ node }) =>
    node.inputs.slice(1).filter((v) => !flow.flowing.has(v)),
  );
  // What happens before a sum (a difference squared) belongs to its terms.
  const first = part.nodes.findIndex((n) => mainOf(n) !== null);
  const steps = part.nodes
    .slice(first + 1)
    .flatMap((n) => (isElementwise(n) ? [stepOf(n, (v) => flow.flowing.has(v))] : []));
  return {
    name: part.name,
    mains,
    steps: steps.filter(
      (s, i) => s.kind !== "bias" || steps.findIndex((o) => o.kind === "bias") === i,
    ),
    sources: sourcesOf(part, flow.flowing),
    output,
    maps: mapsOf(output.shape),
    weights: [...new Set(constants.map((value) => origin({ value, index: 0 }).value))],
  };
}

/** Values of the graph at hand: the input, the parameters, every stage's output. */
export type Known = ReadonlyMap<Value, Float32Array>;

/** Joins what a run gave with what went into it. */
export const known = (
  { traced, stages }: Network,
  x: Float32Array,
  parameters: readonly Float32Array[],
  outputs: readonly Float32Array[],
): Known =>
  new Map([
    [traced.x, x],
    ...traced.values.map((v, i) => [v, parameters[i]] as const),
    ...stages.map((s, i) => [s.output, outputs[i]] as const),
  ]);

/** `6×28×28`, or `120`. */
export const formatMaps = ({ channels, height, width }: Maps): string =>
  channels * height === 1 ? `${width}` : formatShape([channels, height, width]);
