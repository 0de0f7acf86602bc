// In inference, batch normalization is one multiplication and one addition for each channel, which
// can be part of the convolution before it: s·(W∗x + b) + t = (s·W)∗x + (s·b + t).

import {
  add,
  convGradInputOp,
  convOp,
  isElementwise,
  matmulOp,
  reshape,
  variable,
  type Expr,
  type MatmulParams,
} from "@conv/ops";
import {
  dependents,
  evaluate,
  graphOf,
  hostArray,
  input,
  isOp,
  node,
  sameShape,
  sizeOf,
  spec,
  type Node,
  type Value,
} from "@conv/tensor";
import { zeros } from "../layers/init.ts";
import { traceModel, type Entry, type Model, type TracedModel } from "../layers/layer.ts";
import { matchState, type Saved, type State } from "../state/state.ts";
import { toHost } from "./convolution.ts";
import { again, consumers, layerOf, names, standIns, under, type ModelState } from "./rewrite.ts";

/**
 * A convolution, transposed convolution or linear layer, and the chain of nodes after it that are
 * affine for each channel.
 */
interface Fold {
  readonly conv: Node;
  readonly chain: readonly Node[];
  readonly weight: string;
  readonly bias: string;
}

/**
 * Folds batch normalization into the layer before it, for inference. Every convolution and linear
 * layer absorbs the batch normalization that directly follows it, and any other layer that is
 * affine for each channel (its scale and shift come from its outputs for 0 and 1). The result is an
 * equivalent model with fewer tensors. Tensors keep their names; each `path.weight` that absorbed a
 * layer gets a `path.bias`, and unused tensors are removed. Layers that are used twice, and
 * normalization before a convolution, do not change. Values are computed in float64 and rounded
 * once to float32. Throws ShapeError if the state does not fit the model.
 */
export function foldBatchNorm(model: Model, state: State): ModelState {
  const traced = traceModel(model);
  matchState(model.name, traced.entries, state);
  const folds = foldsOf(traced);
  const entries = remaining(traced, folds);
  const folded = new Map(
    folds.flatMap((fold): [string, Saved][] => {
      const [weight, bias] = numbersOf(fold, traced, state);
      return [
        [fold.weight, weight],
        [fold.bias, bias],
      ];
    }),
  );
  const layer = layerOf("foldBatchNorm", entries, (x, tensors) => {
    const again = traceModel({ ...model, input: x.shape.slice(1) }, { batch: x.shape[0] });
    return rewritten(again, foldsOf(again), x, tensors);
  });
  return {
    model: { ...model, layer },
    state: new Map(entries.map(({ name }) => [name, folded.get(name) ?? state.get(name)!])),
  };
}

function foldsOf(traced: TracedModel): Fold[] {
  const { graph, x, output } = traced;
  const [usersOf, nameOf] = [consumers(graph), names(traced)];
  const moving = dependents(graph, [x]);
  const known = new Set(traced.entries.map((e) => e.name));
  const takes = (n: Node): boolean =>
    n.op === convOp ||
    n.op === convGradInputOp ||
    (n.op === matmulOp && n.outputs[0].shape.length === 2 && isLinear(n as Node<MatmulParams>));
  return graph.nodes.flatMap((conv) => {
    if (!takes(conv) || !moving.has(conv.inputs[0])) return [];
    const weight = nameOf(conv.inputs[1]);
    if (!weight || !/(^|\.)weight$/.test(weight) || usersOf(conv.inputs[1]).length > 1) return [];
    const chain: Node[] = [];
    let [end] = conv.outputs;
    while (end !== output) {
      const [next, ...others] = usersOf(end);
      if (others.length || !isAffine(next, end, moving)) break;
      chain.push(next);
      [end] = next.outputs;
    }
    const bias = weight.replace(/weight$/, "bias");
    const old = traced.values.find((v) => nameOf(v) === bias);
    const taken = (v: Value): boolean =>
      v !== output && usersOf(v).every((n) => chain.includes(n) || n.outputs.every(taken));
    const free = !known.has(bias) || (old !== undefined && taken(old));
    return chain.length && free ? [{ conv, chain, weight, bias }] : [];
  });
}

const isLinear = ({ params: { transposeA, transposeB } }: Node<MatmulParams>): boolean =>
  transposeB && !transposeA;

/**
 * Whether a node is s·v + t, where s and t are constants with one value for each channel (axis 1).
 */
function isAffine(n: Node, v: Value, moving: ReadonlySet<Value>): boolean {
  if (!isElementwise(n) || !sameShape(n.outputs[0].shape, v.shape)) return false;
  const at = n.inputs.indexOf(v);
  const rank = v.shape.length;
  const perChannel = ({ shape }: Value) =>
    shape.every((size, a) => size === 1 || a + rank - shape.length === 1);
  return (
    n.inputs.every((other, i) => i === at || (!moving.has(other) && perChannel(other))) &&
    degree(n.params.f, variable(at)) <= 1
  );
}

