// Graphs made of these ops: simplifications, what a gradient computes and what it leaves out,
// programs on the host.

import {
  apply,
  createHost,
  dispose,
  evaluate,
  graphOf,
  hostArray,
  input,
  jit,
  node,
  optimize,
  scope,
  spec,
  tensor,
  trace,
  within,
  type Graph,
  type Value,
} from "@conv/tensor";
import { describe, expect, test } from "vitest";
import { caseInputs, cases } from "../src/cases/index.ts";
import * as ops from "../src/index.ts";

const {
  add,
  conv,
  crossEntropy,
  flatten,
  full,
  grad,
  linear,
  maxPool,
  mul,
  relu,
  reshape,
  slice,
  sum,
  tanh,
  transpose,
} = ops;

const names = (g: Graph) => g.nodes.map((n) => n.op.name);
/** Names of the ops left of a function of one tensor. */
const left = (fn: (x: Value) => Value | readonly Value[], ...shape: number[]) =>
  names(optimize(trace(fn, [spec(shape)])));

describe("simplifications", () => {
  test("what does nothing goes", () => {
    const nothing: [string, (x: Value) => Value][] = [
      ["reshape to the same shape", (x) => apply(ops.reshapeOp, { shape: [2, 3, 4] }, [x])[0]],
      ["transpose in order", (x) => transpose(x, [0, 1, 2])],
      ["transpose and back", (x) => transpose(transpose(x, [1, 2, 0]), [2, 0, 1])],
      ["reshape and back", (x) => reshape(reshape(x, [24]), [2, 3, 4])],
      ["slice of everything", (x) => slice(x, [0, 0, 0], [2, 3, 4])],
      ["pad by nothing", (x) => ops.pad(x, [0, 0, 0], [0, 0, 0])],
      ["concat of one", (x) => ops.concat([x])],
      [
        "broadcast to the same shape",
        (x) => apply(ops.broadcastToOp, { shape: [2, 3, 4] }, [x])[0],
      ],
      ["sum over nothing", (x) => sum(x, [])],
      ["sum over an axis of one", (x) => reshape(sum(reshape(x, [2, 1, 3, 4]), 1), [2, 3, 4])],
      ["max over an axis of one", (x) => ops.max(reshape(x, [2, 1, 3, 4]), 1)],
      ["times one", (x) => mul(x, 1)],
      ["times a constant one", (x) => mul(full([4], 1), x)],
      ["plus nothing", (x) => add(x, full([], 0))],
      ["affine that changes nothing", (x) => ops.affine(x, 1, 0)],
    ];
    for (const [name, fn] of nothing) expect({ [name]: left(fn, 2, 3, 4) }).toEqual({ [name]: [] });
  });

  test("two become one", () => {
    expect(left((x) => transpose(transpose(x, [1, 2, 0]), [1, 2, 0]), 2, 3, 4)).toEqual([
      "transpose",
    ]);
    expect(left((x) => reshape(reshape(x, [6, 4]), [4, 6]), 2, 3, 4)).toEqual(["reshape"]);
    expect(left((x) => ops.broadcastTo(ops.broadcastTo(x, [3, 4]), [2, 3, 4]), 4)).toEqual([
      "broadcastTo",
    ]);
  });

  test("moving axes of one is a reshape, and so is broadcasting by them", () => {
    expect(left((x) => transpose(x, [1, 0, 2]), 1, 3, 4)).toEqual(["reshape"]);
    expect(left((x) => ops.broadcastTo(x, [1, 3, 4]), 3, 4)).toEqual(["reshape"]);
  });

  test("constants go into expressions, and through moves and sums", () => {
    const g = optimize(
      trace(
        (x) => mul(add(x, full([2, 3], 2)), sum(ops.broadcastTo(full([1], 0.5), [4]), 0)),
        [spec([2, 3])],
      ),
    );
    expect(names(g)).toEqual(["add", "mul"]);
    expect(g.nodes.map((n) => n.params)).toEqual([{ f: ["add", "a", 2] }, { f: ["mul", "a", 2] }]);
    expect(left(() => ops.exp(mul(full([3], 0), full([3], 2))), 1)).toEqual(["full"]);
    expect(left((x) => ops.tanh(mul(x, full([2], 3))), 2)).toEqual(["mul", "tanh"]);
  });

  test("a constant that the shape comes from stays, and one that is not finite is not made", () => {
    expect(left((x) => add(x, full([2, 3], 1)), 3)).toEqual(["full", "add"]);
    expect(left(() => ops.div(full([2], 1), full([2], 0)), 1)).toEqual(["full", "full", "div"]);
    expect(left((x) => mul(x, full([2], 0)), 2)).toEqual(["mul"]);
  });

  test("elementwise ops broadcast by themselves", () => {
    expect(left((x) => add(x, ops.broadcastTo(sum(x, 0, true), [2, 3])), 2, 3)).toEqual([
      "sum",
      "add",
    ]);
    expect(
      left((x) => mul(ops.broadcastTo(sum(x), [2, 3]), ops.broadcastTo(x, [2, 3])), 3),
    ).toEqual(["sum", "reshape", "broadcastTo", "mul"]);
    expect(left((x) => tanh(ops.broadcastTo(x, [2, 3])), 3)).toEqual(["broadcastTo", "tanh"]);
  });

  test("equal nodes are merged", () => {
    expect(left((x) => add(tanh(x), tanh(x)), 2)).toEqual(["tanh", "add"]);
    expect(left((x) => [mul(x, 2), mul(x, 3), mul(x, 2)], 2)).toEqual(["mul", "mul"]);
    // Also those that only a simplification makes equal.
    expect(
      left((x) => add(reshape(reshape(x, [4, 1]), [2, 2]), reshape(reshape(x, [1, 4]), [2, 2])), 4),
    ).toEqual(["reshape", "add"]);
  });

  test("paths survive", () => {
    const g = optimize(
      trace((x) => within("c1", () => transpose(transpose(tanh(x)), [0, 1])), [spec([2, 3])]),
    );
    expect(g.nodes.map((n) => `${n.path}:${n.op.name}`)).toEqual(["c1:tanh", "c1:transpose"]);
  });

  test("derivative rules given by hand survive a constant operand", () => {
    const y = (x: Value, c: Value) => ops.map("scaled", ["mul", "a", "b"], [c, x], [0, 7]);
    const g = optimize(trace((x) => y(x, full([2], 3)), [spec([2])]));
    expect(g.nodes[0].params).toEqual({ f: ["mul", 3, "a"], df: [7] });
  });
});

