// Tracing, order, dead nodes, paths; rewriting; differentiation.

import { describe, expect, test } from "vitest";
import {
  message,
  checkOptions,
  evaluate,
  graphOf,
  hostArray,
  input,
  optimize,
  shapeError,
  spec,
  trace,
  Value,
  vjp,
  within,
  type Graph,
  type HostArray,
} from "../src/index.ts";
import { add, halves, join, mul, scale, stop } from "./ops.ts";

const names = (g: Graph) => g.nodes.map((n) => n.op.name);
const vector = (...data: number[]): HostArray =>
  hostArray(spec([data.length]), Float64Array.from(data));
const run = (g: Graph, ...inputs: HostArray[]) => evaluate(g, inputs).map((y) => [...y.data]);

describe("graphOf and trace", () => {
  test("nodes come after their inputs, in the order in which outputs need them", () => {
    const g = trace(
      (a, b) => {
        const late = scale(b, 3);
        const early = scale(a, 2);
        return add(mul(early, early), late);
      },
      [spec([2]), spec([2])],
    );
    expect(names(g)).toEqual(["scale", "mul", "scale", "add"]);
    const position = new Map(g.nodes.map((n, i) => [n, i]));
    const before = g.nodes.flatMap((n) =>
      n.inputs.map((v) => (v.node ? position.get(v.node)! < position.get(n)! : true)),
    );
    expect(before).toEqual(before.map(() => true));
    expect(run(g, vector(1, 2), vector(5, 6))).toEqual([[19, 34]]);
  });

  test("what no output needs is not in the graph; a shared node is there once", () => {
    const g = trace(
      (a) => {
        scale(a, 7);
        const b = scale(a, 2);
        return [add(b, b), b];
      },
      [spec([1])],
    );
    expect(names(g)).toEqual(["scale", "add"]);
    expect(run(g, vector(3))).toEqual([[12], [6]]);
  });

  test("an output may be an input, or the same value twice, or not there at all", () => {
    const g = trace((a) => [a, a], [spec([1])], ["a"]);
    expect(names(g)).toEqual([]);
    expect(run(g, vector(3))).toEqual([[3], [3]]);
    expect(g.inputs[0].name).toBe("a");
    expect(trace(() => [], [spec([1])]).nodes).toEqual([]);
  });

  test("values of a node with two outputs", () => {
    const g = trace((x) => join(...(halves(x).toReversed() as [Value, Value])), [spec([4])]);
    expect(names(g)).toEqual(["halves", "join"]);
    expect(g.nodes[0].outputs.map((v) => v.index)).toEqual([0, 1]);
    expect(run(g, vector(1, 2, 3, 4))).toEqual([[3, 4, 1, 2]]);
  });

  test("a chain of twenty thousand nodes", () => {
    const g = trace(
      (x) => {
        let y = x;
        for (let i = 0; i < 20_000; i++) y = scale(y, -1);
        return y;
      },
      [spec([1])],
    );
    expect(g.nodes.length).toBe(20_000);
    expect(run(g, vector(2))).toEqual([[2]]);
    expect(optimize(g).nodes.length).toBe(0);
  });

  test("a free value that is no input is refused by name and shape", () => {
    const stranger = input(spec([3, 4]), "w");
    expect(() => trace(() => scale(stranger, 2), [])).toThrow(
      expect.objectContaining({
        name: "ShapeError",
        message: "graph: a value of shape 3×4 named w is used but is not an input",
      }),
    );
    expect(() => graphOf([], [input(spec([]))])).toThrow(
      expect.objectContaining({
        name: "ShapeError",
        message: "graph: a value of shape scalar is used but is not an input",
      }),
    );
  });

  test("a value listed as input is given, whatever made it", () => {
    const a = input(spec([1]));
    const b = scale(a, 2);
    const g = graphOf([b], [scale(b, 3)]);
    expect(names(g)).toEqual(["scale"]);
    expect(run(g, vector(5))).toEqual([[15]]);
  });
});

