// Plans of kernels that exist only here: a plan computes what its graph computes, however nodes are
// fused, and every task gets the kernel that the rules choose.

import {
  add,
  broadcastStrides,
  conv,
  matmul,
  maxPool,
  mul,
  numbers,
  relu,
  reshape,
  sub,
  sum,
  tanh,
  type Expr,
} from "@conv/ops";
import {
  evaluate,
  graphOf,
  hostArray,
  input,
  node,
  optimize,
  sameShape,
  sizeOf,
  spec,
  stridesOf,
  trace,
  type Graph,
  type HostArray,
  type Op,
  type Value,
} from "@conv/tensor";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  choose,
  fusedOp,
  plan,
  root,
  type PlanKernel,
  type Planned,
  type Selection,
  type SelectionCaps,
} from "../src/index.ts";

const SEED = 19980511;

type Kernel = PlanKernel<SelectionCaps, null>;
const kernel = (name: string, more: Partial<Kernel> = {}): Kernel => ({
  name,
  estimate: () => 1,
  build: () => null,
  ...more,
});
const caps: SelectionCaps = { roundoff: 0, prefer: [] };
const every = kernel("every", { fuses: ["channel", "column", "element"] });
const selectionOf = (...kernels: Kernel[]): Selection<SelectionCaps, Kernel> => ({ kernels, caps });

/** The value of an expression at one element. */
const at = (e: Expr, values: Readonly<Record<string, number>>): number => {
  if (typeof e === "number") return e;
  if (typeof e === "string") return values[e];
  const [fn, ...args] = e;
  const [a, b, c] = args.map((arg) => at(arg, values));
  return numbers[fn](a, b, c);
};

/** The offset of element i of `into` in an operand of this shape. */
const offset = (shape: readonly number[], into: readonly number[], i: number): number => {
  const strides = broadcastStrides(shape, into);
  return stridesOf(into).reduce(
    (sum, stride, a) => sum + (Math.floor(i / stride) % into[a]) * strides[a],
    0,
  );
};

/** Computes the outputs of a graph by its plan, task by task. */
function run(graph: Graph, tasks: readonly Planned<Kernel>[], given: readonly HostArray[]) {
  const known = new Map<Value, HostArray>(graph.inputs.map((v, i) => [v, given[i]]));
  const of = (v: Value): HostArray => hostArray(v.spec, known.get(root(v))!.data);
  for (const { task, reads, writes } of tasks) {
    const own = task.op === fusedOp ? 0 : reads.length - (task.epilogue?.operands.length ?? 0);
    const operands = reads.slice(own).map(of);
    const names = task.op === fusedOp ? reads.map((_, i) => `i${i}`) : [];
    const elementwise = (v: Value, f: Expr, fixed: readonly string[], r?: HostArray) =>
      hostArray(
        v.spec,
        Float64Array.from({ length: sizeOf(v.shape) }, (_, i) =>
          at(f, {
            ...(r && { r: r.data[i] }),
            ...Object.fromEntries(
              fixed.map((name, k) => [
                name,
                operands[k].data[offset(operands[k].shape, v.shape, i)],
              ]),
            ),
          }),
        ),
      );
    if (task.op === fusedOp) {
      const { values } = task.params as { values: readonly Expr[] };
      const results = writes.map((v, i) => elementwise(v, values[i], names));
      writes.forEach((v, i) => known.set(v, results[i]));
      continue;
    }
    const results = task.op.reference(reads.slice(0, own).map(of), task.params);
    const { epilogue } = task;
    writes.forEach((v, i) =>
      known.set(
        v,
        epilogue
          ? elementwise(
              v,
              epilogue.f,
              epilogue.operands.map(({ name }) => name),
              results[i],
            )
          : results[i],
      ),
    );
  }
  return graph.outputs.map((v) => [...of(v).data]);
}