/** Degree of an expression as a polynomial of a variable; Infinity if it is not a polynomial. */
function degree(e: Expr, of: string): number {
  if (typeof e === "number") return 0;
  if (typeof e === "string") return e === of ? 1 : 0;
  const [fn, ...args] = e;
  const degrees = args.map((arg) => degree(arg, of));
  const most = Math.max(...degrees);
  if (most === 0) return 0;
  if (fn === "add" || fn === "sub" || fn === "neg") return most;
  if (fn === "mul") return degrees[0] + degrees[1];
  return (fn === "div" && degrees[1] === 0) || (fn === "select" && degrees[0] === 0)
    ? most
    : Infinity;
}

/** Weight and bias of the convolution with the chain folded in. */
function numbersOf(
  { conv, chain, weight }: Fold,
  traced: TracedModel,
  state: State,
): [Saved, Saved] {
  const old = state.get(weight)!;
  const channels = conv.outputs[0].shape[1];
  const asked = input(spec(conv.outputs[0].shape.map((_, a) => (a === 1 ? channels : 1))));
  const answer = chain.reduce((v, n, i) => {
    const before = i ? chain[i - 1].outputs[0] : conv.outputs[0];
    return node(
      n.op,
      n.params,
      n.inputs.map((other) => (other === before ? v : other)),
    )[0];
  }, asked);
  const { nodes, outputs } = graphOf([asked, ...traced.values], [answer]);
  const used = new Set(nodes.flatMap((n) => n.inputs));
  const given = traced.values.flatMap((v, i) =>
    used.has(v) ? [[v, toHost(state.get(traced.entries[i].name)!)] as const] : [],
  );
  const ask = (value: number): Float64Array =>
    evaluate({ inputs: [asked, ...given.map(([v]) => v)], nodes, outputs }, [
      hostArray(asked.spec, new Float64Array(channels).fill(value)),
      ...given.map(([, array]) => array),
    ])[0].data;
  const shift = ask(0);
  const scale = ask(1).map((v, c) => v - shift[c]);
  const [first, second, ...kernel] = old.shape;
  const [taps, channelOf] = [sizeOf(kernel), channelsOf(conv, first, second)];
  const data = old.data.slice();
  for (let filter = 0; filter < first * second; filter++) {
    const by = scale[channelOf(filter)];
    for (let i = filter * taps; i < (filter + 1) * taps; i++) data[i] *= by;
  }
  return [
    { shape: old.shape, data },
    { shape: [channels], data: Float32Array.from(shift) },
  ];
}

/**
 * The output channel of filter `i` of a weight (first, second, …kernel): its index on the first
 * axis; for a transposed convolution its index on the second, after the channels of the groups
 * before.
 */
function channelsOf(n: Node, first: number, second: number): (i: number) => number {
  if (!isOp(n, convGradInputOp)) return (i) => Math.floor(i / second);
  const perGroup = first / n.params.groups;
  return (i) => Math.floor(i / second / perGroup) * second + (i % second);
}

/** The output of the folded graph for another input and other tensors. */
function rewritten(
  traced: TracedModel,
  folds: readonly Fold[],
  x: Value,
  tensors: ReadonlyMap<string, Value>,
): Value {
  const known = standIns(traced, x, tensors);
  const ends = new Map(folds.map((fold) => [fold.conv, fold]));
  const inside = new Set(folds.flatMap(({ chain }) => chain));
  for (const n of traced.graph.nodes) {
    if (inside.has(n)) continue;
    again(n, known);
    const fold = ends.get(n);
    if (!fold) continue;
    const y = known.get(n.outputs[0])!;
    const bias = tensors.get(fold.bias)!;
    const shape = y.shape.slice(1).map((size, a) => (a ? 1 : size));
    const sum = under(
      n.path,
      add(y, shape.length > 1 ? under(n.path, reshape(bias, [1, ...shape])) : bias),
    );
    known.set(fold.chain.at(-1)!.outputs[0], sum);
  }
  return known.get(traced.output)!;
}

/** The tensors that the rewritten graph needs. */
function remaining(traced: TracedModel, folds: readonly Fold[]): Entry[] {
  const biases = new Map(
    folds.map(({ weight, bias, conv }) => [
      weight,
      {
        name: bias,
        spec: spec([conv.outputs[0].shape[1]]),
        init: zeros,
        kind: "parameter" as const,
        trainable: true,
      },
    ]),
  );
  const replaced = new Set(folds.map((fold) => fold.bias));
  const entries = traced.entries.flatMap((e): Entry[] =>
    replaced.has(e.name) ? [] : [e, ...[biases.get(e.name) ?? []].flat()],
  );
  const tensors = new Map(entries.map((e) => [e.name, input(e.spec, e.name)]));
  const x = input(traced.x.spec);
  const { nodes } = graphOf([x, ...tensors.values()], [rewritten(traced, folds, x, tensors)]);
  const used = new Set(nodes.flatMap((n) => n.inputs));
  return entries.filter((e) => used.has(tensors.get(e.name)!));
}