describe("paths", () => {
  test("nest, end with the module, and survive a throw", () => {
    const x = input(spec([1]));
    const [a, b, c] = within("net", () => [
      within("c1", () => scale(x, 1)),
      within("", () => scale(x, 2)),
      scale(x, 3),
    ]);
    expect([a, b, c, scale(x, 4)].map((v) => v.node?.path)).toEqual(["net.c1", "net", "net", ""]);
    expect(() => within("net", () => JSON.parse("?"))).toThrow(SyntaxError);
    expect(scale(x, 5).node?.path).toBe("");
  });

  test("lead the message of a ShapeError, once", () => {
    const [a, b] = [input(spec([1])), input(spec([2]))];
    expect(() => add(a, b)).toThrow(
      expect.objectContaining({ name: "ShapeError", message: "add: shapes 1 and 2 differ" }),
    );
    const fails = () => within("net", () => within("c1", () => add(a, b)));
    expect(fails).toThrow(
      expect.objectContaining({
        name: "ShapeError",
        message: "net.c1: add: shapes 1 and 2 differ",
      }),
    );
    expect(() => within("", () => add(a, b))).toThrow(
      expect.objectContaining({ name: "ShapeError", message: "add: shapes 1 and 2 differ" }),
    );
    expect(fails).toThrow(
      expect.objectContaining({
        cause: expect.objectContaining({ message: "add: shapes 1 and 2 differ" }),
        code: "shapes-differ",
        values: { a: "1", b: "2" },
      }),
    );
  });

  test("and other names of users are cut in messages, and hold nothing that a terminal acts on", () => {
    const [a, b] = [input(spec([1])), input(spec([2]), `\u001B[2J${"x".repeat(1e6)}`)];
    expect(() => within(`c\n${"p".repeat(1e6)}`, () => add(a, b))).toThrow(
      expect.objectContaining({
        name: "ShapeError",
        message: `c\\u{a}${"p".repeat(198)}…: add: shapes 1 and 2 differ`,
      }),
    );
    expect(() => graphOf([a], [b])).toThrow(
      expect.objectContaining({
        name: "ShapeError",
        message: `graph: a value of shape 2 named \\u{1b}[2J${"x".repeat(76)}… is used but is not an input`,
      }),
    );
    const odd = { ["o\u202E".repeat(1e5)]: 1 };
    expect(() => checkOptions("conv", odd, "stride")).toThrow(
      expect.objectContaining({
        name: "RangeError",
        message: `conv: there is no option "${"o\\u{202e}".repeat(40)}…"; there are stride`,
        code: "unknown-option",
        values: { option: `"${"o\\u{202e}".repeat(40)}…"`, known: "stride" },
      }),
    );
    expect(shapeError("op", "rule", message`${{ rule: "r".repeat(1e6) }}`).message).toHaveLength(
      2005,
    );
  });
});

describe("optimize", () => {
  test("merges equal nodes, however they came to be equal", () => {
    const g = optimize(
      trace(
        (a, b) => [add(scale(a, 2), scale(a, 2)), add(scale(scale(a, 2), 1), scale(b, 2))],
        [spec([1]), spec([1])],
      ),
    );
    expect(names(g)).toEqual(["scale", "add", "scale", "add"]);
    expect(run(g, vector(1), vector(5))).toEqual([[4], [12]]);
  });

  test("simplifies what a simplification made", () => {
    const g = optimize(trace((a) => scale(scale(scale(a, 2), 0.25), 2), [spec([1])]));
    expect(names(g)).toEqual([]);
    expect(g.outputs[0]).toBe(g.inputs[0]);
  });

  test("keeps inputs that are not used, the order of outputs, and paths", () => {
    const g = optimize(
      trace((a) => within("m", () => [a, scale(scale(a, 2), 3), a]), [spec([1]), spec([9])]),
    );
    expect(g.inputs.length).toBe(2);
    expect(g.nodes.map((n) => [n.path, n.params])).toEqual([["m", { by: 6 }]]);
    expect(run(g, vector(1), hostArray(spec([9])))).toEqual([[1], [6], [1]]);
  });

  test("leaves a graph with nothing to do as it is", () => {
    const g = trace((a, b) => mul(add(a, b), b), [spec([1]), spec([1])]);
    expect(optimize(g).nodes).toEqual(g.nodes);
    expect(optimize(g).nodes.every((n, i) => n === g.nodes[i])).toBe(true);
  });

  test("does not merge different outputs of one node", () => {
    const g = optimize(trace((x) => halves(x).map((h) => scale(h, 2)), [spec([2])]));
    expect(run(g, vector(3, 4))).toEqual([[6], [8]]);
  });
});

