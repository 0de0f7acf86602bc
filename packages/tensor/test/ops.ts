// The few ops that these tests need: the package itself knows none.

import {
  message,
  apply,
  bytesOf,
  formatShape,
  hostArray,
  sameShape,
  shapeError,
  spec,
  type Arg,
  type Cost,
  type Cotangents,
  type Op,
  type Spec,
} from "../src/index.ts";

const cost = (inputs: readonly Spec[]): Cost => ({
  macs: 0,
  flops: 0,
  bytesRead: bytesOf(inputs[0]),
  bytesWritten: bytesOf(inputs[0]),
});

function equalShapes(op: string, [a, b]: readonly Spec[]): Spec[] {
  if (!sameShape(a.shape, b.shape))
    throw shapeError(
      op,
      "shapes-differ",
      message`shapes ${{ a: formatShape(a.shape) }} and ${{ b: formatShape(b.shape) }} differ`,
    );
  return [a];
}

const addOp: Op<null> = {
  name: "add",
  infer: (inputs) => equalShapes("add", inputs),
  reference: ([a, b]) => [
    hostArray(
      a,
      a.data.map((v, i) => v + b.data[i]),
    ),
  ],
  vjp: (_, [ct]) => [ct, ct],
  cost,
};
const mulOp: Op<null> = {
  name: "mul",
  infer: (inputs) => equalShapes("mul", inputs),
  reference: ([a, b]) => [
    hostArray(
      a,
      a.data.map((v, i) => v * b.data[i]),
    ),
  ],
  vjp: ({ inputs: [a, b] }, [ct]) => [mul(ct, b), mul(ct, a)],
  cost,
};
const scaleOp: Op<{ by: number }> = {
  name: "scale",
  infer: ([x]) => [x],
  reference: ([x], { by }) => [
    hostArray(
      x,
      x.data.map((v) => v * by),
    ),
  ],
  vjp: ({ params: { by } }, [ct]) => [scale(ct, by)],
  cost,
  simplify([x], { by }) {
    if (by === 1) return x;
    return x.node?.op === scaleOp
      ? scale(x.node.inputs[0], by * (x.node.params as { by: number }).by)
      : null;
  },
};
/** Two outputs: the first half and the second half of a vector. */
const halvesOp: Op<null, Cotangents> = {
  name: "halves",
  infer: ([x]) => [spec([x.shape[0] / 2]), spec([x.shape[0] / 2])],
  reference: ([x]) =>
    [x.data.slice(0, x.data.length / 2), x.data.slice(x.data.length / 2)].map((d) =>
      hostArray(spec([d.length]), d),
    ),
  vjp: (_, [a, b]) => [join(a ?? scale(b!, 0), b ?? scale(a!, 0))],
  cost,
};
const joinOp: Op<null> = {
  name: "join",
  infer: ([a, b]) => [spec([a.shape[0] + b.shape[0]])],
  reference: ([a, b]) => [
    hostArray(spec([a.shape[0] + b.shape[0]]), Float64Array.of(...a.data, ...b.data)),
  ],
  vjp: (_, [ct]) => apply(halvesOp, null, [ct]),
  cost,
};
/** No gradient flows through it. */
const stopOp: Op<null> = {
  name: "stop",
  infer: ([x]) => [x],
  reference: ([x]) => [x],
  vjp: () => [null],
  cost,
};

export const add = <T extends Arg>(a: T, b: T): T => apply(addOp, null, [a, b])[0];
export const mul = <T extends Arg>(a: T, b: T): T => apply(mulOp, null, [a, b])[0];
export const scale = <T extends Arg>(x: T, by: number): T => apply(scaleOp, { by }, [x])[0];
export const halves = <T extends Arg>(x: T): T[] => apply(halvesOp, null, [x]);
export const join = <T extends Arg>(a: T, b: T): T => apply(joinOp, null, [a, b])[0];
export const stop = <T extends Arg>(x: T): T => apply(stopOp, null, [x])[0];
