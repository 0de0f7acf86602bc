// Every case of every op, and the gradient of each.

import { add } from "@conv/ops";
import { cases, type OpCase } from "@conv/ops/cases";
import { graphOf, input, node, optimize, vjp, type Graph } from "@conv/tensor";
import { describe, it } from "vitest";
import { check } from "../check.ts";
import { drawAll } from "../data.ts";
import { inputsOf, share, specsOf, type Device } from "./device.ts";

/** Registers the cases of @conv/ops. */
export function caseSuite(device: Device): void {
  describe("cases", () => {
    for (const c of share(device, cases, ({ op }) => op.name)) {
      const { name, inputs, data } = c;
      it(name, () => check(device.backend, forward(c), drawAll(inputs, data, name)));
    }
  });
  describe("gradients of the cases", () => {
    for (const { name, inputs, data, graph } of share(device, gradients(), ({ op }) => op.name)) {
      const cotangents = specsOf(graph).slice(inputs.length);
      it(name, () =>
        check(device.backend, graph, [
          ...drawAll(inputs, data, name),
          ...inputsOf(cotangents, `${name}, cotangent`),
        ]),
      );
    }
  });
}

let known: readonly (OpCase & { readonly graph: Graph })[] | undefined;

/** The cases that have gradients, and these as graphs: made once for all back ends of a process. */
const gradients = () =>
  (known ??= cases.flatMap((c) => {
    const graph = backward(c);
    return graph ? [{ ...c, graph }] : [];
  }));

function forward({ op, params, inputs }: OpCase): Graph {
  const xs = inputs.map((s) => input(s));
  return graphOf(xs, node(op, params, xs));
}

/** Inputs and cotangents to the gradients of all inputs that have one; null if none has. */
function backward({ op, params, inputs }: OpCase): Graph | null {
  const xs = inputs.map((s) => input(s));
  const ys = node(op, params, xs);
  if (ys.some((y) => y.dtype !== "float32")) return null;
  const cts = ys.map((y) => input(y.spec));
  const wrt = xs.filter((x) => x.dtype === "float32");
  const gradients = vjp(ys, cts, wrt, add).filter((g) => g !== null);
  return gradients.length ? optimize(graphOf([...xs, ...cts], gradients)) : null;
}