describe("a graph and its gradients keep their values when optimized", () => {
  test.each([...new Set(cases.map((c) => c.op.name))])("%s", (name) => {
    for (const c of cases.filter((x) => x.op.name === name)) {
      const g = trace((...xs) => {
        const [y] = node(c.op, c.params, xs);
        const floats = xs.filter((x) => x.dtype === "float32");
        return c.gradient === false ? [y] : [y, ...grad(sum(mul(y, y)), floats)];
      }, c.inputs);
      const arrays = caseInputs(c).map((data, i) =>
        hostArray(c.inputs[i], Float64Array.from(data)),
      );
      const better = optimize(g);
      expect(better.nodes.length).toBeLessThanOrEqual(g.nodes.length);
      const want = evaluate(g, arrays);
      evaluate(better, arrays).forEach((y, i) => {
        expect(y.shape).toEqual(want[i].shape);
        const worst = y.data.reduce(
          (m, v, j) => Math.max(m, Math.abs(v - want[i].data[j]) / (1 + Math.abs(want[i].data[j]))),
          0,
        );
        expect({ [c.name]: worst < 1e-12 }).toEqual({ [c.name]: true });
      });
    }
  });
});

describe("gradients as graphs", () => {
  const lenet = (x: Value, labels: Value, w1: Value, w2: Value, w3: Value, b3: Value): Value => {
    const c1 = within("c1", () => maxPool(tanh(conv(x, w1)), 2));
    const c2 = within("c2", () => maxPool(relu(conv(c1, w2)), 2));
    return crossEntropy(
      within("fc", () => linear(flatten(c2), w3, b3)),
      labels,
    );
  };
  const specs = [
    spec([2, 1, 12, 12]),
    spec([2], "int32"),
    spec([3, 1, 3, 3]),
    spec([4, 3, 2, 2]),
    spec([5, 16]),
    spec([5]),
  ];

  test("the first layer gets no gradient to its input, each weight exactly one", () => {
    const g = optimize(
      trace((x, labels, ...ws) => grad(lenet(x, labels, ws[0], ws[1], ws[2], ws[3]), ws), specs),
    );
    expect(names(g).filter((n) => n.startsWith("conv"))).toEqual(
      ["conv", "conv", "convGradInput", "convGradWeight", "convGradWeight"].toSorted(),
    );
    expect(names(g).filter((n) => n === "matmul").length).toBe(3);
    expect(g.nodes.filter((n) => n.op.name === "convGradInput").map((n) => n.path)).toEqual(["c2"]);
    expect(g.nodes.filter((n) => n.path === "c1").map((n) => n.op.name)).toEqual([
      "conv",
      "tanh",
      "maxPool",
      "maxPoolGrad",
      "tanhGrad",
      "convGradWeight",
    ]);
  });

  test("only what is asked for is differentiated", () => {
    const g = optimize(
      trace(
        (x, labels, ...ws) => grad(lenet(x, labels, ws[0], ws[1], ws[2], ws[3]), [ws[3]]),
        specs,
      ),
    );
    expect(names(g).filter((n) => n.includes("Grad"))).toEqual([
      "crossEntropyGrad",
      "logSoftmaxGrad",
    ]);
    const all = trace(
      (x, labels, ...ws) => grad(lenet(x, labels, ws[0], ws[1], ws[2], ws[3]), [x]),
      specs,
    );
    expect(names(all)).not.toContain("convGradWeight");
  });

  test("an intermediate value can be asked for, and what is independent is zero", () => {
    const [x, unused] = [input(spec([2])), input(spec([3]))];
    const h = mul(x, 3);
    const y = sum(mul(h, h));
    const [dh, dunused, dy] = grad(y, [h, unused, y]);
    const values = evaluate(graphOf([x, unused], [dh, dunused, dy]), [
      hostArray(x.spec, Float64Array.of(1, 2)),
      hostArray(unused.spec),
    ]);
    expect(values.map((v) => [...v.data])).toEqual([[6, 12], [0, 0, 0], [1]]);
  });
});

