// Programs over time: weights packed once and packed again when they change, results that do not
// depend on the number of threads, misuse.

import {
  add,
  concat,
  conv,
  convGradInputOp,
  convGeometry,
  matmul,
  mul,
  relu,
  softmax,
  sum,
  transpose,
} from "@conv/ops";
import {
  hostArray,
  node,
  sizeOf,
  spec,
  trace,
  type Buffer,
  type Graph,
  type Value,
  within,
} from "@conv/tensor";
import { evaluateBounded, difference, draw } from "@conv/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createCpu, type CpuBackend } from "../src/index.ts";

let cpu: CpuBackend;
beforeAll(async () => void (cpu = await createCpu({ threads: 1 })));
afterAll(() => cpu.dispose());

const graphOfShapes = (
  shapes: readonly (readonly number[])[],
  fn: (...xs: Value[]) => Value | readonly Value[],
): Graph =>
  trace(
    fn,
    shapes.map((s) => spec(s)),
  );
const put = (backend: CpuBackend, values: ArrayLike<number>): Buffer => {
  const buffer = backend.alloc(values.length * 4);
  backend.write(buffer, Float32Array.from(values));
  return buffer;
};
const get = async (backend: CpuBackend, buffer: Buffer) =>
  new Float32Array(await backend.read(buffer));

describe("packed weights", () => {
  const geometry = convGeometry(spec([1, 5, 7, 7]), spec([6, 5, 3, 3]), { padding: 1 });
  const graphs: [string, Graph][] = [
    [
      "conv",
      graphOfShapes(
        [
          [1, 5, 7, 7],
          [6, 5, 3, 3],
        ],
        (x, w) => relu(conv(x, w, { padding: 1 })),
      ),
    ],
    [
      "gradient to the input",
      graphOfShapes(
        [
          [1, 6, 7, 7],
          [6, 5, 3, 3],
        ],
        (dy, w) => node(convGradInputOp, geometry, [dy, w]),
      ),
    ],
    [
      "depthwise",
      graphOfShapes(
        [
          [1, 6, 7, 7],
          [6, 1, 3, 3],
        ],
        (x, w) => conv(x, w, { groups: 6 }),
      ),
    ],
    [
      "matmul",
      graphOfShapes(
        [
          [17, 20],
          [20, 19],
        ],
        (x, w) => matmul(x, w),
      ),
    ],
  ];
  it.each(graphs)(
    "%s: every change is seen, of the contents, of the buffer, by another program",
    async (name, graph) => {
      const [xSpec, wSpec] = graph.inputs.map((v) => v.spec);
      const x = draw(xSpec, "normal", `${name} x`);
      const program = cpu.compile(graph);
      const scale = cpu.compile(graphOfShapes([wSpec.shape], (w) => mul(w, -2)));
      const [from, to] = [
        put(cpu, x.data),
        put(cpu, new Float32Array(sizeOf(graph.outputs[0].shape))),
      ];
      const check = async (w: Buffer, how: string) => {
        program.run([from, w], [to]);
        const [want] = evaluateBounded(graph, [
          x,
          hostArray(wSpec, Float64Array.from(await get(cpu, w))),
        ]);
        expect(
          difference(hostArray(graph.outputs[0].spec, Float64Array.from(await get(cpu, to))), want),
          how,
        ).toBeNull();
      };
      const [a, b] = ["a", "b"].map((seed) => put(cpu, draw(wSpec, "normal", seed).data));
      await check(a, "first");
      await check(a, "again");
      cpu.write(a, Float32Array.from(draw(wSpec, "normal", "c").data));
      await check(a, "rewritten");
      await check(b, "another buffer");
      await check(a, "the first again");
      scale.run([a], [a]);
      await check(a, "written by a program");
      cpu.free(b);
      await check(put(cpu, draw(wSpec, "normal", "d").data), "in the memory of a freed one");
      program.dispose();
      scale.dispose();
    },
  );
});

it("reductions give the same bits on one thread and on two", async () => {
  const two = await createCpu({ threads: 2 });
  const graphs = [
    graphOfShapes([[100003]], (x) => sum(x)),
    graphOfShapes([[16, 6, 28, 28]], (x) => sum(x, [0, 2, 3])),
    graphOfShapes([[9001, 7]], (x) => sum(x, 0)),
    graphOfShapes([[64, 130]], (x) => softmax(x, 1)),
  ];
  for (const graph of graphs) {
    const x = draw(graph.inputs[0].spec, "normal", "threads").data;
    const results = await Promise.all(
      [cpu, two].map((backend) => {
        const program = backend.compile(graph);
        const to = put(backend, new Float32Array(sizeOf(graph.outputs[0].shape)));
        program.run([put(backend, x)], [to]);
        return get(backend, to);
      }),
    );
    expect(results[1]).toEqual(results[0]);
  }
  two.dispose();
});

