// Explanations: every candidate with its estimate in parts, every other kernel with its reason; and
// measuring, which runs what it names.

import { choose, plan } from "@conv/compiler";
import { add, conv, convGeometry, convGradWeightOp, mul, relu, reshape, sqrt } from "@conv/ops";
import { cases } from "@conv/ops/cases";
import { node, optimize, spec, trace, type Value } from "@conv/tensor";
import { failEach } from "@conv/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { selectionOf } from "../src/compile/selection.ts";
import { capsOf, costs, explain, kinds, layoutOf, measure } from "../src/explain.ts";
import { createCpu, kernels, type CpuBackend } from "../src/index.ts";
import { fitted } from "../src/kernels/fitted.ts";

let cpu: CpuBackend;
beforeAll(async () => void (cpu = await createCpu({ threads: 1 })));
afterAll(() => cpu.dispose());

const [x, w, b] = [spec([1, 24, 20, 20]), spec([32, 24, 3, 3]), spec([32])];
const layer = trace(
  (x, w, b) => relu(add(conv(x, w, { padding: 1 }), reshape(b, [1, 32, 1, 1]))),
  [x, w, b],
);

describe("explain", () => {
  it("names the step, the candidates in order, and the kernel that runs it", () => {
    const [step, ...more] = explain(layer, cpu.caps);
    expect(more).toEqual([]);
    expect(step.nodes.map((n) => n.op.name)).toEqual(["conv", "add", "relu"]);
    expect(step.candidates.map((c) => c.kernel)).toEqual(
      expect.arrayContaining(["igemm", "winograd2d4", "winograd1d8"]),
    );
    expect(step.candidates.map((c) => c.estimate)).toEqual(
      step.candidates.map((c) => c.estimate).toSorted((p, q) => p - q),
    );
    const program = cpu.compile(layer);
    expect(step.chosen).toBe(program.steps[0].kernel);
    program.dispose();
  });

  it("says of all other kernels why they decline", () => {
    const [{ candidates, declined }] = explain(layer, { ...cpu.caps, roundoff: 16 });
    expect([...candidates, ...declined].map((k) => k.kernel).toSorted()).toEqual(
      kernels.map((k) => k.name).toSorted(),
    );
    const reasons = new Map(declined.map(({ kernel, reason }) => [kernel, reason]));
    expect(reasons.get("direct")).toBe("keeps at most 18 output channels per group, not 32");
    expect(reasons.get("matmul")).toBe("computes matmul");
    expect(reasons.get("winograd2d6")).toBe("states a roundoff of 64, allowed are 16");
    const near = declined.filter((d) => !d.foreign).map((d) => d.kernel);
    expect(near.toSorted()).toEqual([
      "depthwise",
      "direct",
      "fft",
      "thinConv",
      "winograd1d6",
      "winograd1d8",
      "winograd2d6",
      "winograd2d8",
    ]);
  });

  it.each([
    ["plain", false],
    ["simd256", true],
  ])("estimates are sums of parts, %s", (_, simd256) => {
    const caps = { ...cpu.caps, simd256, threads: 2 };
    const g = convGeometry(x, w, { padding: 1 });
    const gradient = trace(
      (dy, x) => node(convGradWeightOp, g, [dy, x])[0],
      [spec([1, 32, 20, 20]), x],
    );
    for (const { candidates } of [layer, gradient].flatMap((graph) => explain(graph, caps)))
      for (const { kernel, estimate, parts } of candidates) {
        expect(parts.map((p) => p.kind)).toEqual([...kinds, "call"]);
        expect(estimate).toBeCloseTo(
          parts.reduce((sum, p) => sum + p.seconds, 0),
          12,
        );
        for (const { kind, amount, seconds } of parts) {
          expect([kernel, kind, Number.isFinite(amount) && amount >= 0]).toEqual([
            kernel,
            kind,
            true,
          ]);
          expect(seconds).toBeGreaterThanOrEqual(0);
        }
      }
  });

  it("every kernel that counts its work has a row of costs in both tables, and no other has", () => {
    const counting = kernels.filter((k) => k.work).map((k) => k.name);
    for (const [mode, table] of Object.entries(costs)) {
      const without = counting.filter((name) => !(name in table));
      const flag = mode === "simd256" ? " --simd256" : "";
      expect(without, `run \`pnpm bench fit${flag} --write\` to fit these kernels`).toEqual([]);
      expect(Object.keys(table).toSorted()).toEqual(counting.toSorted());
      for (const [name, row] of Object.entries(table)) {
        expect([...kinds, "call"]).toEqual(expect.arrayContaining(Object.keys(row)));
        for (const [kind, ns] of Object.entries(row))
          expect(ns, `${name} ${kind}`).toBeGreaterThan(0);
        expect(row.call, name).toBeGreaterThanOrEqual(100);
      }
    }
  });

  it("a kernel without a row is estimated by a guess", () => {
    const igemm = kernels.find((k) => k.name === "igemm")!;
    const added = fitted({ ...igemm, name: "added", work: igemm.work! });
    const [{ task }] = plan(layer, selectionOf(cpu.caps, kernels));
    const estimate = added.estimate(task, cpu.caps);
    expect(estimate / igemm.estimate(task, cpu.caps)).toBeGreaterThan(0.1);
    expect(estimate / igemm.estimate(task, cpu.caps)).toBeLessThan(10);
  });

  it("no estimate is 0, whatever the task", { timeout: 60_000 }, () => {
    const selection = selectionOf(cpu.caps, kernels);
    for (const c of cases) {
      const graph = optimize(trace((...xs) => node(c.op, c.params, xs), c.inputs));
      for (const { task } of plan(graph, selection))
        for (const { kernel, estimate } of choose(task, selection))
          expect(estimate > 0 && estimate < Infinity, `${kernel.name}: ${c.name}`).toBe(true);
    }
  });
});

