// Memory and order: what a buffer holds is what was last enqueued for it, whoever wrote it; nothing
// leaks; misuse is reported.

import {
  add,
  conv,
  convGradInputOp,
  convGeometry,
  linear,
  matmul,
  mul,
  relu,
  softmax,
  sum,
  tanh,
  transpose,
} from "@conv/ops";
import {
  bytesOf,
  hostArray,
  node,
  optimize,
  spec,
  type Backend,
  type Buffer,
  type Graph,
  type HostArray,
} from "@conv/tensor";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { blank, get, packed, put, runOnce } from "../check.ts";
import { draw } from "../data.ts";
import { graphOfShapes, inputsOf, share, specsOf, type Device } from "./device.ts";
import { session } from "./session.ts";

const ROUNDS = 200;

/** Graphs whose second input a back end is tempted to pack once and keep. */
const weighted: readonly [string, Graph][] = [
  [
    "conv",
    graphOfShapes(
      [
        [1, 4, 7, 7],
        [8, 4, 3, 3],
      ],
      (x, w) => relu(conv(x, w, { padding: 1 })),
    ),
  ],
  [
    "pointwise conv",
    graphOfShapes(
      [
        [1, 8, 5, 5],
        [16, 8, 1, 1],
      ],
      (x, w) => conv(x, w),
    ),
  ],
  [
    "depthwise conv",
    graphOfShapes(
      [
        [1, 8, 7, 7],
        [8, 1, 3, 3],
      ],
      (x, w) => conv(x, w, { groups: 8, padding: 1 }),
    ),
  ],
  [
    "gradient to the input",
    graphOfShapes(
      [
        [1, 6, 5, 5],
        [6, 3, 3, 3],
      ],
      (dy, w) => node(convGradInputOp, convGeometry(spec([1, 3, 7, 7]), w.spec), [dy, w]),
    ),
  ],
  [
    "matrix product",
    graphOfShapes(
      [
        [5, 9],
        [9, 12],
      ],
      (x, w) => matmul(x, w),
    ),
  ],
  [
    "linear",
    graphOfShapes(
      [
        [5, 9],
        [12, 9],
      ],
      (x, w) => linear(x, w),
    ),
  ],
];

const graph = graphOfShapes([[4]], (x) => relu(x));
const both = graphOfShapes([[4], [4]], (x, y) => [add(x, y), mul(x, y)]);
const small = (on: Backend) => on.alloc(12);
/** A wrong call on a back end with a freed buffer and two live ones of 16 bytes. */
type Wrong = (on: Backend, freed: Buffer, fine: Buffer, other: Buffer) => unknown;
const wrongs: readonly (readonly [string, new (message: string) => Error, Wrong])[] = [
  ["writing to a freed buffer", Error, (on, freed) => on.write(freed, Float32Array.of(1))],
  ["reading a freed buffer", Error, (on, freed) => on.read(freed)],
  ["a freed buffer as input", Error, (on, freed, fine) => on.compile(graph).run([freed], [fine])],
  ["a freed buffer as output", Error, (on, freed, fine) => on.compile(graph).run([fine], [freed])],
  [
    "writing more than the buffer holds",
    RangeError,
    (on, _, fine) => on.write(fine, new Float32Array(5)),
  ],
  [
    "a run with too few inputs",
    RangeError,
    (on, _, fine, other) => on.compile(both).run([fine], [other, on.alloc(16)]),
  ],
  [
    "a run with too many inputs",
    RangeError,
    (on, _, fine, other) => on.compile(graph).run([fine, fine], [other]),
  ],
  [
    "a run with too few outputs",
    RangeError,
    (on, _, fine, other) => on.compile(both).run([fine, fine], [other]),
  ],
  [
    "a run with too many outputs",
    RangeError,
    (on, _, fine, other) => on.compile(graph).run([fine], [other, on.alloc(16)]),
  ],
  [
    "an input smaller than its value",
    RangeError,
    (on, _, fine, other) => on.compile(both).run([fine, small(on)], [other, fine]),
  ],
  [
    "an output smaller than its value",
    RangeError,
    (on, _, fine, other) => on.compile(both).run([fine, fine], [other, small(on)]),
  ],
];

/** Registers the tests of memory and order. */
export function bufferSuite(device: Device): void {
  describe("buffers", () => {
    contents(device);
  });
  describe("memory", () => {
    counts(device);
  });
  describe("misuse", () => {
    misuse(device);
  });
}

