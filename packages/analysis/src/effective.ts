// The effective receptive field: how much each place of the input really moves an output unit, by
// the gradient. Luo, Li, Urtasun and Zemel, "Understanding the Effective Receptive Field in Deep
// Convolutional Neural Networks", NeurIPS 2016.

import { add } from "@conv/ops";
import {
  allocate,
  bytesOf,
  checkOptions,
  formatShape,
  graphOf,
  input,
  message,
  optimize,
  shapeError,
  sizeOf,
  vjp,
  type Backend,
  type Graph,
  type Program,
  type Value,
} from "@conv/tensor";
import type { Traced } from "./traced.ts";

/** Plain data. */
export interface EffectiveField {
  /** Spatial sizes of the input. */
  readonly shape: readonly number[];
  /** Mean over samples of Σ |gradient| over channels at each place, divided by the largest. */
  readonly map: readonly number[];
  /** Along each axis the mean and the standard deviation of the place, weighted by the map. */
  readonly center: readonly number[];
  readonly deviation: readonly number[];
  /**
   * Places with more than 4.55 % of the largest, as a share of all, and the side of a cube with as
   * many: √count for images (Luo et al.).
   */
  readonly share: number;
  readonly side: number;
}

const OUTSIDE = 1 - 0.9545; // two standard deviations of a normal distribution

/** 1 at the unit of these places in every map of y, in all samples and channels, 0 elsewhere. */
function seedAt({ spec: { shape } }: Value, places: readonly number[]): Float32Array {
  const seed = new Float32Array(sizeOf(shape));
  const space = shape.slice(2);
  if (
    places.length !== space.length ||
    !places.every((p, a) => Number.isInteger(p) && p >= 0 && p < space[a])
  )
    throw shapeError(
      "effectiveField",
      "unit-out-of-range",
      message`there is no unit ${{ unit: places.join("×") }} in maps of ${{ maps: formatShape(space) }}`,
    );
  for (
    let p = space.reduce((at, size, a) => at * size + places[a], 0);
    p < seed.length;
    p += sizeOf(space)
  )
    seed[p] = 1;
  return seed;
}

/**
 * The graph of the gradient by x: inputs are those of the network and the gradient of `y`, the
 * output has the shape of x. Throws ShapeError if y does not depend on x.
 */
export function gradientGraph({ graph, x }: Pick<Traced, "graph" | "x">, y: Value): Graph {
  const seed = input(y.spec, "gradient of the output");
  const [dx] = vjp([y], [seed], [x], add);
  if (!dx)
    throw shapeError(
      "effectiveField",
      "independent-output",
      message`an output of shape ${{ shape: formatShape(y.shape) }} does not depend on the input`,
    );
  return optimize(graphOf([...graph.inputs, seed], [dx]));
}

export interface EffectiveOptions {
  /** The output (n, c, …space) whose unit is looked at. */
  readonly at: Value;
  /** Its places along the spatial axes; default: the middle. */
  readonly unit?: readonly number[] | undefined;
  /**
   * Values of the graph's inputs in their order: samples of x (random ones show the network,
   * photographs what it does with them), then its tensors.
   */
  readonly inputs: readonly Float32Array[];
}

/**
 * Measures the effective field of a unit on a back end. Throws ShapeError where unit or inputs do
 * not fit, and what the back end throws.
 */
export async function effectiveField(
  backend: Backend,
  traced: Traced,
  options: EffectiveOptions,
): Promise<EffectiveField> {
  checkOptions("effectiveField", options, "at unit inputs");
  const { at, inputs, unit } = options;
  const graph = gradientGraph(traced, at);
  const values = [
    ...inputs,
    seedAt(at, unit ?? at.shape.slice(2).map((size) => Math.floor(size / 2))),
  ];
  if (values.length !== graph.inputs.length)
    throw shapeError(
      "effectiveField",
      "input-count",
      message`got ${{ got: inputs.length }} inputs, the graph has ${{ takes: graph.inputs.length - 1 }}`,
    );
  graph.inputs.forEach((v, i) => {
    if (values[i].length !== sizeOf(v.shape))
      throw shapeError(
        "effectiveField",
        "values-count",
        message`input ${{ input: i }} has ${{ got: values[i].length }} numbers, ${{ shape: formatShape(v.shape) }} holds ${{ size: sizeOf(v.shape) }}`,
      );
  });
  const buffers = allocate(
    backend,
    [...graph.inputs, ...graph.outputs].map((v) => bytesOf(v.spec)),
  );
  let program: Program | undefined;
  try {
    program = backend.compile(graph);
    values.forEach((data, i) => backend.write(buffers[i], data));
    const output = buffers[values.length];
    program.run(buffers.slice(0, -1), [output]);
    return effectiveFieldOf(new Float32Array(await backend.read(output)), traced.x.shape);
  } finally {
    program?.dispose();
    for (const b of buffers) backend.free(b);
  }
}

/** The field by a gradient of the shape (n, c, …space). */
export function effectiveFieldOf(
  gradient: ArrayLike<number>,
  shape: readonly number[],
): EffectiveField {
  const space = shape.slice(2);
  const plane = sizeOf(space);
  const sums = new Float64Array(plane);
  for (let i = 0; i < gradient.length; i++) sums[i % plane] += Math.abs(gradient[i]);
  const most = sums.reduce((a, b) => Math.max(a, b), 0);
  const total = sums.reduce((a, b) => a + b, 0);
  const strides = space.map((_, a) => sizeOf(space.slice(a + 1)));
  const moment = (a: number, f: (place: number) => number) =>
    sums.reduce((sum, weight, i) => sum + weight * f(Math.floor(i / strides[a]) % space[a]), 0) /
    (total || 1);
  const center = space.map((_, a) => moment(a, (p) => p));
  const count = sums.reduce((n, v) => n + Number(v > OUTSIDE * most), 0);
  return {
    shape: space,
    map: Array.from(sums, (v) => v / (most || 1)),
    center,
    deviation: space.map((_, a) => Math.sqrt(moment(a, (p) => (p - center[a]) ** 2))),
    share: count / plane,
    side: count ** (1 / space.length),
  };
}
