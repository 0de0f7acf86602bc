// How many operations a network is, by the conventions of those who publish such numbers. They
// differ by up to a few per cent, and by a factor of two where a multiply-accumulate is two
// operations: no number is printed here without the name of its convention.

import {
  differentiate,
  elu,
  gelu,
  isElementwise,
  leakyRelu,
  prelu,
  relu,
  relu6,
  reshapeOp,
  variable,
  type Expr,
} from "@conv/ops";
import {
  dependents,
  bytesOf,
  costOf,
  exactly,
  graphOf,
  input,
  sameShape,
  sizeOf,
  spec,
  type Cost,
  type Node,
  type Value,
} from "@conv/tensor";
import { madeOf, type Traced } from "./traced.ts";

/** The ways to count operations by name. */
export const conventionNames = [
  "torchvision",
  "conv-only",
  "with-bias",
  "torchinfo",
  "ptflops",
  "flops2",
] as const;

/** The name of a way to count operations. */
export type Convention = (typeof conventionNames)[number];

/** A number for each convention. */
export type Operations = Readonly<Record<Convention, number>>;

/** What each convention counts, for the whole batch. */
export const operationConventions: Readonly<Record<Convention, string>> = {
  torchvision:
    "multiply-accumulates of convolutions and matrix products for the whole batch, products with padding included, bias not (torchvision)",
  "conv-only":
    "multiply-accumulates of convolutions alone for the whole batch, products with padding included, bias not",
  "with-bias":
    "torchvision's count, and 1 for each addition of a bias to an output of a convolution or matrix product",
  torchinfo:
    "for each layer with parameters their number, bias included, times the samples, and for a convolution times the places of its output (torchinfo's mult-adds)",
  ptflops:
    "the count with bias, 2 for each element that is normalized (1 without parameters), 1 for each output of a rectifier and each input of a pool (ptflops 0.7, its pytorch backend, but functions like modules and each once)",
  flops2: "2 for each multiply-accumulate of torchvision's count: floating-point operations",
};

/** What a node costs, for the whole batch. */
export interface NodeCounts extends Cost {
  readonly operations: Operations;
  /**
   * Multiply-accumulates of the gradients: to what comes from the input (dx; none where nothing
   * before is trained), and to parameters (dw).
   */
  readonly backward: { readonly dx: number; readonly dw: number };
  /**
   * Numbers that it gives out as a layer with parameters, for torchinfo's rule of memory; else 0.
   */
  readonly layerOutput: number;
}

/**
 * An expression with its constants left out, which are a layer's options: a name can be anyone's.
 */
const form = (e: Expr): unknown =>
  typeof e === "number" ? 0 : typeof e === "string" ? e : e.map(form);
const formOf = (n: Node): string => (isElementwise(n) ? exactly(form(n.params.f)) : "");
const functions: readonly ((x: Value) => Value)[] = [
  relu,
  relu6,
  leakyRelu,
  elu,
  gelu,
  (x) => gelu(x, "tanh"),
  (x) => prelu(x, x),
];
const rectifiers: ReadonlySet<string> = new Set(
  functions.map((f) => formOf(f(input(spec([1]))).node!)),
);

/**
 * A layer with parameters, used once: a product with its bias, or an elementwise op with tensors of
 * its own.
 */
interface Use {
  readonly main: Node;
  readonly parameters: Set<number>;
}

/** Counts of every node of a traced network. */
export function countNodes(traced: Traced): Map<Node, NodeCounts> {
  const { graph, x, entries, values } = traced;
  const activations = dependents(graph, [x]);
  const made = madeOf(traced, activations);
  const trained = dependents(
    graph,
    values.filter((_, i) => entries[i].trainable),
  );
  const entriesOf = (n: Node) => [
    ...new Set(n.inputs.flatMap((v) => (activations.has(v) ? [] : [...(made.get(v) ?? [])]))),
  ];
  const uses = new Map<Value, Use>();
  const counts = new Map<Node, NodeCounts>();

  for (const n of graph.nodes) {
    const cost = costOf(n);
    const [y] = n.outputs;
    const elements = sizeOf(y.shape);
    const own = activations.has(y) ? entriesOf(n) : [];
    const parameters = own.filter((i) => entries[i].kind === "parameter");
    const before = n.inputs.map((v) => uses.get(v)).find((use) => use?.main.path === n.path);
    const isConv = cost.macs > 0 && n.op.window !== undefined;
    const isBias =
      before !== undefined &&
      own.length > 0 &&
      costOf(before.main).macs > 0 &&
      addsParameters(n, activations);
    const use = isBias
      ? before
      : parameters.length || (cost.macs > 0 && activations.has(y))
        ? { main: n, parameters: new Set<number>() }
        : undefined;
    for (const i of parameters) use?.parameters.add(i);
    if (use) uses.set(y, use);
    const of =
      use &&
      (use.main.op.window && costOf(use.main).macs > 0
        ? [y.shape[0], ...use.main.outputs[0].shape.slice(2)]
        : [y.shape[0]]);
    const bias = isBias ? elements : 0;
    counts.set(n, {
      ...cost,
      operations: {
        torchvision: cost.macs,
        "conv-only": isConv ? cost.macs : 0,
        "with-bias": cost.macs + bias,
        torchinfo: of
          ? sizeOf(of) * parameters.reduce((sum, i) => sum + sizeOf(entries[i].spec.shape), 0)
          : 0,
        ptflops:
          cost.macs +
          bias +
          (activations.has(y) && !isBias
            ? touched(n, cost, activations, own.length, parameters.length)
            : 0),
        flops2: 2 * cost.macs,
      },
      backward: backwardMacs(n, cost, activations, trained),
      layerOutput: parameters.length && !isBias ? elements : 0,
    });
  }
  return counts;
}

