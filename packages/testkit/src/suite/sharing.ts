// What programs of one back end may share: rearranged weights, for as long as their buffers live,
// and the memory that they work in.

import { concat, conv, convTranspose, matmul, mul, relu, reshape, softmax, tanh } from "@conv/ops";
import { hostArray, optimize, type Backend, type Graph, type Spec, type Value } from "@conv/tensor";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { draw } from "../data.ts";
import { graphOfShapes, type Device } from "./device.ts";
import { session, type Held, type Session } from "./session.ts";

const WEIGHT: Spec = { shape: [8, 8, 3, 3], dtype: "float32" };
const RUNS = 25;

/** A graph of an input and two weights. */
const of = (
  shape: readonly number[],
  fn: (x: Value, v: Value, w: Value) => Value | readonly Value[],
): Graph => optimize(graphOfShapes([shape, WEIGHT.shape, WEIGHT.shape], fn));

/** Two convolutions, the second of whose weights look like those of the first. */
const network = (n: number, size = 9): Graph =>
  of([n, 8, size, size], (x, v, w) => conv(relu(conv(x, v, { padding: 1 })), w, { padding: 1 }));

const makers: readonly ((n: number) => Graph)[] = [
  (n) => network(n),
  (n) => network(n, 6),
  (n) => of([n, 8, 6, 6], (x, v, w) => concat([tanh(conv(x, w)), relu(conv(x, mul(v, 2)))], 1)),
  (n) => of([n, 8, 6, 6], (x, v, w) => convTranspose(conv(x, v, { stride: 2 }), w, { stride: 2 })),
  (n) =>
    of([72, 8 * n], (x, v, w) => [
      matmul(reshape(v, [8, 72]), x),
      softmax(matmul(reshape(w, [8, 72]), tanh(x))),
    ]),
];

/** A program with an input and outputs of its own. */
function made(s: Session, graph: Graph, seed: string) {
  const program = s.program(graph);
  const x = s.hold(draw(graph.inputs[0].spec, "normal", seed));
  const outputs = graph.outputs.map((v) => s.hold(hostArray(v.spec)));
  return {
    run: (...weights: readonly Held[]) => program.run([x, ...weights], outputs),
    end() {
      program.dispose();
      for (const h of [x, ...outputs]) s.free(h);
    },
  };
}

/** Registers the tests of what programs share. */
export function sharingSuite(device: Device): void {
  const within = (name: string, test: (s: Session, backend: Backend) => Promise<void>) =>
    it(name, async () => {
      const { backend } = device;
      const before = backend.memory();
      const s = session(backend);
      try {
        await test(s, backend);
      } finally {
        s.end();
      }
      expect(backend.memory()).toEqual(before);
    });
  const weight = (s: Session, seed: string) => s.hold(draw(WEIGHT, "normal", seed));

  describe("what programs share", () => {
    within(
      "what is packed of a buffer goes with the buffer, and no program takes it for that of another",
      async (s, backend) => {
        const bytes = () => backend.memory().programBytes;
        const [first, second] = ["first", "second"].map((seed) => made(s, network(2), seed));
        const held = bytes();
        const [v, w] = ["v", "w"].map((seed) => weight(s, seed));
        for (const program of [first, second]) await program.run(v, w);
        const packed = bytes() - held;
        await first.run(w, v); // both are still used by the second
        expect(bytes() - held).toBe(2 * packed);
        await second.run(w, w);
        await second.run(v, v);
        await first.run(v, w);
        expect(bytes() - held).toBeLessThanOrEqual(2 * packed);
        for (const h of [v, w]) s.free(h);
        expect(bytes()).toBe(held);
        const others = ["v2", "w2"].map((seed) => weight(s, seed));
        for (const program of [first, second, first]) await program.run(...others);
        expect(bytes() - held).toBe(packed);
      },
    );

    within(
      "one program packs in place what comes in other buffers at every run",
      async (s, backend) => {
        const program = made(s, network(1), "x");
        const sets = ["a", "b", "c"].map((seed) => [weight(s, seed), weight(s, `${seed}, too`)]);
        await program.run(...sets[0]);
        const held = backend.memory().programBytes;
        for (const set of [1, 2, 0, 1]) await program.run(...sets[set]);
        expect(backend.memory().programBytes).toBe(held);
      },
    );

    it(
      "programs drawn, run and ended in any order give the reference",
      { timeout: 120_000 },
      async () => {
        const step = fc.oneof(
          {
            weight: 2,
            arbitrary: fc.record({
              compile: fc.nat(makers.length - 1),
              n: fc.integer({ min: 1, max: 4 }),
            }),
          },
          {
            weight: 5,
            arbitrary: fc.record({ run: fc.nat(), weights: fc.tuple(fc.nat(2), fc.nat(2)) }),
          },
          { weight: 1, arbitrary: fc.record({ end: fc.nat() }) },
          { weight: 1, arbitrary: fc.record({ write: fc.nat(2) }) },
          { weight: 1, arbitrary: fc.record({ renew: fc.nat(2) }) },
        );
        const property = fc.asyncProperty(
          fc.array(step, { minLength: 10, maxLength: 40 }),
          async (steps) => {
            const { backend } = device;
            const before = backend.memory();
            const s = session(backend);
            try {
              let seed = 0;
              const given = [0, 1, 2].map(() => weight(s, `${++seed}`));
              const live: ReturnType<typeof made>[] = [];
              for (const act of steps) {
                if ("compile" in act) live.push(made(s, makers[act.compile](act.n), `${++seed}`));
                else if ("run" in act && live.length)
                  await live[act.run % live.length].run(...act.weights.map((w) => given[w]));
                else if ("end" in act && live.length)
                  live.splice(act.end % live.length, 1)[0].end();
                else if ("write" in act)
                  s.write(given[act.write], draw(WEIGHT, "normal", `${++seed}`));
                else if ("renew" in act) {
                  s.free(given[act.renew]);
                  given[act.renew] = weight(s, `${++seed}`);
                }
              }
            } finally {
              s.end();
            }
            expect(backend.memory()).toEqual(before);
          },
        );
        await fc.assert(property, { seed: 19980511, numRuns: Math.ceil(RUNS / device.every) });
      },
    );
  });
}
