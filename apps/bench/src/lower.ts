// A traced network in the vocabulary of ONNX, as plain data for the processes of the peers. Where
// our layers use several nodes (a convolution and its bias, batch normalization), ONNX has one
// operator, which peers can fold and fuse.

import type { TracedModel } from "@conv/layers";
import {
  add,
  avgPoolOp,
  concatOp,
  convOp,
  isElementwise,
  matmulOp,
  maxPoolOp,
  relu,
  relu6,
  reshapeOp,
  type ElementwiseParams,
  type Expr,
  type WindowGeometry,
} from "@conv/ops";
import {
  exactly,
  formatShape,
  isOp,
  sameShape,
  spec,
  trace,
  type Graph,
  type Node,
  type Value,
} from "@conv/tensor";

/** An attribute: whole numbers, or (`epsilon`) a fraction. */
export type Attributes = Readonly<Record<string, number | readonly number[]>>;

export interface PeerNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes: Attributes;
}

/** `weights` names the arrays that come with it, in order; not all need be used. */
export interface PeerGraph {
  readonly input: Named;
  readonly output: Named;
  readonly weights: readonly Named[];
  readonly nodes: readonly PeerNode[];
}

export interface Named {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Throws Error for an op that no network here has needed yet. */
export function lower({ graph, x, output, values, entries }: TracedModel): PeerGraph {
  const names = new Map<Value, string>([[x, "x"]]);
  values.forEach((v, i) => names.set(v, entries[i].name));
  const writer = createWriter(graph, names, new Set(values));
  const waiting = new Set<Node>(); // nodes that must be part of an operator that comes later
  const folded = new Set<Node>();
  for (const n of graph.nodes) {
    if (write(n, writer)) continue;
    const parts = normalization(n);
    if (parts) {
      writer.emit(n, "BatchNormalization", parts.inputs, { epsilon: parts.epsilon });
      for (const part of parts.nodes) folded.add(part);
    } else waiting.add(n);
  }
  for (const n of waiting) if (!folded.has(n)) throw new Error(`ONNX: no form for ${n.op.name}`);
  return {
    input: { name: "x", shape: x.shape },
    output: { name: names.get(output)!, shape: output.shape },
    weights: entries.map((e) => ({ name: e.name, shape: e.spec.shape })),
    nodes: writer.nodes,
  };
}

interface Writer {
  readonly nodes: readonly PeerNode[];
  readonly emit: (n: Node, op: string, inputs: readonly Value[], attributes?: Attributes) => void;
  /** Whether a value is made by one of the nodes, or is the input. */
  readonly isMade: (v: Value) => boolean;
  /**
   * Makes the second input of an addition the bias of the convolution or product before it, where
   * it runs along the channels or columns. Returns whether it did.
   */
  readonly addBias: (n: Node) => boolean;
}

function createWriter(graph: Graph, names: Map<Value, string>, weights: Set<Value>): Writer {
  const uses = new Map<Value, number>();
  for (const n of graph.nodes) for (const v of n.inputs) uses.set(v, (uses.get(v) ?? 0) + 1);
  const nodes: PeerNode[] = [];
  const made = new Map<Value, number>(); // where in `nodes` a value is made
  return {
    nodes,
    emit(n, op, inputs, attributes = {}) {
      const [y] = n.outputs;
      const name = `v${nodes.length}`;
      names.set(y, name);
      made.set(y, nodes.length);
      nodes.push({ op, inputs: inputs.map((v) => names.get(v)!), output: name, attributes });
    },
    isMade: (v) => names.has(v) && !weights.has(v),
    addBias(n) {
      const [y, bias] = [n.inputs[0], whole(n.inputs[1])];
      const at = made.get(y);
      if (at === undefined || !weights.has(bias) || bias.shape.length !== 1 || uses.get(y) !== 1)
        return false;
      const { op, inputs } = nodes[at];
      const takes = (op === "Conv" || op === "Gemm") && inputs.length === 2;
      if (!takes || bias.shape[0] !== y.shape[1]) return false;
      nodes[at] = { ...nodes[at], inputs: [...inputs, names.get(bias)!] };
      names.set(n.outputs[0], names.get(y)!);
      made.set(n.outputs[0], at);
      return true;
    },
  };
}

/** Writes the operator of one node; false where the node alone is none. */
function write(n: Node, { emit, isMade, addBias }: Writer): boolean {
  const [a] = n.inputs;
  if (isOp(n, reshapeOp)) {
    const { shape } = n.outputs[0];
    if (!isMade(a)) return true; // resolved where it is used
    if (shape.length !== 2 || shape[0] !== a.shape[0])
      throw new Error(
        `ONNX: no form for reshape of ${formatShape(a.shape)} to ${formatShape(shape)}`,
      );
    emit(n, "Flatten", [a], { axis: 1 });
  } else if (isOp(n, convOp)) {
    const { groups: group, dilation: dilations, ...g } = n.params;
    emit(n, "Conv", n.inputs, { dilations, group, ...windowOf(g) });
  } else if (isOp(n, maxPoolOp)) {
    emit(n, "MaxPool", [a], { ...windowOf(n.params), dilations: n.params.dilation });
  } else if (isOp(n, avgPoolOp)) {
    const { kernel, input, padLo, padHi, countIncludePad } = n.params;
    if (sameShape(kernel, input) && [...padLo, ...padHi].every((p) => p === 0))
      emit(n, "GlobalAveragePool", [a]);
    else
      emit(n, "AveragePool", [a], {
        ...windowOf(n.params),
        count_include_pad: Number(countIncludePad),
      });
  } else if (isOp(n, concatOp)) emit(n, "Concat", n.inputs, { axis: n.params.axis });
  else if (isOp(n, matmulOp) && a.shape.length === 2) {
    const { transposeA, transposeB } = n.params;
    emit(n, "Gemm", n.inputs, { transA: Number(transposeA), transB: Number(transposeB) });
  } else if (says(n, sumOf)) {
    if (!addBias(n)) emit(n, "Add", n.inputs);
  } else if (says(n, reluOf)) emit(n, "Relu", [a]);
  else if (says(n, relu6Of)) emit(n, "Clip", [a]);
  else return false;
  return true;
}

type Slid = Pick<WindowGeometry, "kernel" | "padLo" | "padHi" | "stride">;

const windowOf = ({ kernel, padLo, padHi, stride }: Slid): Attributes => ({
  kernel_shape: kernel,
  pads: [...padLo, ...padHi],
  strides: stride,
});

/** The value without the reshapes around it. */
const whole = (v: Value): Value => (v.node?.op === reshapeOp ? whole(v.node.inputs[0]) : v);

/** The expression of an elementwise function: a name can be anyone's. */
const exprOf = (fn: (...xs: Value[]) => Value, inputs: number): Expr =>
  (trace(fn, Array(inputs).fill(spec([2]))).nodes[0] as Node<ElementwiseParams>).params.f;
const [sumOf, reluOf, relu6Of] = [
  exprOf((a, b) => add(a, b), 2),
  exprOf(relu, 1),
  exprOf(relu6, 1),
];
const says = (n: Node, f: Expr): boolean => isElementwise(n) && exactly(n.params.f) === exactly(f);

/**
 * What `batchNorm2d` of @conv/layers is made of, x·scale + shift with scale = weight/√(variance +
 * epsilon) and shift = bias − mean·scale; null for anything else.
 */
function normalization(n: Node): { inputs: Value[]; epsilon: number; nodes: Node[] } | null {
  if (!says(n, ["add", ["mul", "a", "c"], "b"])) return null;
  const [scale, shift, x] = n.inputs;
  const [byScale, byShift] = [whole(scale).node, whole(shift).node];
  if (
    !byScale ||
    !byShift ||
    !isElementwise(byScale) ||
    !says(byShift, ["sub", "a", ["mul", "b", "c"]])
  )
    return null;
  const [epsilon] = constantsOf(byScale.params.f);
  if (
    epsilon === undefined ||
    !says(byScale, ["div", "a", ["sqrt", ["add", "b", epsilon]]]) ||
    byShift.inputs[2] !== whole(scale)
  )
    return null;
  const [weight, variance] = byScale.inputs;
  const [bias, mean] = byShift.inputs;
  return { inputs: [x, weight, bias, mean, variance], epsilon, nodes: [byScale, byShift] };
}

const constantsOf = (e: Expr): number[] =>
  typeof e === "number" ? [e] : typeof e === "string" ? [] : e.flatMap((part) => constantsOf(part));
