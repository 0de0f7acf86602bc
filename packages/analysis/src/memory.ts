// What a network takes in memory: weights, gradients, the optimizer's state, what is kept for the
// way back, and the peak of what lives at once, for prediction and for training.

import { root } from "@conv/compiler";
import { add } from "@conv/ops";
import {
  dependents,
  bytesOf,
  checkOptions,
  graphOf,
  input,
  message,
  rangeError,
  sizeOf,
  vjp,
  type Graph,
  type Node,
  type Value,
} from "@conv/tensor";
import { mustBeOneOf } from "./check.ts";
import { livenessOf, type Liveness } from "./liveness.ts";
import { sum, type Traced } from "./traced.ts";

/** Bytes of one number of an element type. */
export const bytesPerNumber = { float64: 8, float32: 4, bfloat16: 2, float16: 2, int8: 1 } as const;

/** Element types for which memory can be told; all computing here is in float32. */
export type NumberType = keyof typeof bytesPerNumber;

export interface MemoryOptions {
  /** What every number is held as; labels and seeds stay int32. Default: float32. */
  readonly dtype?: NumberType | undefined;
}

export interface TrainingMemoryOptions extends MemoryOptions {
  /**
   * Tensors that the optimizer keeps for each parameter: 0 for plain descent, 1 with momentum, 2
   * for Adam.
   */
  readonly slots?: number | undefined;
}

/** A step of a run: the first layer and op of it, and the bytes held. Plain data. */
export interface Moment {
  readonly path: string;
  readonly op: string;
  readonly bytes: number;
  /** false on the way back. */
  readonly forward: boolean;
}

/** Bytes, plain data. */
export interface Memory {
  readonly dtype: NumberType;
  /** Shape of the input, batch first. */
  readonly shape: readonly number[];
  readonly parameters: number;
  readonly buffers: number;
  readonly input: number;
  readonly output: number;
  /** All results of all nodes, were none given up; changes of shape aside. */
  readonly activations: number;
  /** The most that is held at once of results between input and output. */
  readonly peak: Moment;
  /** Step after step what is held between input and output. */
  readonly timeline: readonly Moment[];
  /** Everything together at the peak. */
  readonly total: number;
}

export interface TrainingMemory extends Memory {
  readonly gradients: number;
  readonly optimizer: number;
  /** Results of the way forward, the input included, that the way back reads. */
  readonly kept: number;
}

/**
 * Memory of a prediction, of a network traced as for predicting; node after node, nothing fused.
 * Throws RangeError for unknown options.
 */
export function memoryOf(traced: Traced, options: MemoryOptions = {}): Memory {
  checkOptions("memoryOf", options, "dtype");
  const { dtype = "float32" } = options;
  const { graph, x } = traced;
  const fixed = fixedOf(traced, dtype);
  const { timeline, peak } = momentsOf(
    livenessOf(inTime(graph, x), { bytes: sizer(dtype) }),
    new Set(graph.nodes),
  );
  const { parameters, buffers, input, output } = fixed;
  return { ...fixed, peak, timeline, total: parameters + buffers + input + output + peak.bytes };
}

/**
 * Memory of a training step, of a network traced for training: forward, then the gradient of every
 * trained parameter by the outputs. The update is not a part of it; it needs no more than the
 * gradients and the optimizer's state. Throws RangeError for unknown options.
 */
