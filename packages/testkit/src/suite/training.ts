// A whole training step as one program, in place, over several steps: forward, backward and update
// with SGD and with Adam.

import {
  add,
  conv,
  crossEntropy,
  div,
  flatten,
  grad,
  linear,
  maxPool,
  mul,
  relu,
  reshape,
  slice,
  sqrt,
  square,
  sub,
} from "@conv/ops";
import {
  input,
  optimize,
  graphOf,
  spec,
  type Graph,
  type HostArray,
  type Value,
} from "@conv/tensor";
import { describe, expect, it } from "vitest";
import { draw } from "../data.ts";
import { share, type Device } from "./device.ts";
import { session } from "./session.ts";

const BATCH = 5;
const STEPS = 4;
const shapes: readonly (readonly number[])[] = [[4, 1, 3, 3], [4], [10, 64], [10]];

/** conv 1→4 3×3, relu, max pooling 2, flatten, linear 64→10, cross-entropy, on images of 10×10. */
function loss(x: Value, labels: Value, [w1, b1, w2, b2]: readonly Value[]): Value {
  const y = maxPool(relu(add(conv(x, w1), reshape(b1, [1, 4, 1, 1]))), 2);
  return crossEntropy(linear(flatten(y), w2, b2), labels);
}

/** Inputs [x, labels, hyper, …params, …state], outputs [loss, …new params, …new state]. */
interface Step {
  readonly name: string;
  readonly states: number;
  readonly hyper: (step: number) => number[];
  update(p: Value, g: Value, state: readonly Value[], hyper: readonly Value[]): [Value, ...Value[]];
}

const steps: readonly Step[] = [
  {
    name: "SGD with momentum and weight decay",
    states: 1,
    hyper: () => [0.05, 0.9, 0.01],
    update(p, g, [velocity], [lr, momentum, decay]) {
      const v = add(mul(velocity, momentum), add(g, mul(p, decay)));
      return [sub(p, mul(v, lr)), v];
    },
  },
  {
    name: "Adam",
    states: 2,
    hyper: (t) => [0.01, 1 - 0.9 ** t, 1 - 0.999 ** t],
    update(p, g, [m0, v0], [lr, m1, v1]) {
      const m = add(mul(m0, 0.9), mul(g, 0.1));
      const v = add(mul(v0, 0.999), mul(square(g), 0.001));
      return [sub(p, mul(lr, div(div(m, m1), add(sqrt(div(v, v1)), 1e-8)))), m, v];
    },
  },
];

function trainingGraph({ states, hyper, update }: Step): Graph {
  const x = input(spec([BATCH, 1, 10, 10]), "x");
  const labels = input(spec([BATCH], "int32"), "labels");
  const numbers = input(spec([hyper(1).length]), "hyper");
  const params = shapes.map((s) => input(spec(s)));
  const state = params.map((p) => Array.from({ length: states }, () => input(p.spec)));
  const y = loss(x, labels, params);
  const hypers = hyper(1).map((_, i) => reshape(slice(numbers, [i], [1]), []));
  const updated = grad(y, params).map((g, i) => update(params[i], g, state[i], hypers));
  return optimize(
    graphOf(
      [x, labels, numbers, ...params, ...state.flat()],
      [y, ...updated.map(([p]) => p), ...updated.flatMap(([, ...s]) => s)],
    ),
  );
}

/** Registers the training tests. */
export function trainingSuite(device: Device): void {
  describe("training", () => {
    for (const step of share(device, steps, () => "training"))
      it(`${STEPS} steps with ${step.name}, in place, each within its bound`, async () => {
        const s = session(device.backend);
        try {
          const graph = trainingGraph(step);
          const program = s.program(graph);
          const zero = ({ shape, dtype, data }: HostArray): HostArray => ({
            shape,
            dtype,
            data: data.map(() => 0),
          });
          const small = (v: HostArray): HostArray => ({
            ...v,
            data: v.data.map((e) => Math.fround(0.3 * e)),
          });
          const x = s.hold(draw(graph.inputs[0].spec, "normal", step.name));
          const labels = s.hold(draw(graph.inputs[1].spec, "labels:10", step.name));
          const hyper = s.hold(draw(graph.inputs[2].spec, "normal", step.name));
          const rest = graph.inputs.slice(3).map((v, i) => {
            const value = draw(v.spec, "normal", `${step.name} #${i}`);
            return s.hold(i < shapes.length ? small(value) : zero(value));
          });
          const y = s.hold(draw(graph.outputs[0].spec, "normal", "loss"));
          const losses: number[] = [];
          for (let t = 1; t <= STEPS; t++) {
            s.write(hyper, { ...hyper.value, data: Float64Array.from(step.hyper(t), Math.fround) });
            await program.run([x, labels, hyper, ...rest], [y, ...rest]);
            losses.push(y.value.data[0]);
          }
          expect(losses.at(-1), `losses ${losses.join(", ")}`).toBeLessThan(losses[0]);
        } finally {
          s.end();
        }
      });
  });
}
