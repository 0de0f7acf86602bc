// Operations, and the nodes and values of a graph, which refer to each other. The interface `Op` is
// all that is known of an operation: rule, meaning, gradient, cost and window, in one object.

import type { DType, Elements } from "./dtypes.ts";
import type { Spec } from "./spec.ts";

/**
 * A tensor of a graph: an output of a node, or (node null) an input of the graph or a constant,
 * which has data.
 */
export class Value {
  readonly node: Node | null;
  readonly index: number;
  readonly spec: Spec;
  readonly name: string | undefined;
  /** The elements of a constant; see {@link constant}. */
  readonly data: Elements | undefined;

  constructor(node: Node | null, index: number, spec: Spec, name?: string, data?: Elements) {
    this.node = node;
    this.index = index;
    this.spec = spec;
    this.name = name;
    this.data = data;
  }

  get shape(): readonly number[] {
    return this.spec.shape;
  }

  get dtype(): DType {
    return this.spec.dtype;
  }
}

/**
 * One application of an op. `path` names the module that asked for it (`features.0`), "" outside
 * any.
 */
export interface Node<P = unknown> {
  readonly op: Op<P, Cotangents>;
  readonly params: P;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly path: string;
}

/**
 * Values on the host in float64, contiguous in the order of `shape`: what reference implementations
 * read and write.
 */
export interface HostArray {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly data: Float64Array;
}

/**
 * Exact counts. A MAC is one multiply with its add; `flops` counts every arithmetic operation (a
 * MAC is 2).
 */
export interface Cost {
  readonly macs: number;
  readonly flops: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/**
 * How one spatial axis of the output looks at the input: output `o` sees `o·stride − padLo +
 * k·dilation`, 0 ≤ k < kernel.
 */
export interface Window {
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly padLo: number;
  readonly padHi: number;
  /**
   * The roles are exchanged: input `i` reaches outputs `i·stride − padLo + k·dilation` (transposed
   * convolution).
   */
  readonly transposed?: boolean | undefined;
}

/** Those of several outputs, of which one at least has a cotangent. */
export type Cotangents = readonly (Value | null)[];

/**
 * One operation. Two nodes are the same computation when their ops are one object and their
 * parameters and inputs are equal; `P` is plain data, with typed arrays perhaps. An op with several
 * outputs is an `Op<P, Cotangents>`.
 */
export interface Op<P, C extends Cotangents = readonly [Value]> {
  /** A label for people: nothing decides by it. */
  readonly name: string;
  /** Checks inputs and parameters, and returns the output specs; throws ShapeError. */
  infer(inputs: readonly Spec[], params: P): Spec[];
  /** The meaning, in float64, obvious before fast. */
  reference(inputs: readonly HostArray[], params: P): HostArray[];
  /**
   * Cotangents of the inputs, in terms of ops, given those of the outputs; null where nothing
   * flows.
   */
  vjp(node: Node<P>, cotangents: C): (Value | null)[];
  cost(inputs: readonly Spec[], params: P): Cost;
  /** One window per spatial axis, for ops that slide over space. */
  window?(params: P): Window[];
  /**
   * An equal, cheaper value for a node's only output, or null: `transpose` of `transpose`,
   * `reshape` to the same shape.
   */
  simplify?(inputs: readonly Value[], params: P): Value | null;
  /** A text that tells parameters apart, where one shorter than the whole does. */
  key?(params: P): string;
}

/**
 * Whether a node or a task applies one of these ops. Compares op objects, not names; narrows
 * `params`.
 */
export const isOp = <N extends { readonly op: unknown; readonly params: unknown }, P>(
  node: N,
  ...ops: readonly Op<P>[]
): node is N & { readonly op: Op<P>; readonly params: P } => ops.some((op) => node.op === op);