/** What buffers hold, in which order, and that runs repeat. */
function contents(device: Device): void {
  it("hold what was written, from the start, and can be rewritten", async () => {
    const { backend } = device;
    const buffer = backend.alloc(40);
    expect(buffer.bytes).toBe(40);
    const source = Float32Array.from({ length: 10 }, (_, i) => i + 0.5);
    backend.write(buffer, source);
    source.fill(-1); // the caller's own again
    backend.write(buffer, Float32Array.of(7, 8).subarray(1));
    expect([...new Float32Array(await backend.read(buffer))]).toEqual([
      8, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5,
    ]);
    backend.free(buffer);
  });

  it("are read as they were when the read was enqueued", async () => {
    const { backend } = device;
    const graph = graphOfShapes([[64, 64]], (x) => softmax(matmul(x, x), 1));
    const [a, b] = ["a", "b"].map((seed) => draw(spec([64, 64]), "normal", seed));
    const [wantA] = await runOnce(backend, graph, [a]);
    const [wantB] = await runOnce(backend, graph, [b]);
    const program = backend.compile(graph);
    const [x, y] = [put(backend, a), blank(backend, a)];
    program.run([x], [y]);
    const first = get(backend, y, a);
    backend.write(x, packed(b));
    program.run([x], [y]);
    const second = get(backend, y, b);
    backend.write(y, packed(a));
    const third = get(backend, y, a);
    backend.free(x);
    backend.free(y);
    program.dispose();
    expect((await first).data).toEqual(wantA.data);
    expect((await second).data).toEqual(wantB.data);
    expect((await third).data).toEqual(a.data);
  });

  it("carry one program's results to the next with nothing read between", async () => {
    const { backend } = device;
    const x = draw(spec([3, 16]), "normal", "relay");
    const half = backend.compile(graphOfShapes([x.shape], (v) => mul(v, 0.5)));
    const twice = backend.compile(graphOfShapes([x.shape], (v) => add(v, v)));
    const [p, q] = [put(backend, x), blank(backend, x)];
    for (let i = 0; i < 50; i++) {
      half.run([p], [q]);
      twice.run([q], [p]);
    }
    expect((await get(backend, p, x)).data).toEqual(x.data);
    for (const buffer of [p, q]) backend.free(buffer);
    for (const program of [half, twice]) program.dispose();
  });

  for (const [name, graph] of share(device, weighted, () => "weights")) {
    it(`${name}: a weight rewritten between runs is seen`, () =>
      rewritten(device.backend, name, graph));
    it(`${name}: a weight written by another program is seen`, () =>
      writtenByProgram(device.backend, name, graph));
    it(`${name}: a new weight in the memory of a freed one is seen`, () =>
      replaced(device.backend, name, graph));
  }

  it("two runs give the same bits, and so do two compilations", async () => {
    for (const [name, graph] of [
      ...weighted,
      ["sum", graphOfShapes([[7, 1003]], (x) => [sum(x), sum(x, 1), softmax(tanh(x))])] as const,
    ]) {
      const inputs = inputsOf(specsOf(graph), name);
      const [first, second] = [
        await runOnce(device.backend, graph, inputs),
        await runOnce(device.backend, graph, inputs),
      ];
      expect(second.map((y) => y.data)).toEqual(first.map((y) => y.data));
      const program = device.backend.compile(graph);
      const from = inputs.map((x) => put(device.backend, x));
      const to = graph.outputs.map((v) => blank(device.backend, v.spec));
      for (let i = 0; i < 4; i++) {
        program.run(from, to);
        const again = await Promise.all(
          to.map((b, o) => get(device.backend, b, graph.outputs[o].spec)),
        );
        expect(again.map((y) => y.data)).toEqual(first.map((y) => y.data));
      }
      for (const buffer of [...from, ...to]) device.backend.free(buffer);
      program.dispose();
    }
  });

  it("many programs at once do not disturb each other", async () => {
    const s = session(device.backend);
    try {
      const made = weighted.map(([name, graph]) => {
        const inputs = inputsOf(specsOf(graph), name).map((x) => s.hold(x));
        const outputs = graph.outputs.map((v) => s.hold(draw(v.spec, "normal", name)));
        return { program: s.program(graph), inputs, outputs };
      });
      for (let round = 0; round < 2; round++)
        for (const { program, inputs, outputs } of made.toReversed())
          await program.run(inputs, outputs);
      made[0].program.dispose();
      for (const { program, inputs, outputs } of made.slice(1)) await program.run(inputs, outputs);
    } finally {
      s.end();
    }
  });
}

/** That what is freed is free. */
function counts(device: Device): void {
  it("counts what is held, and nothing once it is freed", async () => {
    const { backend } = device;
    const before = await settled(backend);
    const buffers = [4, 400, 0, 40].map((bytes) => backend.alloc(bytes));
    const program = backend.compile(weighted[0][1]);
    const held = await settled(backend);
    expect([held.buffers, held.bytes, held.programs]).toEqual([
      before.buffers + 4,
      before.bytes + 444,
      before.programs + 1,
    ]);
    for (const buffer of buffers) backend.free(buffer);
    program.dispose();
    expect(await settled(backend)).toEqual(before);
  });

  it(`does not grow over ${ROUNDS} rounds of compiling, running and disposing`, async () => {
    const { backend } = device;
    const before = await settled(backend);
    for (let round = 0; round < ROUNDS; round++) {
      const [name, graph] = weighted[round % weighted.length];
      const program = backend.compile(graph);
      const from = inputsOf(specsOf(graph), name).map((x) => put(backend, x));
      const to = graph.outputs.map((v) => blank(backend, v.spec));
      program.run(from, to);
      if (round % 20 === 0) await backend.read(to[0]);
      for (const buffer of [...from, ...to]) backend.free(buffer);
      program.dispose();
    }
    expect(await settled(backend)).toEqual(before);
  });

  // It clears 4.7 GB: those that run a share leave it to the one that runs all.
  if (device.every === 1)
    it("freed is used again", async () => {
      const backend = await device.fresh();
      try {
        const bytes = 2 ** 26;
        // 4.7 GB if it leaked
        for (let round = 0; round < 70; round++) backend.free(backend.alloc(bytes));
        const buffer = backend.alloc(bytes);
        backend.write(buffer, Float32Array.of(1));
        expect(new Float32Array(await backend.read(buffer))[0]).toBe(1);
      } finally {
        backend.dispose();
      }
    });
}

