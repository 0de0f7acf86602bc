// What programs of one back end share: packed weights, and the memory that they work in.

import { plan } from "@conv/compiler";
import { conv, relu, reshape, slice } from "@conv/ops";
import {
  bytesOf,
  hostArray,
  optimize,
  spec,
  trace,
  type Buffer,
  type Graph,
  type Value,
} from "@conv/tensor";
import { difference, draw, evaluateBounded, testBackend } from "@conv/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { capsOf, probe } from "../src/compile/caps.ts";
import { layOut } from "../src/compile/layout.ts";
import { createDriver } from "../src/compile/program.ts";
import { selectionOf } from "../src/compile/selection.ts";
import { createCpu, kernels, type CpuBackend } from "../src/index.ts";
import { createEngine } from "../src/runtime/engine.ts";
import { allocated, createHeap, type Heap } from "../src/runtime/memory.ts";
import { createShared, type CpuBuffer } from "../src/runtime/shared.ts";

const laidOut = (graph: Graph, { caps }: CpuBackend) =>
  layOut(graph, plan(graph, selectionOf(caps, kernels)), caps);

const of = (
  shapes: readonly (readonly number[])[],
  fn: (...xs: Value[]) => Value | readonly Value[],
): Graph =>
  optimize(
    trace(
      fn,
      shapes.map((s) => spec(s)),
    ),
  );
const put = (backend: CpuBackend, v: Value, seed: string): Buffer => {
  const buffer = backend.alloc(bytesOf(v.spec));
  backend.write(buffer, Float32Array.from(draw(v.spec, "normal", seed).data));
  return buffer;
};
/** Runs, and compares with the reference on what the inputs hold. */
async function runRight(
  backend: CpuBackend,
  graph: Graph,
  program: ReturnType<CpuBackend["compile"]>,
  from: readonly Buffer[],
): Promise<void> {
  const given = await Promise.all(
    graph.inputs.map(async (v, i) =>
      hostArray(
        v.spec,
        Float64Array.from(new Float32Array(await backend.read(from[i]), 0, bytesOf(v.spec) / 4)),
      ),
    ),
  );
  const want = evaluateBounded(graph, given);
  const to = graph.outputs.map((v) => backend.alloc(bytesOf(v.spec)));
  program.run(from, to);
  for (const [o, v] of graph.outputs.entries()) {
    const got = Float64Array.from(new Float32Array(await backend.read(to[o])));
    expect(difference(hostArray(v.spec, got), want[o])).toBeNull();
  }
  for (const buffer of to) backend.free(buffer);
}

/** Two convolutions, the second of whose weights look like those of the first. */
const network = (n: number, size = 9) =>
  of(
    [
      [n, 8, size, size],
      [8, 8, 3, 3],
      [8, 8, 3, 3],
    ],
    (x, v, w) => conv(relu(conv(x, v, { padding: 1 })), w, { padding: 1 }),
  );

for (const threads of [1, 2])
  testBackend(
    `cpu, weights packed, ${threads} threads`,
    () => createCpu({ threads, prefer: ["igemm"] }),
    { only: ["sharing"], every: 4 },
  );

describe.each([1, 2])("on %d threads", (threads) => {
  let cpu: CpuBackend;
  beforeAll(async () => void (cpu = await createCpu({ threads, prefer: ["igemm"] })));
  afterAll(() => cpu.dispose());

  it("weights are packed once for programs of all batch sizes, and memory is told once", async () => {
    const before = cpu.memory();
    const graphs = [1, 2, 5, 3].map((n) => network(n));
    const layouts = graphs.map((graph) => laidOut(graph, cpu));
    const weights = graphs[0].inputs.slice(1).map((v, i) => put(cpu, v, `weights ${i}`));
    const inputs = graphs.map((graph, i) => put(cpu, graph.inputs[0], `x ${i}`));
    const programs = graphs.map((graph) => cpu.compile(graph));
    const own = layouts.reduce((sum, l) => sum + l.own, 0);
    const arena = Math.max(...layouts.map((l) => l.arena));
    const packed = layouts[0].packs.reduce((sum, p) => sum + allocated(p.bytes), 0);
    expect(layouts[0].packs.length).toBe(2);
    expect(arena).toBeGreaterThan(0);
    expect(cpu.memory().programBytes).toBe(own + arena);
    const runAll = async () => {
      for (const [i, program] of programs.entries())
        await runRight(cpu, graphs[i], program, [inputs[i], ...weights]);
    };
    await runAll();
    expect(cpu.memory().programBytes).toBe(own + arena + packed);
    cpu.write(weights[1], new Float32Array(8 * 8 * 9).fill(0.5));
    await runAll();
    // Those that are left go on, the largest and the one that packed first or not.
    for (const i of [2, 0]) {
      programs[i].dispose();
      await runRight(cpu, graphs[1], programs[1], [inputs[1], ...weights]);
      await runRight(cpu, graphs[3], programs[3], [inputs[3], ...weights]);
    }
    const left = [layouts[1], layouts[3]];
    expect(cpu.memory().programBytes).toBe(
      left.reduce((sum, l) => sum + l.own, packed) + Math.max(...left.map((l) => l.arena)),
    );
    for (const program of programs) program.dispose();
    for (const buffer of [...inputs, ...weights]) cpu.free(buffer);
    expect(cpu.memory()).toEqual(before);
  });

  it("parts of one buffer are packed each for itself", async () => {
    const graph = of(
      [
        [1, 4, 5, 5],
        [2, 8, 4, 3, 3],
      ],
      (x, all) =>
        [0, 1].map((i) =>
          conv(x, reshape(slice(all, [i, 0, 0, 0, 0], [1, 8, 4, 3, 3]), [8, 4, 3, 3])),
        ),
    );
    expect(laidOut(graph, cpu).packs.length).toBe(2);
    const from = graph.inputs.map((v, i) => put(cpu, v, `part ${i}`));
    const program = cpu.compile(graph);
    await runRight(cpu, graph, program, from);
    await runRight(cpu, graph, program, from);
    program.dispose();
    for (const buffer of from) cpu.free(buffer);
  });
});

