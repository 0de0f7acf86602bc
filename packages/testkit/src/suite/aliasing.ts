// Outputs in the buffers of inputs. The outcome is as if every input were read before any output is
// written, whatever the back end runs where: it may write in place only what no later step still
// reads.

import {
  add,
  avgPool,
  concat,
  conv,
  grad,
  linear,
  matmul,
  max,
  maxPool,
  mul,
  relu,
  reshape,
  slice,
  softmax,
  square,
  sub,
  sum,
  tanh,
  transpose,
} from "@conv/ops";
import { optimize, spec, type Value } from "@conv/tensor";
import { describe, it } from "vitest";
import { draw } from "../data.ts";
import { graphOfShapes, share, type Device } from "./device.ts";
import { session } from "./session.ts";

type Alias = {
  readonly name: string;
  readonly shapes: readonly (readonly number[])[];
  readonly fn: (...xs: Value[]) => Value | readonly Value[];
  /** For each output the input in whose buffer it goes; null for a buffer of its own. */
  readonly into: readonly (number | null)[];
};

const square4 = [4, 4];

const aliases: readonly Alias[] = [
  { name: "relu in place", shapes: [[3, 17]], fn: (x) => relu(x), into: [0] },
  {
    name: "a sum of two in the place of the second",
    shapes: [
      [5, 7],
      [5, 7],
    ],
    fn: (a, b) => add(a, b),
    into: [1],
  },
  {
    name: "a row added in the place of the matrix",
    shapes: [[5, 7], [7]],
    fn: (a, b) => add(a, b),
    into: [0],
  },
  { name: "swap", shapes: [[9], [9]], fn: (a, b) => [b, a], into: [0, 1] },
  {
    name: "swap of two, each computed",
    shapes: [[33], [33]],
    fn: (a, b) => [mul(b, 2), mul(a, 3)],
    into: [0, 1],
  },
  {
    name: "rotation of three",
    shapes: [
      [2, 3],
      [2, 3],
      [2, 3],
    ],
    fn: (a, b, c) => [b, c, a],
    into: [0, 1, 2],
  },
  { name: "a Fibonacci step", shapes: [[5], [5]], fn: (a, b) => [add(a, b), a], into: [0, 1] },
  {
    name: "first output overwrites what the second needs",
    shapes: [[4, 9]],
    fn: (x) => [relu(x), sub(x, relu(x))],
    into: [0, null],
  },
  {
    name: "second output overwrites what the first needs",
    shapes: [[4, 9]],
    fn: (x) => [tanh(mul(x, x)), mul(x, 2)],
    into: [null, 0],
  },
  {
    name: "an early result overwrites what a late step needs",
    shapes: [
      [1, 4, 6, 6],
      [4, 4, 3, 3],
    ],
    fn: (x, w) => {
      const first = relu(x);
      const late = conv(conv(first, w, { padding: 1 }), w, { padding: 1 });
      return [first, add(late, x)];
    },
    into: [0, null],
  },
  {
    name: "conv in the place of its input",
    shapes: [
      [1, 5, 7, 7],
      [5, 5, 3, 3],
    ],
    fn: (x, w) => conv(x, w, { padding: 1 }),
    into: [0],
  },
  {
    name: "pointwise conv in the place of its input",
    shapes: [
      [2, 8, 5, 5],
      [8, 8, 1, 1],
    ],
    fn: (x, w) => relu(conv(x, w)),
    into: [0],
  },
  {
    name: "depthwise conv in the place of its input",
    shapes: [
      [1, 9, 6, 6],
      [9, 1, 3, 3],
    ],
    fn: (x, w) => conv(x, w, { padding: 1, groups: 9 }),
    into: [0],
  },
  {
    name: "conv in the place of its weight",
    shapes: [
      [3, 3, 5, 5],
      [3, 3, 3, 3],
    ],
    fn: (x, w) => conv(x, w),
    into: [1],
  },
  {
    name: "matrix product in the place of a",
    shapes: [square4, square4],
    fn: (a, b) => matmul(a, b),
    into: [0],
  },
  {
    name: "matrix product in the place of b",
    shapes: [
      [7, 7],
      [7, 7],
    ],
    fn: (a, b) => matmul(a, b, { transposeB: true }),
    into: [1],
  },
  {
    name: "matrix product of one matrix with itself, in place",
    shapes: [[9, 9]],
    fn: (a) => matmul(a, a),
    into: [0],
  },
  { name: "transpose in place", shapes: [[6, 6]], fn: (x) => transpose(x), into: [0] },
  {
    name: "rows and columns exchanged between two",
    shapes: [square4, square4],
    fn: (a, b) => [transpose(b), transpose(a)],
    into: [0, 1],
  },
  {
    name: "rotation of rows in place",
    shapes: [[5, 3]],
    fn: (x) => concat([slice(x, [1, 0], [4, 3]), slice(x, [0, 0], [1, 3])]),
    into: [0],
  },
  { name: "reshape in place", shapes: [[12]], fn: (x) => reshape(x, [12]), into: [0] },
  { name: "softmax in place", shapes: [[6, 10]], fn: (x) => softmax(x, 1), into: [0] },
  {
    name: "softmax along the first axis, in place",
    shapes: [[6, 10]],
    fn: (x) => softmax(x, 0),
    into: [0],
  },
  {
    name: "pools that keep the size, in place",
    shapes: [[1, 2, 6, 6]],
    fn: (x) =>
      add(maxPool(x, 3, { stride: 1, padding: 1 }), avgPool(x, 3, { stride: 1, padding: 1 })),
    into: [0],
  },
  {
    name: "normalized by its own maximum, in place",
    shapes: [[4, 9]],
    fn: (x) => sub(x, max(x, 1, true)),
    into: [0],
  },
  {
    name: "a sum over one axis in the place of a row",
    shapes: [[5, 7], [7]],
    fn: (x, b) => add(b, sum(x, 0)),
    into: [1],
  },
  {
    name: "a weight updated by its gradient, in place",
    shapes: [[2, 3, 6, 6], [4, 3, 3, 3], [4]],
    fn: (x, w, b) => {
      const y = relu(add(conv(x, w), reshape(b, [1, 4, 1, 1])));
      const [dw, db] = grad(sum(square(y)), [w, b]);
      return [sum(y), sub(w, mul(dw, 0.01)), sub(b, mul(db, 0.01))];
    },
    into: [null, 1, 2],
  },
  {
    name: "two layers updated, in place, in the other order",
    shapes: [
      [5, 8],
      [6, 8],
      [3, 6],
    ],
    fn: (x, v, w) => {
      const [dv, dw] = grad(sum(square(linear(tanh(linear(x, v)), w))), [v, w]);
      return [sub(w, mul(dw, 0.1)), sub(v, mul(dv, 0.1))];
    },
    into: [2, 1],
  },
];