/** That wrong calls are errors and harm nothing else. */
function misuse(device: Device): void {
  // One back end for all of them, which is disposed of with what they leave.
  let backend: Backend;
  beforeAll(async () => {
    backend = await device.fresh();
  });
  afterAll(() => backend.dispose());
  for (const [name, kind, wrong] of wrongs)
    it(`${name} is an error, at once or at the next read, and harms nothing else`, async () => {
      const [fine, freed, other] = [16, 16, 16].map((bytes) => backend.alloc(bytes));
      backend.write(fine, Float32Array.of(1, 2, 3, 4));
      backend.write(other, Float32Array.of(5, 6, 7, 8));
      backend.free(freed);
      const error = await Promise.resolve()
        .then(() => wrong(backend, freed, fine, other))
        .then(() => backend.read(other))
        .then(
          () => null,
          (reason: unknown) => reason,
        );
      expect(error).toBeInstanceOf(kind);
      expect([...new Float32Array(await backend.read(fine))]).toEqual([1, 2, 3, 4]);
      expect([...new Float32Array(await backend.read(other))]).toEqual([5, 6, 7, 8]);
      for (const buffer of [fine, other]) backend.free(buffer);
    });
}

/** The counts once all that was enqueued is done. */
async function settled(backend: Backend) {
  const buffer = backend.alloc(4);
  backend.write(buffer, new Float32Array(1));
  await backend.read(buffer);
  backend.free(buffer);
  const { buffers, bytes, programs, programBytes } = backend.memory();
  return { buffers, bytes, programs, programBytes };
}

const weights = (graph: Graph, name: string, count: number): HostArray[] =>
  Array.from({ length: count }, (_, i) =>
    draw(graph.inputs[1].spec, "normal", `${name}, weight ${i}`),
  );

async function rewritten(backend: Backend, name: string, graph: Graph): Promise<void> {
  const s = session(backend);
  try {
    const [x, w] = inputsOf(specsOf(graph), name).map((v) => s.hold(v));
    const y = s.hold(hostArray(graph.outputs[0].spec));
    const program = s.program(graph);
    for (const weight of weights(graph, name, 3)) {
      await program.run([x, w], [y]);
      s.write(w, weight);
      await program.run([x, w], [y]);
      // One element alone changes.
      const { data } = weight;
      s.write(w, { ...weight, data: data.with(data.length - 1, 3) });
      await program.run([x, w], [y]);
    }
  } finally {
    s.end();
  }
}

async function writtenByProgram(backend: Backend, name: string, graph: Graph): Promise<void> {
  const s = session(backend);
  try {
    const [x, w] = inputsOf(specsOf(graph), name).map((v) => s.hold(v));
    const y = s.hold(hostArray(graph.outputs[0].spec));
    const program = s.program(graph);
    const shape = w.spec.shape;
    const scale = s.program(graphOfShapes([shape], (v) => mul(v, -0.5)));
    const copy = s.program(graphOfShapes([shape], (v) => v));
    const flip = s.program(optimize(graphOfShapes([shape.toReversed()], (v) => transpose(v))));
    const other = s.hold(draw(w.spec, "normal", `${name}, other`));
    const flipped = s.hold(draw(spec(shape.toReversed()), "normal", `${name}, flipped`));
    await program.run([x, w], [y]);
    await scale.run([w], [w]); // in place
    await program.run([x, w], [y]);
    await copy.run([other], [w]);
    await program.run([x, w], [y]);
    await flip.run([flipped], [w]);
    await program.run([x, w], [y]);
    await program.run([x, other], [y]); // and another buffer in its stead
    await program.run([x, w], [y]);
  } finally {
    s.end();
  }
}

async function replaced(backend: Backend, name: string, graph: Graph): Promise<void> {
  const s = session(backend);
  try {
    const x = s.hold(draw(graph.inputs[0].spec, "normal", name));
    const y = s.hold(hostArray(graph.outputs[0].spec));
    const program = s.program(graph);
    for (const weight of weights(graph, name, 4)) {
      const w = s.hold(weight);
      if (w.buffer.bytes !== bytesOf(weight))
        throw new Error("alloc gave a buffer of another size");
      await program.run([x, w], [y]);
      s.free(w);
    }
  } finally {
    s.end();
  }
}
