// A traced network in the vocabulary of ONNX, as plain data that goes to the peers' processes: what
// our layers spread over several nodes (a convolution and its bias, batch normalization) becomes
// the one operator that peers know how to fold and fuse.

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
  type AvgPoolGeometry,
  type ConcatParams,
  type ConvGeometry,
  type ElementwiseParams,
  type Expr,
  type PoolGeometry,
} from "@conv/ops";
import { exactly, formatShape, sameShape, spec, trace, type Node, type Value } from "@conv/tensor";

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
  const isWeight = (v: Value) => values.includes(v);
  const uses = new Map<Value, number>();
  for (const n of graph.nodes) for (const v of n.inputs) uses.set(v, (uses.get(v) ?? 0) + 1);
  const nodes: PeerNode[] = [];
  const made = new Map<Value, number>(); // where in `nodes` a value is made
  const waiting = new Set<Node>(); // what must be part of an operator that comes later
  const folded = new Set<Node>();

  const emit = (n: Node, op: string, inputs: readonly Value[], attributes: Attributes = {}) => {
    const [y] = n.outputs;
    const name = `v${nodes.length}`;
    names.set(y, name);
    made.set(
      y,
      nodes.push({ op, inputs: inputs.map((v) => names.get(v)!), output: name, attributes }) - 1,
    );
  };
  /**
   * A bias along the channels of a convolution or the columns of a product becomes its third input.
   */
  const takesBias = (n: Node): boolean => {
    const [y, bias] = [n.inputs[0], whole(n.inputs[1])];
    const at = made.get(y);
    if (at === undefined || !isWeight(bias) || bias.shape.length !== 1 || uses.get(y) !== 1)
      return false;
    if (
      !["Conv", "Gemm"].includes(nodes[at].op) ||
      nodes[at].inputs.length !== 2 ||
      bias.shape[0] !== y.shape[1]
    )
      return false;
    nodes[at] = { ...nodes[at], inputs: [...nodes[at].inputs, names.get(bias)!] };
    names.set(n.outputs[0], names.get(y)!);
    made.set(n.outputs[0], at);
    return true;
  };

  for (const n of graph.nodes) {
    const [a] = n.inputs;
    if (n.op === reshapeOp) {
      const { shape } = n.outputs[0];
      if (isWeight(a) || !names.has(a)) continue; // resolved where it is used
      if (shape.length !== 2 || shape[0] !== a.shape[0])
        throw new Error(
          `ONNX: no form for reshape of ${formatShape(a.shape)} to ${formatShape(shape)}`,
        );
      emit(n, "Flatten", [a], { axis: 1 });
    } else if (n.op === convOp) {
      const { dilation, groups, kernel, padLo, padHi, stride } = n.params as ConvGeometry;
      emit(n, "Conv", n.inputs, {
        dilations: dilation,
        group: groups,
        kernel_shape: kernel,
        pads: [...padLo, ...padHi],
        strides: stride,
      });
    } else if (n.op === maxPoolOp || n.op === avgPoolOp) {
      const g = n.params as PoolGeometry & Partial<AvgPoolGeometry>;
      const pads = [...g.padLo, ...g.padHi];
      const window = { kernel_shape: g.kernel, pads, strides: g.stride };
      if (n.op === maxPoolOp) emit(n, "MaxPool", [a], { ...window, dilations: g.dilation });
      else if (sameShape(g.kernel, g.input) && pads.every((p) => p === 0))
        emit(n, "GlobalAveragePool", [a]);
      else emit(n, "AveragePool", [a], { ...window, count_include_pad: Number(g.countIncludePad) });
    } else if (n.op === concatOp)
      emit(n, "Concat", n.inputs, { axis: (n.params as ConcatParams).axis });
    else if (n.op === matmulOp && a.shape.length === 2) {
      const { transposeA, transposeB } = n.params as { transposeA: boolean; transposeB: boolean };
      emit(n, "Gemm", n.inputs, { transA: Number(transposeA), transB: Number(transposeB) });
    } else if (says(n, sumOf)) {
      if (!takesBias(n)) emit(n, "Add", n.inputs);
    } else if (says(n, reluOf)) emit(n, "Relu", [a]);
    else if (says(n, relu6Of)) emit(n, "Clip", [a]);
    else {
      const parts = normalization(n);
      if (parts) {
        emit(n, "BatchNormalization", parts.inputs, { epsilon: parts.epsilon });
        for (const part of parts.nodes) folded.add(part);
      } else waiting.add(n);
    }
  }
  for (const n of waiting) if (!folded.has(n)) throw new Error(`ONNX: no form for ${n.op.name}`);
  return {
    input: { name: "x", shape: x.shape },
    output: { name: names.get(output)!, shape: output.shape },
    weights: entries.map((e) => ({ name: e.name, shape: e.spec.shape })),
    nodes,
  };
}

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