describe("where the k-th allocation fails, memory is as before", () => {
  /**
   * A heap that fails at the k-th allocation from now on and at the next; and what is allocated in
   * it.
   */
  function failing(heap: Heap) {
    const live = new Map<number, number>();
    const state = { left: Infinity };
    const wrapped: Heap = {
      ...heap,
      alloc(bytes) {
        if (--state.left === 0 || state.left === -1) throw new RangeError("no room");
        const address = heap.alloc(bytes);
        live.set(address, bytes);
        return address;
      },
      free(address) {
        heap.free(address);
        live.delete(address);
      },
    };
    return { heap: wrapped, state, held: () => [...live.values()].toSorted((a, b) => a - b) };
  }
  const setUp = async () => {
    const engine = await createEngine({
      threads: 1,
      offThread: false,
      probe: probe(),
      fail: () => {},
    });
    const { heap, state, held } = failing(createHeap(engine.maximum, engine.grow));
    let version = 0;
    const selection = selectionOf(capsOf({ threads: 1, prefer: ["igemm"] }), kernels);
    const driver = createDriver(heap, engine, selection, () => ++version);
    const compile = (graph: Graph) => driver.compile(graph);
    const sharedBytes = () => driver.programBytes!([]);
    const alloc = (v: Value): CpuBuffer => ({
      bytes: bytesOf(v.spec),
      address: heap.alloc(bytesOf(v.spec)),
      version: ++version,
    });
    return { state, held, sharedBytes, compile, alloc };
  };

  it.each([0, 1])("of a program that is made, with %d others there", async (others) => {
    const { state, held, sharedBytes, compile } = await setUp();
    for (let i = 0; i < others; i++) compile(network(1));
    const [before, bytes] = [held(), sharedBytes()];
    let failures = 0;
    for (let k = 1; ; k++) {
      state.left = k;
      let program;
      try {
        program = compile(network(6, 12));
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
        expect([held(), sharedBytes()]).toEqual([before, bytes]);
        failures++;
        continue;
      } finally {
        state.left = Infinity;
      }
      program.dispose();
      expect([held(), sharedBytes()]).toEqual([before, bytes]);
      break;
    }
    expect(failures).toBe(3); // its own memory, its code, the arena
  });

  it("of a program that runs for the first time, and after its weights have changed", async () => {
    const { state, held, sharedBytes, compile, alloc } = await setUp();
    const graph = network(2);
    const [program, other] = [compile(graph), compile(graph)];
    const [x, v, w, v2, w2] = [...graph.inputs, ...graph.inputs.slice(1)].map(alloc);
    const [y] = graph.outputs.map(alloc);
    const failuresOf = (run: () => void): number => {
      const [before, bytes] = [held(), sharedBytes()];
      for (let k = 1; ; k++) {
        state.left = k;
        try {
          run();
          return k - 1;
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
          expect([held(), sharedBytes()]).toEqual([before, bytes]);
        } finally {
          state.left = Infinity;
        }
      }
    };
    expect(failuresOf(() => program.run([x, v, w], [y]))).toBe(2);
    expect(failuresOf(() => other.run([x, v, w], [y]))).toBe(0);
    expect(failuresOf(() => program.run([x, v2, w2], [y]))).toBe(2);
    expect(failuresOf(() => other.run([x, v2, w2], [y]))).toBe(0);
  });

  it("also where nothing larger than before fits", () => {
    const shared = createShared(createHeap(1000, () => {}));
    shared.claim(1000);
    expect(() => shared.claim(2 ** 33)).toThrow("do not fit");
    expect(shared.bytes()).toBe(1000);
    expect(shared.arena).toBeGreaterThan(0);
    shared.release(1000);
    expect(shared.arena).toBe(0);
  });
});
