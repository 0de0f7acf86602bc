// The graph: a flat list of nodes in an order in which they can run. Everything else in the project
// is a reading of it.

import type { DType, Elements } from "./dtypes.ts";
import { elementsOf } from "./elements.ts";
import { complaint, isConvError, kindOf, message, shapeError, ShapeError } from "./errors.ts";
import { copyOf } from "./identity.ts";
import { Value, type Cost, type Node, type Op } from "./op.ts";
import { printable } from "./printable.ts";
import { formatShape, spec as makeSpec, type Spec } from "./spec.ts";

/** What a node costs, by its op's own count. */
export const costOf = ({ op, inputs, params }: Node): Cost =>
  op.cost(
    inputs.map((v) => v.spec),
    params,
  );

/** `nodes` holds exactly what the outputs need, each after its inputs. */
export interface Graph {
  readonly inputs: readonly Value[];
  readonly nodes: readonly Node[];
  readonly outputs: readonly Value[];
}

let currentPath = "";

/**
 * Runs `fn` with `name` appended to the path of every node made inside: `within("c1", …)` inside
 * `within("net", …)` gives `net.c1`. A ShapeError thrown inside gains the path: `net.c1: conv:
 * weight has 3 axes, input has 4`.
 */
export function within<R>(name: string, fn: () => R): R {
  const outer = currentPath;
  currentPath = outer && name ? `${outer}.${name}` : outer || name;
  try {
    return fn();
  } catch (error) {
    // One that has a cause has its path, that of the innermost module.
    if (!(error instanceof ShapeError) || error.cause instanceof ShapeError || !currentPath)
      throw error;
    const located = new ShapeError(complaint(currentPath, error.message), { cause: error });
    if (!isConvError(error)) throw located;
    const { code, values, op, axis } = error;
    throw Object.assign(located, { code, values, op, axis });
  } finally {
    currentPath = outer;
  }
}

/**
 * Adds a node to the graph being built and returns its outputs. The node has a copy of plain
 * parameters: a graph outlives the call, and the caller may change what it gave. An op with a `key`
 * of its own says what its parameters are, and keeps them. Throws what the op's rule throws.
 */
export function node<P>(op: Op<P>, params: P, inputs: readonly Value[]): readonly Value[] {
  const specs = op.infer(
    inputs.map((v) => v.spec),
    params,
  );
  const outputs: Value[] = [];
  const made: Node<P> = {
    op,
    params: op.key ? params : copyOf(params),
    inputs,
    outputs,
    path: currentPath,
  };
  specs.forEach((s, i) => outputs.push(new Value(made as Node, i, s)));
  return outputs;
}

/** An input of a graph, to be named in {@link graphOf}. */
export const input = (s: Spec, name?: string): Value => new Value(null, 0, s, name);

/** A value with data. */
export type Constant = Value & { readonly data: Elements };

/**
 * A value that is known when the graph is made: a mask, a fixed kernel, a table. `data` holds as
 * many numbers as the shape, or the elements themselves in the array type of the dtype (bits, for
 * float16 and bfloat16); it is copied. A constant is the same as another only if it is the same
 * object. It needs no place among the inputs of a graph, a back end uploads it once for each
 * program, and no gradient flows to it unless it is asked for. Throws ShapeError as `tensor` does.
 */
export function constant(
  data: ArrayLike<number>,
  shape: readonly number[] = [data?.length ?? 0],
  dtype: DType = "float32",
): Constant {
  const s = makeSpec(shape, dtype);
  return new Value(null, 0, s, undefined, elementsOf("constant", data, s).slice()) as Constant;
}

export const isConstant = (v: Value): v is Constant => v.data !== undefined;

/** The constants that a graph reads or gives, each once. */
export const constantsOf = ({ inputs, nodes, outputs }: Graph): Constant[] => {
  const given = new Set(inputs);
  const used = new Set([...nodes.flatMap((n) => n.inputs), ...outputs]);
  return [...used].filter(isConstant).filter((v) => !given.has(v));
};

/**
 * Collects the nodes that `outputs` need, in order; a value listed as input is taken as given,
 * whatever made it. Throws ShapeError if they need an input that is not listed.
 */
export function graphOf(inputs: readonly Value[], outputs: readonly Value[]): Graph {
  const known = new Set(inputs);
  const seen = new Set<Node>();
  const nodes: Node[] = [];
  // Depth first with an explicit stack: a training step can be thousands of nodes deep.
  const stack: { node: Node; next: number }[] = [];
  const enter = (v: Value) => {
    if (known.has(v) || isConstant(v)) return;
    if (v.node === null)
      throw shapeError(
        "graph",
        "missing-input",
        message`a value of shape ${{ shape: formatShape(v.shape) }}${{ name: v.name ? ` named ${printable(v.name, 80)}` : "" }} is used but is not an input`,
      );
    if (!seen.has(v.node)) {
      seen.add(v.node);
      stack.push({ node: v.node, next: 0 });
    }
  };
  for (const output of outputs) {
    enter(output);
    while (stack.length) {
      const top = stack[stack.length - 1];
      if (top.next < top.node.inputs.length) enter(top.node.inputs[top.next++]);
      else {
        nodes.push(top.node);
        stack.pop();
      }
    }
  }
  return { inputs, nodes, outputs };
}

/**
 * Traces a function of values: calls it once with values of the given specs and collects what it
 * did. Throws ShapeError unless it returns values.
 */
export function trace(
  fn: (...inputs: Value[]) => Value | readonly Value[],
  specs: readonly Spec[],
  names: readonly (string | undefined)[] = [],
): Graph {
  const inputs = specs.map((s, i) => input(s, names[i]));
  const result = fn(...inputs);
  const outputs = result instanceof Value ? [result] : result;
  const wrong = Array.isArray(outputs) ? outputs.find((v) => !(v instanceof Value)) : outputs;
  if (!Array.isArray(outputs) || outputs.includes(wrong))
    throw shapeError(
      "trace",
      "result-kind",
      message`the function returned ${{ got: kindOf(wrong) }}; it must return a value or a list of values, and not be async`,
    );
  return graphOf(inputs, outputs);
}

/** The values without a node, inputs and constants, on which `outputs` depend. */
export function freeInputs(outputs: readonly Value[]): Value[] {
  const found = new Set(outputs);
  for (const v of found) for (const before of v.node?.inputs ?? []) found.add(before);
  return [...found].filter((v) => v.node === null);
}

/** The `sources`, and all values of the graph that depend on at least one of them. */
export function dependents(graph: Graph, sources: Iterable<Value>): Set<Value> {
  const found = new Set(sources);
  for (const { inputs, outputs } of graph.nodes)
    if (inputs.some((v) => found.has(v))) for (const v of outputs) found.add(v);
  return found;
}