describe("programs on the host", () => {
  test("jit compiles once for each list of specs, and gives what the ops give one by one", async () => {
    const host = createHost();
    let traced = 0;
    const step = jit((x, w) => {
      traced++;
      const loss = sum(ops.square(conv(x, w, { padding: 1 })));
      return [loss, ...grad(loss, [w])];
    });
    const data = (shape: number[], seed: number) =>
      tensor(host, caseInputs({ inputs: [spec(shape)] }, seed)[0], shape);
    const [x, w] = [data([2, 3, 5, 5], 1), data([4, 3, 3, 3], 2)];
    const [loss, dw] = step(x, w);
    const [again] = step(x, w);
    step(data([1, 3, 5, 5], 3), w);
    expect(traced).toBe(2);
    expect(await again.read()).toEqual(await loss.read());
    const y = conv(x, w, { padding: 1 });
    expect((await sum(ops.square(y)).read())[0]).toBeCloseTo((await loss.read())[0], 2);
    const direct = apply(ops.convGradWeightOp, ops.convGeometry(x.spec, w.spec, { padding: 1 }), [
      mul(y, 2),
      x,
    ])[0];
    const want = await direct.read();
    (await dw.read()).forEach((v, i) => expect(v).toBeCloseTo(want[i], 3));
  });

  test("composed functions free what they make on the way", () => {
    const host = createHost();
    const kept = scope(() => {
      const x = tensor(host, [1, 2, 3, 4, 5, 6], [2, 3]);
      const labels = tensor(host, [0, 2], [2], "int32");
      const made = [
        sum(x, 0),
        ops.mean(x),
        ops.crossEntropy(x, labels),
        ops.squaredError(x, x),
        ops.sumTo(x, [3]),
        linear(x, x, tensor(host, [1, 2])),
      ];
      expect(host.memory().buffers).toBe(3 + made.length);
      return made;
    });
    expect(host.memory().buffers).toBe(kept.length);
    for (const t of kept) t[dispose]();
    expect(host.memory()).toMatchObject({ buffers: 0, bytes: 0 });
  });

  test("no op hands its own input back to a tensor's owner", () => {
    const host = createHost();
    const x = tensor(host, [1, 2, 3]);
    for (const y of [
      reshape(x, [3]),
      ops.broadcastTo(x, [3]),
      ops.sumTo(x, [3]),
      sum(x, []),
      flatten(x, 0),
      transpose(x),
    ]) {
      expect(y).not.toBe(x);
      y.dispose();
    }
    expect(host.memory().buffers).toBe(1);
  });
});

test("names of elementwise functions are not kept without end", () => {
  const opOf = (name: string) => ops.map(name, ["neg", "a"], [input(spec([2]))]).node!.op;
  const first = opOf("first");
  expect(opOf("first")).toBe(first);
  for (let i = 0; i < 1000; i++) opOf(`name ${i}`);
  expect(opOf("first")).not.toBe(first);
});