export function trainingMemoryOf(
  traced: Traced,
  options: TrainingMemoryOptions = {},
): TrainingMemory {
  checkOptions("trainingMemoryOf", options, "dtype slots");
  const { dtype = "float32", slots = 0 } = options;
  if (!Number.isInteger(slots) || slots < 0)
    throw rangeError(
      "trainingMemoryOf",
      "slots",
      message`slots ${{ slots }} is not a whole number ≥ 0`,
    );
  const { graph, x, values, entries } = traced;
  const bytes = sizer(dtype);
  const whole = backwardGraph(traced);
  const forward = new Set(graph.nodes);
  const activations = dependents(graph, [x]);
  const read = whole.nodes.flatMap((n) => (forward.has(n) ? [] : n.inputs.map(root)));
  const kept = new Set(read.filter((v) => activations.has(v)));
  const gradients = sum(values.map((v, i) => (entries[i].trainable ? bytes(v) : 0)));
  const { timeline, peak } = momentsOf(livenessOf(inTime(whole, x), { bytes }), forward);
  const fixed = fixedOf(traced, dtype);
  const { parameters, buffers, input, output } = fixed;
  const optimizer = slots * gradients;
  return {
    ...fixed,
    gradients,
    optimizer,
    kept: sum([...kept].map(bytes)),
    peak,
    timeline,
    total: parameters + buffers + input + 2 * output + gradients + optimizer + peak.bytes,
  };
}

/** What does not depend on the order of things. */
function fixedOf(
  { graph, x, entries, values }: Traced,
  dtype: NumberType,
): Omit<Memory, "peak" | "timeline" | "total"> {
  const bytes = sizer(dtype);
  const stored = (kind: "parameter" | "buffer") =>
    sum(entries.map((e, i) => (e.kind === kind ? bytes(values[i]) : 0)));
  const saved = new Set(values);
  const activations = dependents(graph, [x]);
  const made = new Set(
    graph.nodes.flatMap((n) => n.outputs.map(root)).filter((v) => v.node && activations.has(v)),
  );
  return {
    dtype,
    shape: x.shape,
    parameters: stored("parameter"),
    buffers: stored("buffer"),
    input: sum(graph.inputs.map((v) => (saved.has(v) ? 0 : bytes(v)))),
    output: sum([...new Set(graph.outputs.map(root))].map(bytes)),
    activations: sum([...made].map(bytes)),
  };
}

/**
 * Forward and back: inputs are those of the network and the gradient of each output; outputs those
 * of the network, then the gradients, the last layer's first.
 */
export function backwardGraph({ graph, entries, values }: Traced): Graph {
  const seeds = graph.outputs.map((v) => input(v.spec, "gradient of the output"));
  const trained = values.filter((_, i) => entries[i].trainable).toReversed();
  const gradients = vjp(graph.outputs, seeds, trained, add);
  return graphOf(
    [...graph.inputs, ...seeds],
    [...graph.outputs, ...gradients.flatMap((v) => v ?? [])],
  );
}

/** The same graph with what is made of parameters alone computed where it is first read. */
function inTime(graph: Graph, x: Value): Graph {
  const activations = dependents(graph, [x]);
  const known = new Set(graph.nodes);
  const nodes = new Set<Node>();
  const emit = (n: Node): void => {
    // as deep as parameters are rescaled
    for (const { node } of n.inputs) if (node && known.has(node) && !nodes.has(node)) emit(node);
    nodes.add(n);
  };
  for (const n of graph.nodes) if (activations.has(n.outputs[0])) emit(n);
  for (const n of graph.nodes) nodes.add(n);
  return { ...graph, nodes: [...nodes] };
}

/** Bytes of a value if its floats are of this type. */
const sizer = (dtype: NumberType) => {
  mustBeOneOf("memory", "number type", dtype, Object.keys(bytesPerNumber));
  return ({ spec }: Value): number =>
    spec.dtype === "float32" ? sizeOf(spec.shape) * bytesPerNumber[dtype] : bytesOf(spec);
};

function momentsOf(
  { steps, timeline: held, peak }: Liveness,
  forward: ReadonlySet<Node>,
): { timeline: Moment[]; peak: Moment } {
  const timeline = steps.map(({ nodes: [n] }, i) => ({
    path: n.path,
    op: n.op.name,
    bytes: held[i],
    forward: forward.has(n),
  }));
  return { timeline, peak: timeline[peak.step] ?? { path: "", op: "", bytes: 0, forward: true } };
}