const names = (tasks: readonly Planned<Kernel>[]) =>
  tasks.map(({ nodes }) => nodes.map((n) => n.op.name).join(" "));

describe("a plan computes what its graph computes", () => {
  const step = fc.record({
    kind: fc.constantFrom("add", "mul", "relu", "conv", "pool", "sum", "reshape", "bias"),
    a: fc.nat(99),
    b: fc.nat(99),
  });
  const drawn = fc.record({
    steps: fc.array(step, { minLength: 3, maxLength: 20 }),
    outputs: fc.array(fc.nat(99), { minLength: 1, maxLength: 4 }),
    mostOperands: fc.constantFrom(3, 4, 8, undefined),
    fuses: fc.subarray(["channel", "column", "element"] as const),
  });

  it("for drawn graphs, operands and kernels", () => {
    let fused = 0;
    const property = fc.property(drawn, ({ steps, outputs, mostOperands, fuses }) => {
      const inputs = [[1, 2, 4, 4], [1, 2, 4, 4], [2], [2, 2, 1, 1]].map((s) => input(spec(s)));
      const [, , b, w] = inputs;
      const made = inputs.slice(0, 2);
      for (const { kind, a, b: other } of steps) {
        const x = made[a % made.length];
        const y = made[other % made.length];
        if (kind === "add") made.push(add(x, y));
        if (kind === "mul") made.push(mul(x, (other % 3) - 1));
        if (kind === "relu") made.push(relu(sub(x, y)));
        if (kind === "conv") made.push(conv(x, w));
        if (kind === "bias") made.push(add(x, reshape(b, [1, 2, 1, 1])));
        if (kind === "pool") made.push(maxPool(x, 3, { stride: 1, padding: 1 }));
        if (kind === "sum") made.push(sub(x, sum(x, 3, true)));
        if (kind === "reshape") made.push(reshape(relu(reshape(x, [2, 16])), x.shape));
      }
      const graph = optimize(
        graphOf(inputs, [
          ...new Set(outputs.map((o) => made[made.length - 1 - (o % made.length)])),
        ]),
      );
      const tasks = plan(graph, { ...selectionOf(kernel("one", { fuses })), mostOperands });
      fused += tasks.filter(({ nodes }) => nodes.length > 1).length;
      for (const { nodes, reads, writes } of tasks)
        if (mostOperands && nodes.length > 1)
          expect(reads.length + writes.length).toBeLessThanOrEqual(mostOperands);
      const given = graph.inputs.map((v, i) =>
        hostArray(
          v.spec,
          Float64Array.from({ length: sizeOf(v.shape) }, (_, k) => ((k * 7 + i * 13) % 11) - 5),
        ),
      );
      expect(run(graph, tasks, given)).toEqual(evaluate(graph, given).map((y) => [...y.data]));
    });
    fc.assert(property, { seed: SEED, numRuns: 300 });
    expect(fused).toBeGreaterThan(100);
  });

  it("with tasks of outputs only at the end", () => {
    const [x, w] = [input(spec([1, 2, 4, 4])), input(spec([2, 2, 1, 1]))];
    const graph = graphOf([x, w], [tanh(w), conv(relu(x), w)]);
    expect(names(plan(graph, selectionOf(every)))).toEqual(["relu", "tanh", "conv"]);
  });

  it("a kernel that fuses nothing leaves elementwise nodes to a task for them", () => {
    const graph = trace((x, w) => relu(conv(x, w)), [spec([1, 2, 4, 4]), spec([2, 2, 1, 1])]);
    expect(names(plan(graph, selectionOf(every)))).toEqual(["conv relu"]);
    expect(names(plan(graph, selectionOf(kernel("plain"))))).toEqual(["conv", "relu"]);
  });

  it("asks for each different task once", () => {
    let asked = 0;
    const counting = kernel("counting", { estimate: () => ++asked });
    const graph = trace(
      (x) => {
        let y = x;
        for (let i = 0; i < 6; i++) y = matmul(y, y);
        return y;
      },
      [spec([4, 4])],
    );
    expect(plan(graph, selectionOf(counting)).length).toBe(6);
    expect(asked).toBe(1);
  });
});

