// NaN, infinities, zeros and numbers at both ends of float32, through every op and its gradients:
// one at a time among other numbers, and several at once.

import { add, map, type ElementwiseParams } from "@conv/ops";
import { cases, type OpCase } from "@conv/ops/cases";
import {
  exactly,
  graphOf,
  hostArray,
  input,
  isFloating,
  node,
  optimize,
  roundTo,
  sizeOf,
  spec,
  vjp,
  type Backend,
  type Graph,
  type HostArray,
} from "@conv/tensor";
import { describe, it } from "vitest";
import { check } from "../check.ts";
import { drawAll } from "../data.ts";
import { share, specsOf, type Device } from "./device.ts";

const SPECIAL = [
  NaN,
  Infinity,
  -Infinity,
  0,
  -0,
  1e-40,
  -(2 ** -149),
  1e-38,
  -1e-38,
  2e-38,
  8e37,
  -8e37,
  1e38,
  -1e38,
].map(Math.fround);

/**
 * What kinds of back ends leave open, as their documentation says: these numbers are left out
 * there.
 */
const OPEN: Readonly<Record<Backend["kind"], (v: number) => boolean>> = {
  host: () => false,
  cpu: () => false,
  // Numbers below 2⁻¹²⁶ may count as 0; a quotient by a number above 2¹²⁶ may be 0.
  gpu: (v) =>
    (v !== 0 && Math.abs(v) < 2 ** -126) || (Number.isFinite(v) && Math.abs(v) > 2 ** 126),
};

/** Results and gradients of a case in one graph, of its inputs and cotangents. */
function both({ op, params, inputs }: Pick<OpCase, "op" | "params" | "inputs">): Graph {
  const xs = inputs.map((s) => input(s));
  const ys = node(op, params, xs);
  if (ys.some((y) => y.dtype !== "float32")) return graphOf(xs, ys);
  const cts = ys.map((y) => input(y.spec));
  const wrt = xs.filter((x) => x.dtype === "float32");
  return optimize(
    graphOf([...xs, ...cts], [...ys, ...vjp(ys, cts, wrt, add).filter((g) => g !== null)]),
  );
}

/** Inputs with `value(i)` at `count` places, which depend on the turn. */
function spiked(
  inputs: readonly HostArray[],
  turn: number,
  count: number,
  value: (i: number) => number,
): HostArray[] {
  const at = inputs.flatMap((x, i) => (isFloating(x.dtype) && x.data.length ? [i] : []));
  const copies = inputs.map((x) => ({ ...x, data: x.data.slice() }));
  for (let i = 0; i < count && at.length; i++) {
    const { data, dtype } = copies[at[(turn + i) % at.length]];
    data[(Math.imul(turn + 7 * i + 1, 7919) >>> 0) % data.length] = roundTo(dtype, value(i));
  }
  return copies;
}

/** Elementwise cases of one input or two, each expression once. */
const expressions = [
  ...new Map(
    cases.flatMap(({ op, params, inputs }) =>
      "elementwise" in op && inputs.length <= 2
        ? [[exactly(params), { ...(params as ElementwiseParams), inputs: inputs.length }] as const]
        : [],
    ),
  ).values(),
];

/** Registers the tests of special numbers. */
export function specialSuite(device: Device): void {
  const numbers = () => SPECIAL.filter((v) => !OPEN[device.backend.kind](v));
  describe("special numbers", () => {
    it("through functions of one and two elements", async () => {
      const each = [...numbers(), 1, -2.5];
      const [as, bs] = [each.flatMap((a) => each.map(() => a)), each.flatMap(() => each)];
      const s = spec([as.length]);
      const [a, b, ct] = [s, s, s].map((x) => input(x));
      const of = expressions.map(({ f, df, inputs }, i) =>
        map(`f${i}`, f, [a, b].slice(0, inputs), df),
      );
      const values = [as, bs, as.map(() => 1)].map((x) => hostArray(s, Float64Array.from(x)));
      await check(device.backend, graphOf([a, b], of), values.slice(0, 2));
      const gradients = of.flatMap((y) => vjp([y], [ct], [a, b], add).filter((g) => g !== null));
      await check(device.backend, optimize(graphOf([a, b, ct], gradients)), values);
    });

    const names = new Map<string, OpCase[]>();
    for (const c of cases) names.set(c.op.name, [...(names.get(c.op.name) ?? []), c]);
    for (const [name, all] of share(device, [...names], () => "special"))
      it(`through ${name}`, async () => {
        const list = numbers();
        // The first case takes every number. Of the others one in `step` takes some.
        const step = device.full ? 1 : 4 * device.every;
        for (const [i, c] of all.entries()) {
          // Pipelines of a GPU take long to compile.
          if (i > 0 && (device.backend.kind === "gpu" || (i + name.length) % step)) continue;
          const graph = both(c);
          const inputs = drawAll(specsOf(graph), c.data, c.name);
          const size = inputs.reduce((sum, x) => sum + sizeOf(x.shape), 0);
          const turns = i === 0 ? list.length : size > 4000 ? 1 : 3;
          await check(
            device.backend,
            graph,
            ...Array.from({ length: turns }, (_, t) =>
              spiked(inputs, i + t, 1, () => list[(3 * i + t) % list.length]),
            ),
            spiked(inputs, i, 5, (k) => list[(i + 3 * k) % list.length]),
          );
        }
      });
  });
}
