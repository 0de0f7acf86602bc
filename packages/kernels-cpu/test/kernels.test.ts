// Every kernel of the list on every case that it takes, whether or not it would have been chosen.

import { cases, type OpCase } from "@conv/ops/cases";
import { node, trace, type Graph } from "@conv/tensor";
import { check, drawAll } from "@conv/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { createCpu } from "../src/index.ts";
import { kernels } from "../src/kernels/index.ts";

const graphs: [string, Graph, OpCase][] = cases.map((c) => [`${c.op.name}: ${c.name}`, trace((...xs) => node(c.op, c.params, xs), c.inputs), c]);

describe.each(kernels.map((k) => k.name))("%s", async (name) => {
  const cpu = await createCpu({ threads: 1, prefer: [name] });
  afterAll(() => cpu.dispose());
  const taken = graphs.filter(([, graph]) => {
    const program = cpu.compile(graph);
    program.dispose();
    return program.steps.some((s) => s.kernel === name);
  });
  it("takes some", () => expect(taken).not.toEqual([]));
  it.each(taken)("%s", (_, graph, c) => check(cpu, graph, drawAll(c.inputs, c.data, c.name)));
});
