// Every kernel of the list on every case that it takes, whether or not it would have been chosen.

import { plan } from "@conv/compiler";
import { cases, type OpCase } from "@conv/ops/cases";
import { node, optimize, trace, type Graph } from "@conv/tensor";
import { check, drawAll } from "@conv/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { capsOf } from "../src/compile/caps.ts";
import { selectionOf } from "../src/compile/selection.ts";
import { createCpu, type CpuBackend } from "../src/index.ts";
import { kernels } from "../src/kernels/index.ts";

type Taken = [string, Graph, OpCase];

/** The cases that each kernel takes. */
const taken = new Map<string, Taken[]>(kernels.map((k) => [k.name, []]));
const caps = capsOf({ threads: 1 });
for (const c of cases) {
  const graph = optimize(trace((...xs) => node(c.op, c.params, xs), c.inputs));
  const names = plan(graph, selectionOf(caps, kernels)).flatMap(({ kernel, others }) => [
    kernel.name,
    ...others.map((o) => o.kernel),
  ]);
  for (const name of new Set(names)) taken.get(name)!.push([`${c.op.name}: ${c.name}`, graph, c]);
}

describe.each([...taken])("%s", (name, list) => {
  let cpu: CpuBackend;
  beforeAll(async () => void (cpu = await createCpu({ threads: 1, prefer: [name] })));
  afterAll(() => cpu.dispose());
  it("takes some", () => expect(list).not.toEqual([]));
  it.each(list)("%s", async (_, graph, c) => {
    const compile = (g: Graph) => {
      const program = cpu.compile(g);
      expect(program.steps.map((step) => step.kernel)).toContain(name);
      return program;
    };
    await check({ ...cpu, compile }, graph, drawAll(c.inputs, c.data, c.name));
  });
});