it("every piece of work is done once, however many there are and whatever the number of threads", async () => {
  const three = await createCpu({ threads: 3 });
  for (const rows of [1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 25, 100]) {
    // Each row of a broadcast over two axes is a piece of work; a second step reads what the first
    // wrote.
    const graph = graphOfShapes(
      [
        [rows, 1, 6],
        [7, 1],
      ],
      (x, b) => relu(transpose(add(x, b), [1, 0, 2])),
    );
    const [x, b] = graph.inputs.map((v) => draw(v.spec, "normal", `${rows}`).data);
    const program = three.compile(graph);
    const to = put(three, new Float32Array(rows * 42));
    const from = [put(three, x), put(three, b)];
    for (let again = 0; again < 5; again++) {
      three.write(to, new Float32Array(rows * 42).fill(NaN));
      program.run(from, [to]);
      const got = await get(three, to);
      for (let i = 0; i < got.length; i++) {
        const [j, row, column] = [Math.floor(i / (rows * 6)), Math.floor(i / 6) % rows, i % 6];
        expect(got[i]).toBe(
          Math.max(0, Math.fround(Math.fround(x[row * 6 + column]) + Math.fround(b[j]))),
        );
      }
    }
    program.dispose();
  }
  three.dispose();
});

describe("large work", () => {
  const graphs: [string, Graph][] = [
    [
      "convolutions",
      graphOfShapes(
        [
          [1, 8, 20, 20],
          [16, 8, 3, 3],
          [16, 1, 3, 3],
        ],
        (x, w, d) => conv(relu(conv(x, w, { padding: 1 })), d, { groups: 16 }),
      ),
    ],
    [
      "products and sums",
      graphOfShapes(
        [
          [30, 70],
          [70, 40],
        ],
        (x, w) => ((y) => [y, softmax(y), sum(y, 0)])(matmul(x, w)),
      ),
    ],
    [
      "moves",
      graphOfShapes([[20, 30]], (x) => concat([transpose(x), relu(transpose(mul(x, 2)))], 1)),
    ],
  ];
  it.each([1, 2])("lies beyond 2 GiB as well as below, on %d threads", async (threads) => {
    const [low, high] = [await createCpu({ threads }), await createCpu({ threads })];
    high.alloc(2 ** 31 - 64); // never touched: the machine need not have it
    for (const [name, graph] of graphs) {
      const results = await Promise.all(
        [low, high].map(async (backend) => {
          const program = backend.compile(graph);
          const to = graph.outputs.map((v) => put(backend, new Float32Array(sizeOf(v.shape))));
          program.run(
            graph.inputs.map((v) => put(backend, draw(v.spec, "normal", name).data)),
            to,
          );
          return Promise.all(to.map((buffer) => get(backend, buffer)));
        }),
      );
      expect(results[1], name).toEqual(results[0]);
    }
    low.dispose();
    high.dispose();
  });

  it("that cannot fit is refused with what it needs, and leaves nothing behind", async () => {
    const small = await createCpu({ threads: 1 });
    const huge = graphOfShapes([[16384, 32767]], (x) =>
      within("net", () => ((y) => sum(mul(mul(y, softmax(y, 0)), softmax(y, 1))))(transpose(x))),
    );
    expect(() => small.compile(huge)).toThrow(
      expect.objectContaining({
        name: "RangeError",
        code: "program-too-large",
        values: expect.objectContaining({
          bytes: 6442254400,
          most: 2147418112,
          what: "net: transpose into 32767×16384",
        }),
        message:
          "cpu: the program needs 6442254400 bytes, 2147418112 of them for net: transpose into 32767×16384: " +
          "cpu: 6442254336 bytes do not fit: 1088 of 4294967296 bytes are in use",
      }),
    );
    expect(small.memory()).toMatchObject({ programs: 0, programBytes: 0 });
    small.alloc(2 ** 31 - 64);
    expect(() => small.alloc(2 ** 31 - 64)).toThrow(
      expect.objectContaining({
        name: "RangeError",
        code: "out-of-memory",
        values: { bytes: 2147483584, used: 2147484608, limit: 4294967296 },
        message:
          "cpu: 2147483584 bytes do not fit: 2147484608 of 4294967296 bytes are in use; " +
          "live tensors: 1 (2147483584 bytes), programs: 0 (0 bytes); free tensors with scope() or using",
      }),
    );
    small.dispose();
  });
});

describe("misuse", () => {
  const graph = graphOfShapes([[4], [4]], (x, y) => add(x, y));
  it("is told with numbers", () => {
    const program = cpu.compile(graph);
    const [a, b, small] = [cpu.alloc(16), cpu.alloc(16), cpu.alloc(8)];
    expect(() => program.run([a], [b])).toThrow(
      expect.objectContaining({
        name: "RangeError",
        message: "cpu: program takes 2 inputs and 1 outputs, got 1 and 1",
      }),
    );
    expect(() => program.run([a, small], [b])).toThrow(
      expect.objectContaining({
        name: "RangeError",
        message: "cpu: buffer of 8 bytes for a value of 16",
      }),
    );
    expect(() => cpu.write(small, new Float32Array(3))).toThrow(
      expect.objectContaining({
        name: "RangeError",
        message: "cpu: 12 bytes do not fit a buffer of 8",
      }),
    );
    cpu.free(small);
    expect(() => cpu.write(small, new Float32Array(1))).toThrow(
      expect.objectContaining({ message: "cpu: buffer used after free", code: "buffer-freed" }),
    );
    program.dispose();
    program.dispose();
    expect(() => program.run([a, b], [b])).toThrow(
      expect.objectContaining({
        message: "cpu: program used after dispose",
        code: "program-disposed",
      }),
    );
  });
});
