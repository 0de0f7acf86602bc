// A linear layer is a convolution whose kernel is as large as its input, which is a 1×1 convolution
// if the input is one pixel. So a classifier can be applied to larger images as a sliding window:
// Matan, Burges, LeCun and Denker, "Multi-Digit Recognition Using a Space Displacement Neural
// Network", NIPS 1991; Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic
// Segmentation", CVPR 2015.

import {
  avgPool,
  avgPoolOp,
  conv,
  convOp,
  flatten,
  isElementwise,
  logSoftmaxOp,
  matmul,
  matmulOp,
  maxPool,
  maxPoolOp,
  reshape,
  reshapeOp,
  softmaxOp,
} from "@conv/ops";
import type { PoolGeometry, WindowGeometry } from "@conv/ops";
import {
  dependents,
  formatShape,
  isOp,
  message,
  type Node,
  sameShape,
  shapeError,
  spec,
  unsupported,
  type Value,
} from "@conv/tensor";
import { traceModel, type Entry, type Model, type TracedModel } from "../layers/layer.ts";
import { matchState, type State } from "../state/state.ts";
import { again, consumers, layerOf, names, standIns, under, type ModelState } from "./rewrite.ts";

const TO_CONV = "linearToConv1x1";
const TO_LINEAR = "conv1x1ToLinear";

/**
 * Converts a classifier to a fully convolutional network, for images of the model's size and
 * larger: x (n, …) → (n, classes, …positions). The first linear layer, over c×h×w flattened values,
 * becomes an h×w convolution; the others become 1×1. A pooling layer directly before it, global or
 * adaptive to a size that divides the input, keeps the size of its window and becomes a sliding
 * pool. Values and their order do not change: a weight (out, in) gets the shape (out, c, h, w) or
 * (out, in, 1, 1), and the new state shares its arrays. An image of the model's size has one
 * position, with the output of the classifier. In a larger image (`{ ...model, input }`) position
 * (i, j) has the output for the crop that begins at (i, j) times the product of all strides. This
 * is exact if no layer pads, and no layer before the flattening reduces over the whole map, as
 * squeeze and excitation does. Otherwise pixels around the crop take the place of padding and enter
 * the averages. Throws ShapeError if the state does not fit the model or nothing is flattened, and
 * UnsupportedError for a layer after the flattening that cannot slide.
 */
export function linearToConv1x1(model: Model, state: State): ModelState {
  const traced = traceModel(model);
  matchState(model.name, traced.entries, state);
  const head = headOf(model, traced);
  const entries = traced.entries.map((e): Entry => ({
    ...e,
    spec: spec(head.shapes.get(e.name) ?? e.spec.shape),
  }));
  const layer = layerOf(TO_CONV, entries, (x, tensors) => {
    const body = traceModel({ ...model, input: x.shape.slice(1) }, { batch: x.shape[0] });
    const known = standIns(body, x, tensors);
    const { nodes } = traced.graph;
    for (let i = 0; i <= head.at; i++) {
      const [n, old] = [body.graph.nodes[i], nodes[i]];
      if (n?.op !== old.op || n.outputs[0].shape.length !== old.outputs[0].shape.length)
        throw unsupported(
          TO_CONV,
          "other-network",
          message`${{ model: model.name }} has other layers for input ${{ shape: formatShape(x.shape) }}: ${{ op: n?.op.name ?? "it ends" }} instead of ${{ before: old.op.name }}; its layers must not depend on the size of the input`,
        );
      again(n, known);
    }
    const features =
      head.at < 0 ? x : known.get(body.graph.nodes[head.at].outputs[head.from.index])!;
    return head.apply(features, tensors);
  });
  const { loss: _ofRows, ...rest } = model;
  return { model: { ...rest, layer }, state: reshaped(entries, state) };
}