/**
 * Registers the aliasing tests: each graph runs three times, so that the results of one run are the
 * inputs of the next.
 */
export function aliasingSuite(device: Device): void {
  describe("outputs in the place of inputs", () => {
    for (const { name, shapes, fn, into } of share(device, aliases, () => "aliases"))
      it(name, async () => {
        const s = session(device.backend);
        try {
          const graph = optimize(graphOfShapes(shapes, fn));
          const program = s.program(graph);
          const inputs = shapes.map((shape, i) =>
            s.hold(draw(spec(shape), "normal", `${name} #${i}`)),
          );
          const outputs = graph.outputs.map((v, i) =>
            into[i] === null ? s.hold(draw(v.spec, "normal", name)) : inputs[into[i]],
          );
          for (let round = 0; round < 3; round++) {
            await program.run(inputs, outputs);
            // Keep the numbers tame over the rounds.
            for (const [i, h] of outputs.entries())
              if (h.value.data.some((v) => Math.abs(v) > 100))
                s.write(h, draw(h.spec, "normal", `${name}, round ${round} #${i}`));
          }
        } finally {
          s.end();
        }
      });

    it("the same program on ever other buffers, aliased and not", async () => {
      const s = session(device.backend);
      try {
        const x = spec([3, 11]);
        const program = s.program(
          graphOfShapes([x.shape, x.shape], (a, b) => [add(a, tanh(b)), sub(b, a)]),
        );
        const [p, q, r, t] = ["p", "q", "r", "t"].map((seed) => s.hold(draw(x, "normal", seed)));
        await program.run([p, q], [r, t]);
        await program.run([r, t], [p, q]);
        await program.run([p, q], [q, p]);
        await program.run([p, p], [q, r]);
        await program.run([t, q], [t, p]);
        await program.run([t, t], [r, t]);
      } finally {
        s.end();
      }
    });

    it("one buffer for inputs and output of equal size and other shape", async () => {
      const s = session(device.backend);
      try {
        const graph = graphOfShapes([[3, 4]], (x) => transpose(x));
        const held = s.hold(draw(spec([3, 4]), "normal", "other shape"));
        const out = { ...held, spec: graph.outputs[0].spec };
        await s.program(graph).run([held], [out]);
      } finally {
        s.end();
      }
    });
  });
}
