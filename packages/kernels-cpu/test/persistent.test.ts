// What depends on some inputs alone runs again when one of them changes, and only then; no result
// may tell.

import { plan } from "@conv/compiler";
import { add, concat, conv, mul, relu, reshape, slice, sub, sum, transpose } from "@conv/ops";
import {
  bytesOf,
  evaluate,
  graphOf,
  hostArray,
  input,
  optimize,
  sameShape,
  spec,
  trace,
  type Buffer,
  type Graph,
  type Value,
} from "@conv/tensor";
import * as fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { place } from "../src/compile/layout.ts";
import { selectionOf } from "../src/compile/selection.ts";
import { createCpu, kernels, type CpuBackend } from "../src/index.ts";

let backends: CpuBackend[];
beforeAll(
  async () =>
    void (backends = [
      await createCpu({ threads: 1, precision: "exact" }),
      await createCpu({ threads: 2, precision: "exact" }),
    ]),
);
afterAll(() => backends.forEach((b) => b.dispose()));

const skips = (graph: Graph): boolean =>
  place(graph, plan(graph, selectionOf(backends[0].caps, kernels)), backends[0].caps).stages.some(
    (s) => s.invalidatedBy,
  );
it("weights made of weights and their packing run when weights change; the weights are not kept", () => {
  const shapes = [[1, 16, 14, 14], [16, 16, 3, 3], [16]];
  const scaled = (x: Value, w: Value, v: Value) => relu(conv(x, mul(w, reshape(v, [16, 1, 1, 1]))));
  const weights = 16 * 16 * 9 * 4;
  const graph = trace(
    scaled,
    shapes.map((s) => spec(s)),
  );
  const { blocks, stages } = place(
    graph,
    plan(graph, selectionOf(backends[0].caps, kernels)),
    backends[0].caps,
  );
  expect(stages.map((s) => s.invalidatedBy)).toEqual([[1, 2], [1, 2], null]);
  const outlasting = blocks.filter((b) => b.from === 0 && b.to === stages.length);
  expect(outlasting.map((b) => b.bytes)).toEqual([weights]);
});

it(
  "drawn programs give the reference at every run, whatever has changed",
  { timeout: 60_000 },
  async () => {
    const step = fc.record({
      kind: fc.constantFrom("scale", "add", "sub", "concat", "slice", "transpose", "sum"),
      a: fc.nat(99),
      b: fc.nat(99),
    });
    /**
     * What happens before a run: some inputs are written, or others come in their place, or the
     * outputs go into their buffers.
     */
    const change = fc.record({
      how: fc.constantFrom("write", "swap", "nothing", "into", "back"),
      which: fc.nat(9),
    });
    const drawn = fc.record({
      steps: fc.array(step, { minLength: 8, maxLength: 24 }),
      outputs: fc.array(fc.nat(99), { minLength: 1, maxLength: 3 }),
      changes: fc.array(change, { minLength: 3, maxLength: 6 }),
      backend: fc.nat(1),
    });
    let skipping = 0;
    const property = fc.asyncProperty(drawn, async ({ steps, outputs, changes, backend }) => {
      const inputs = [
        [4, 16],
        [16, 4],
        [16, 16],
        [4, 16],
        [16, 16],
      ].map((shape) => input(spec(shape)));
      const made: Value[] = [...inputs];
      for (const { kind, a, b } of steps) {
        const x = made[a % made.length];
        const same = made.filter((v) => sameShape(v.shape, x.shape));
        const y = same[b % same.length];
        const [rows, columns] = x.shape;
        if (kind === "scale") made.push(mul(x, (b % 3) - 1.5));
        else if (kind === "add" || kind === "sub") made.push((kind === "add" ? add : sub)(x, y));
        else if (kind === "concat" && rows < 40) made.push(concat([x, y], 0));
        else if (kind === "slice" && rows > 4) made.push(slice(x, [rows - 4, 0], [4, columns]));
        else if (kind === "transpose") made.push(transpose(x));
        else if (kind === "sum") made.push(add(x, sum(x, 0, true)));
      }
      const graph = optimize(
        graphOf(inputs, [
          ...new Set(outputs.map((o) => made[made.length - 1 - (o % made.length)])),
        ]),
      );
      if (skips(graph)) skipping++;
      const cpu = backends[backend];
      let seed = 0;
      const contents = new Map<Buffer, Float64Array>();
      const write = (buffer: Buffer, v: Value) => {
        const data = Float64Array.from(
          { length: bytesOf(v.spec) / 4 },
          (_, i) => ((i * 37 + ++seed * 101) % 61) - 30,
        );
        cpu.write(buffer, Float32Array.from(data));
        contents.set(buffer, data);
      };
      const put = (v: Value): Buffer => {
        const buffer = cpu.alloc(bytesOf(v.spec));
        write(buffer, v);
        return buffer;
      };
      const program = cpu.compile(graph);
      const sets = [0, 1].map(() => graph.inputs.map(put));
      const results = graph.outputs.map(put);
      const from = [...sets[0]];
      for (const { how, which } of changes) {
        const i = which % from.length;
        if (how === "write") write(from[i], graph.inputs[i]);
        if (how === "swap") from[i] = sets[from[i] === sets[0][i] ? 1 : 0][i];
        if (how === "back") from.splice(0, from.length, ...sets[0]);
        const into = results.map((own, o) => {
          const fits =
            o === 0 && how === "into" && sameShape(graph.outputs[o].shape, graph.inputs[i].shape);
          return fits ? from[i] : own;
        });
        const given = graph.inputs.map((v, j) => hostArray(v.spec, contents.get(from[j])!));
        const want = evaluate(graph, given).map((y) => y.data);
        program.run(from, into);
        for (const [o, buffer] of into.entries()) {
          const got = Float64Array.from(new Float32Array(await cpu.read(buffer)));
          expect([...got]).toEqual([...want[o]]);
          contents.set(buffer, got);
        }
      }
      for (const buffer of contents.keys()) cpu.free(buffer);
      program.dispose();
    });
    await fc.assert(property, { seed: 19980511, numRuns: 500 });
    expect(skipping).toBeGreaterThan(40);
  },
);