describe("vjp", () => {
  const one = input(spec([1]));
  const gradient = (fn: (...xs: Value[]) => Value, wrt: readonly number[], n: number) => {
    const xs = Array.from({ length: n }, () => input(spec([1])));
    const cts = vjp(
      [fn(...xs)],
      [one],
      wrt.map((i) => xs[i]),
      add,
    );
    return { xs, cts };
  };

  test("sums over all ways to the value", () => {
    const { xs, cts } = gradient((a, b) => add(mul(a, b), mul(a, a)), [0, 1], 2);
    expect(run(graphOf([...xs, one], cts as Value[]), vector(3), vector(5), vector(1))).toEqual([
      [11],
      [3],
    ]);
  });

  test("is graph again: the gradient of the gradient", () => {
    const x = input(spec([1]));
    const [d1] = vjp([mul(mul(x, x), x)], [one], [x], add);
    const [d2] = vjp([d1!], [one], [x], add);
    const [d3] = vjp([d2!], [one], [x], add);
    expect(run(graphOf([x, one], [d1!, d2!, d3!]), vector(2), vector(1))).toEqual([
      [12],
      [12],
      [6],
    ]);
  });

  test("null where there is no way, or none that a gradient goes", () => {
    const { cts } = gradient((a, b) => add(scale(a, 2), stop(b)), [0, 1, 2], 3);
    expect(cts.map((v) => v === null)).toEqual([false, true, true]);
  });

  test("builds nothing for values that nobody wants", () => {
    const { xs, cts } = gradient((a, b, c) => mul(scale(mul(a, b), 3), scale(c, 5)), [1], 3);
    const g = graphOf([...xs, one], cts as Value[]);
    // d/db = ct · 5c · 3 · a
    expect(names(g)).toEqual(["scale", "mul", "scale", "mul"]);
    expect(run(g, vector(2), vector(7), vector(1), vector(1))).toEqual([[30]]);
  });

  test("of values inside the graph, and of an output itself", () => {
    const x = input(spec([1]));
    const h = scale(x, 2);
    const y = mul(h, h);
    const cts = vjp([y], [one], [h, y], add);
    expect(cts[1]).toBe(one);
    expect(run(graphOf([x, one], cts as Value[]), vector(3), vector(1))).toEqual([[12], [1]]);
  });

  test("of several outputs at once", () => {
    const x = input(spec([1]));
    const seeds = [input(spec([1])), input(spec([1]))];
    const [dx] = vjp([scale(x, 2), mul(x, x)], seeds, [x], add);
    expect(run(graphOf([x, ...seeds], [dx!]), vector(3), vector(10), vector(100))).toEqual([[620]]);
  });

  test("through a node with two outputs, whichever are used", () => {
    const x = input(spec([2]));
    const [a, b] = halves(x);
    const gradientOf = (y: Value) =>
      run(graphOf([x, one], [vjp([y], [one], [x], add)[0]!]), vector(3, 5), vector(1));
    expect([mul(a, b), scale(a, 2), scale(b, 3)].map(gradientOf)).toEqual([
      [[5, 3]],
      [[2, 0]],
      [[0, 3]],
    ]);
  });

  test("names nodes after those that they differentiate", () => {
    const x = input(spec([1]));
    const y = within("c1", () => mul(x, x));
    const [dx] = vjp([y], [one], [x], add);
    expect(graphOf([x, one], [dx!]).nodes.map((n) => n.path)).toEqual(["c1", "c1", "c1"]);
  });
});