/**
 * An elementwise op that adds tensors of the layer to what comes from the input, and does nothing
 * else with them.
 */
export function addsParameters(n: Node, activations: ReadonlySet<Value>): boolean {
  if (!isElementwise(n)) return false;
  return n.inputs.every((v, i) => {
    if (activations.has(v)) return true;
    const derivative = differentiate(n.params.f, variable(i));
    return typeof derivative === "number" && derivative !== 0;
  });
}

/** 1/√(variance + ε) and weight/√(variance + ε). */
const factors: ReadonlySet<string> = new Set(
  (["a", "b"] as const)
    .map((variance, i): Expr => ["div", i ? "a" : 1, ["sqrt", ["add", variance, 1]]])
    .map((e) => exactly(form(e))),
);
/** What made a value, reshapes left out. */
const sourceOf = ({ node }: Value): Node | null =>
  node?.op === reshapeOp ? sourceOf(node.inputs[0]) : node;
const isFactor = (n: Node | null): boolean => n !== null && factors.has(formOf(n));
/** Whether it multiplies by such a factor of statistics of the sample, or of the batch. */
const normalizes = (n: Node, activations: ReadonlySet<Value>): boolean =>
  isElementwise(n) && n.inputs.some((v) => activations.has(v) && isFactor(sourceOf(v)));

/** What ptflops counts beside products: by element, for normalizations, rectifiers and pools. */
function touched(
  n: Node,
  { macs }: Cost,
  activations: ReadonlySet<Value>,
  tensors: number,
  parameters: number,
): number {
  const [{ shape }] = n.outputs;
  const elements = sizeOf(shape);
  if (rectifiers.has(formOf(n))) return elements;
  if (n.op.window && macs === 0) return sizeOf(n.inputs[0].shape);
  if (!isElementwise(n) || !n.inputs.some((v) => activations.has(v) && sameShape(v.shape, shape)))
    return 0;
  if (isFactor(n)) return 0; // for a whole map
  if (tensors === 0) return normalizes(n, activations) ? elements : 0;
  // Where parameters follow a normalization in an op of their own, as in layerNorm, ptflops
  // overlooks them.
  const before = n.inputs
    .map(sourceOf)
    .find((m) => m !== null && m.path === n.path && normalizes(m, activations));
  return before ? 0 : elements * (parameters > 0 ? 2 : 1);
}

/** The gradient of each input costs what the nodes cost that its op makes of it. */
function backwardMacs(
  n: Node,
  { macs }: Cost,
  activations: ReadonlySet<Value>,
  trained: ReadonlySet<Value>,
): { dx: number; dw: number } {
  const result = { dx: 0, dw: 0 };
  if (macs === 0) return result;
  const seeds = n.outputs.map((v) => input(v.spec));
  n.op.vjp(n, seeds).forEach((gradient, i) => {
    const v = n.inputs[i];
    if (!gradient || !trained.has(v)) return;
    const { nodes } = graphOf([...n.inputs, ...n.outputs, ...seeds], [gradient]);
    result[activations.has(v) ? "dx" : "dw"] += nodes.reduce((sum, m) => sum + costOf(m).macs, 0);
  });
  return result;
}

/**
 * The memory that torchinfo prints, in bytes: its rule is float32 for the input, the parameters,
 * and twice the outputs of all layers with parameters.
 */
export interface TorchinfoMemory {
  readonly input: number;
  readonly passes: number;
  readonly parameters: number;
  readonly total: number;
}

/**
 * Torchinfo's "Input size", "Forward/backward pass size", "Params size" and "Estimated Total Size",
 * in bytes (it prints MB of 1,000,000).
 */
export function torchinfoMemory(
  { x, entries }: Traced,
  counts: ReadonlyMap<Node, NodeCounts>,
): TorchinfoMemory {
  const passes = 2 * 4 * [...counts.values()].reduce((sum, c) => sum + c.layerOutput, 0);
  const parameters = entries.reduce(
    (sum, e) => sum + (e.kind === "parameter" ? bytesOf(e.spec) : 0),
    0,
  );
  return {
    input: bytesOf(x.spec),
    passes,
    parameters,
    total: bytesOf(x.spec) + passes + parameters,
  };
}