describe("choice", () => {
  const [{ task }] = plan(
    trace((x, y) => matmul(x, y), [spec([2, 3]), spec([3, 2])]),
    selectionOf(every),
  );
  const chosen = (selection: Selection<SelectionCaps, Kernel>) =>
    choose(task, selection).map(({ kernel: { name } }) => name);
  const [slow, fast] = [kernel("slow", { estimate: () => 2 }), kernel("fast")];

  it("goes by estimates, and by preference before them", () => {
    expect(chosen(selectionOf(slow, fast))).toEqual(["fast", "slow"]);
    const prefer = ["slow", "absent"];
    expect(chosen({ ...selectionOf(slow, fast), caps: { ...caps, prefer } })).toEqual([
      "slow",
      "fast",
    ]);
  });

  it("adds a handicap when kernels are compared, and keeps the estimate", () => {
    const handicap = (k: Kernel) => (k === fast ? 1.5 : 0);
    const choices = choose(task, { ...selectionOf(slow, fast), handicap });
    expect(choices.map(({ kernel: k, estimate }) => [k.name, estimate])).toEqual([
      ["slow", 2],
      ["fast", 1],
    ]);
  });

  it("passes over kernels of other ops, element types and rounding errors", () => {
    const other: Op<null> = { ...(task.op as Op<null>), name: "other" };
    const kernels = [
      kernel("foreign", { ops: [other] }),
      kernel("bytes", { dtypes: ["uint8"] }),
      kernel("rough", { roundoff: 2 }),
      kernel("declines", { unsupportedReason: () => "needs more rows" }),
    ];
    expect(chosen(selectionOf(...kernels, slow))).toEqual(["slow"]);
    const rough = { ...selectionOf(...kernels, slow), caps: { ...caps, roundoff: 2 } };
    expect(chosen(rough)).toEqual(["rough", "slow"]);
    expect(() => choose(task, { ...selectionOf(...kernels), remedy: "; add one" })).toThrow(
      expect.objectContaining({
        name: "UnsupportedError",
        code: "no-kernel",
        message:
          "matmul: no kernel computes inputs float32 2×3, float32 3×2: bytes does not take float32; " +
          "rough states a roundoff of 2, allowed are 0; declines needs more rows; add one",
      }),
    );
    expect(() => choose(task, selectionOf(kernels[0]))).toThrow(
      "matmul: no kernel of the list computes this op (inputs float32 2×3, float32 3×2); the list has foreign",
    );
  });

  it("takes the kernel that can apply the epilogue, where a preferred one cannot", () => {
    const graph = trace((x, y) => relu(matmul(x, y)), [spec([2, 3]), spec([3, 2])]);
    const [{ kernel: k, nodes }] = plan(graph, selectionOf(slow, { ...every, estimate: () => 0 }));
    expect([k.name, nodes.length]).toEqual(["every", 2]);
  });
});

it("an op of any kind is a task", () => {
  const cube: Op<null> = {
    name: "cube",
    infer: ([x]) => [x],
    reference: ([x]) => [{ ...x, data: x.data.map((v) => v ** 3) }],
    vjp: () => [null],
    cost: () => ({ macs: 0, flops: 0, bytesRead: 0, bytesWritten: 0 }),
  };
  const graph = trace((x) => node(cube, null, [x]), [spec([3])]);
  const [given] = [hostArray(spec([3]), Float64Array.of(1, 2, 3))];
  const tasks = plan(graph, selectionOf(every));
  expect(run(graph, tasks, [given])).toEqual([[1, 8, 27]]);
  expect(sameShape(tasks[0].writes[0].shape, [3])).toBe(true);
});