/** The part of a classifier after its features. */
interface Head {
  /** The features, and the index of the node that computes them; −1 for the input itself. */
  readonly from: Value;
  readonly at: number;
  /** Shapes of the weights of linear layers as convolutions. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  apply(features: Value, tensors: ReadonlyMap<string, Value>): Value;
}

function headOf(model: Model, traced: TracedModel): Head {
  const { graph, x, output } = traced;
  const nameOf = names(traced);
  const usersOf = consumers(graph);
  const moving = dependents(graph, [x]);
  const flat = graph.nodes.find((n) => isFlatten(n) && moving.has(n.inputs[0]));
  if (!flat)
    throw shapeError(
      TO_CONV,
      "nothing-flattened",
      message`${{ model: model.name }} has no flatten layer, so none of its linear layers can become a convolution over maps`,
    );
  const pooled = flat.inputs[0].node;
  const from =
    pooled && isPool(pooled) && padsNothing(pooled.params) ? pooled.inputs[0] : flat.inputs[0];
  const behind = dependents(graph, [from]);
  const nodes = graph.nodes.filter((n) => n.inputs.some((v) => behind.has(v)));
  const fail = (n: Node, why: string) =>
    unsupported(
      TO_CONV,
      "not-slidable",
      message`${{ op: n.op.name }}${{ path: n.path && ` of ${n.path}` }} in ${{ model: model.name }} ${{ reason: why }}`,
    );

  // The spatial size of each value before it was flattened: the kernel of the convolution that
  // reads it.
  const extents = new Map<Value, readonly number[]>();
  const shapes = new Map<string, readonly number[]>();
  for (const n of nodes) {
    const [v] = n.inputs.filter((other) => behind.has(other));
    if (n.inputs.some((other) => moving.has(other) && !behind.has(other)))
      throw fail(n, "also reads features from before the flattening, so it cannot slide");
    const ones = from.shape.slice(2).map(() => 1);
    if (n === pooled) continue;
    if (n === flat) extents.set(n.outputs[0], v.shape.slice(2));
    else if (isOp(n, matmulOp)) {
      const { transposeA, transposeB } = n.params;
      const name = nameOf(n.inputs[1]);
      if (transposeA || !transposeB || !name || usersOf(n.inputs[1]).length > 1)
        throw fail(n, "has no weight that it alone uses, so it cannot slide");
      const extent = extents.get(v)!;
      const [outs, ins] = n.inputs[1].shape;
      shapes.set(name, [outs, ins / extent.reduce((a, b) => a * b, 1), ...extent]);
      extents.set(n.outputs[0], ones);
    } else if (isElementwise(n) || isSoftmax(n)) {
      const extent = extents.get(v)!;
      const perFeature = n.inputs.some(
        (other) => !behind.has(other) && other.shape.some((size) => size > 1),
      );
      if (perFeature && !sameShape(extent, ones))
        throw fail(n, "has different values for each position of the map, so it cannot slide");
      extents.set(n.outputs[0], extent);
    } else throw fail(n, "cannot slide");
  }

  return {
    from,
    at: from.node ? graph.nodes.indexOf(from.node) : -1,
    shapes,
    apply(features, tensors) {
      const ones = features.shape.slice(2).map(() => 1);
      const known = standIns(traced, features, tensors, from);
      // One value for each channel, with shape (1, channels, 1, …) to broadcast over maps.
      const beside = (v: Value, path: string): Value =>
        v.shape.length ? under(path, reshape(v, [1, v.shape[v.shape.length - 1], ...ones])) : v;
      for (const n of graph.nodes) {
        if (!nodes.includes(n)) {
          if (!n.inputs.some((v) => moving.has(v))) again(n, known);
          continue;
        }
        const inputs = n.inputs.map((v) => known.get(v)!);
        const [v, w] = inputs;
        if (n === flat) known.set(n.outputs[0], v);
        else if (isPool(n)) known.set(n.outputs[0], under(n.path, slidingPool(n, v)));
        else if (n.op === matmulOp) known.set(n.outputs[0], under(n.path, conv(v, w)));
        else
          again(
            n,
            known,
            n.inputs.map((old, i) => (behind.has(old) ? inputs[i] : beside(inputs[i], n.path))),
          );
      }
      return known.get(output)!;
    },
  };
}

/**
 * The inverse of {@link linearToConv1x1}: convolutions at the end of a model whose kernel covers
 * their whole input, followed only by elementwise layers and softmax over channels, become linear
 * layers over the flattened maps: x (n, …) → (n, classes), for images of the model's size. A weight
 * (out, c, h, w) gets the shape (out, c·h·w). Throws ShapeError if the state does not fit the model
 * or the model has no such convolution.
 */
export function conv1x1ToLinear(model: Model, state: State): ModelState {
  const traced = traceModel(model);
  matchState(model.name, traced.entries, state);
  const nameOf = names(traced);
  const turned = [...tailOf(traced)].filter((n) => n.op === convOp).map((n) => n.inputs[1]);
  if (!turned.length)
    throw shapeError(
      TO_LINEAR,
      "not-at-end",
      message`${{ model: model.name }} has no convolution at its end whose kernel covers its whole input`,
    );
  const shapes = new Map(
    turned.map((w) => [nameOf(w)!, [w.shape[0], w.shape.slice(1).reduce((a, b) => a * b, 1)]]),
  );
  const entries = traced.entries.map((e): Entry => ({
    ...e,
    spec: spec(shapes.get(e.name) ?? e.spec.shape),
  }));
  const layer = layerOf(TO_LINEAR, entries, (x, tensors) => {
    if (!sameShape(x.shape.slice(1), model.input))
      throw shapeError(
        TO_LINEAR,
        "input-shape",
        message`input has shape ${{ given: formatShape(x.shape.slice(1)) }}, the linear layers need ${{ needed: formatShape(model.input) }}`,
      );
    return flattened(traceModel(model, { batch: x.shape[0] }), x, tensors);
  });
  return { model: { ...model, layer }, state: reshaped(entries, state) };
}

/** The nodes from the first convolution that can become a linear layer to the output. */
function tailOf(traced: TracedModel): ReadonlySet<Node> {
  const { graph, x } = traced;
  const moving = dependents(graph, [x]);
  const usersOf = consumers(graph);
  const nameOf = names(traced);
  const onePlace = ({ shape }: Value) =>
    shape.length > 2 && shape.slice(2).every((size) => size === 1);
  const fits = (n: Node): boolean => {
    if (isFlatten(n)) return onePlace(n.inputs[0]);
    if (isOp(n, convOp)) {
      const g = n.params;
      return (
        g.groups === 1 &&
        coversAll(g) &&
        nameOf(n.inputs[1]) !== undefined &&
        usersOf(n.inputs[1]).length === 1
      );
    }
    const rows = [...n.inputs.filter((v) => moving.has(v)), ...n.outputs].every(
      (v) => v.shape.length === 2,
    );
    return rows || ((isElementwise(n) || isSoftmax(n)) && onePlace(n.outputs[0]));
  };
  const tail = new Set<Node>();
  for (const n of graph.nodes.toReversed()) {
    const followed = n.outputs.every((v) => usersOf(v).every((user) => tail.has(user)));
    if (moving.has(n.outputs[0]) && followed && fits(n)) tail.add(n);
  }
  // Layers before the first of the convolutions keep their maps.
  const convs = [...tail].filter((n) => n.op === convOp);
  const after = dependents(
    graph,
    convs.map((n) => n.outputs[0]),
  );
  return new Set([...tail].filter((n) => convs.includes(n) || n.inputs.some((v) => after.has(v))));
}

function flattened(traced: TracedModel, x: Value, tensors: ReadonlyMap<string, Value>): Value {
  const tail = tailOf(traced);
  const made = new Set([...tail].flatMap((n) => n.outputs));
  const moving = dependents(traced.graph, [traced.x]);
  const known = standIns(traced, x, tensors);
  for (const n of traced.graph.nodes) {
    if (!tail.has(n)) {
      again(n, known);
      continue;
    }
    const inputs = n.inputs.map((v) => known.get(v)!);
    const rows = inputs.map((v, i) => {
      if (made.has(n.inputs[i]) || (n.op === convOp && i === 1)) return v;
      if (moving.has(n.inputs[i])) return under(n.path, flatten(v));
      return v.shape.length > 2 ? under(n.path, reshape(v, v.shape.slice(0, 2))) : v;
    });
    if (n.op === convOp)
      known.set(n.outputs[0], under(n.path, matmul(rows[0], rows[1], { transposeB: true })));
    else if (isFlatten(n)) known.set(n.outputs[0], rows[0]);
    else again(n, known, rows);
  }
  return known.get(traced.output)!;
}

const reshaped = (entries: readonly Entry[], state: State): State =>
  new Map(entries.map((e) => [e.name, { shape: e.spec.shape, data: state.get(e.name)!.data }]));

/** (n, c, …space) → (n, c·|space|). */
const isFlatten = (n: Node): boolean =>
  n.op === reshapeOp &&
  n.inputs[0].shape.length > 2 &&
  n.outputs[0].shape.length === 2 &&
  n.inputs[0].shape[0] === n.outputs[0].shape[0];

const isSoftmax = (n: Node): boolean => isOp(n, softmaxOp, logSoftmaxOp) && n.params.axis === 1;

const isPool = (n: Node): n is Node<PoolGeometry> =>
  isOp<Node, PoolGeometry>(n, avgPoolOp, maxPoolOp);

const padsNothing = ({ padLo, padHi }: WindowGeometry): boolean =>
  [...padLo, ...padHi].every((size) => size === 0);

/** Whether one window covers exactly the whole input. */
const coversAll = (g: WindowGeometry): boolean =>
  padsNothing(g) &&
  g.input.every((size, a) => size === g.kernel[a] && (size === 1 || g.dilation[a] === 1));

/** The same pooling; a window over the whole input gets stride 1. */
function slidingPool({ op, params }: Node<PoolGeometry>, x: Value): Value {
  const { kernel, dilation } = params;
  const stride = coversAll(params) ? 1 : params.stride;
  return op === avgPoolOp
    ? avgPool(x, kernel, { stride, dilation })
    : maxPool(x, kernel, { stride, dilation });
}