describe("measure", () => {
  const inputs = layer.inputs.map((v, i) =>
    Float32Array.from({ length: v.shape.reduce((p, q) => p * q, 1) }, (_, j) => Math.sin(j + i)),
  );

  it("runs each kernel that is named, and shows what it computes", async () => {
    const seen = new Map<string, Float32Array>();
    const before = cpu.memory();
    const times = await measure(cpu, layer, {
      inputs,
      kernels: ["igemm", "winograd2d4"],
      rounds: 1,
      turnMs: 0,
      check: (kernel, [y]) => void seen.set(kernel, y),
    });
    expect(times.length).toBe(2);
    for (const seconds of times) expect(seconds).toBeGreaterThan(0);
    expect([...seen.keys()]).toEqual(["igemm", "winograd2d4"]);
    expect(
      seen.get("igemm")!.every((v, i) => Math.abs(v - seen.get("winograd2d4")![i]) < 1e-3),
    ).toBe(true);
    expect(cpu.memory()).toEqual(before);
  });

  it("leaves nothing where there is no room, at whichever call", async () => {
    const kernels = ["igemm", "winograd2d4"];
    const again = (on: CpuBackend) => measure(on, layer, { inputs, kernels, rounds: 1, turnMs: 0 });
    expect(await failEach(cpu, again)).toBe(inputs.length + 1 + kernels.length);
  });

  it("refuses a kernel that cannot do it", async () => {
    await expect(measure(cpu, layer, { inputs, kernels: ["depthwise"] })).rejects.toMatchObject({
      code: "kernel",
      values: { kernel: "depthwise" },
      message: "measure: depthwise does not compute this step",
    });
  });
});

describe("the layout of a program", () => {
  const scale = (v: Value) => reshape(sqrt(v), [1, 32, 1, 1]);
  const scaled = optimize(trace((x, w, v) => mul(scale(v), conv(x, w, { padding: 1 })), [x, w, b]));

  it.each([1, 2])("is told without making it, on %i threads", async (threads) => {
    const backend = await createCpu({ threads });
    expect(capsOf({ threads })).toEqual(backend.caps);
    for (const graph of [layer, scaled]) {
      const program = backend.compile(graph);
      const { bytes, blocks, steps, buffers } = layoutOf(graph, backend.caps);
      expect({ bytes, blocks: blocks.length, buffers }).toEqual({
        bytes: program.bytes,
        blocks: program.blocks.length,
        buffers: program.buffers,
      });
      expect(steps.map((s) => s.kernel)).toEqual(program.steps.map((s) => s.kernel));
      expect(blocks.map((block) => [block.kind, block.bytes, block.offset])).toEqual(
        program.blocks.map((block) => [block.kind, block.bytes, block.offset]),
      );
    }
    backend.dispose();
  });

  it("names what each block is for, and the results that outlast the run", () => {
    const { blocks, steps, buffers } = layoutOf(scaled, capsOf({ threads: 1, prefer: ["igemm"] }));
    expect(
      steps.map(({ kernel, nodes, persistent }) => [
        kernel,
        nodes.map((n) => n.op.name).join(" "),
        persistent?.map((v) => v.shape),
      ]),
    ).toEqual([
      ["elementwise", "sqrt", [[32]]],
      ["igemm", "conv mul", undefined],
    ]);
    expect(blocks.map((block) => [block.kind, block.value?.shape])).toEqual([
      ["value", [32]],
      ["scratch", undefined],
      ["packed", undefined],
      ["threads", undefined],
    ]);
    expect(buffers).toEqual({
      inputs: [4 * 24 * 400, 4 * 32 * 24 * 9, 4 * 32],
      outputs: [4 * 32 * 400],
    });
  });
});
