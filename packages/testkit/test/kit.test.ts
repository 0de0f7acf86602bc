// The judge judged: what it lets pass, what it does not, and what it says.

import { conv, div, map, maxPoolGradOp, poolGeometry, relu, sum, type Expr } from "@conv/ops";
import { caseInputs, cases } from "@conv/ops/cases";
import {
  createHost,
  hostArray,
  node,
  spec,
  trace,
  type Backend,
  type HostArray,
  type Op,
} from "@conv/tensor";
import {
  check,
  deferred,
  difference,
  drawAll,
  evaluateBounded,
  SUM_FACTOR,
  ULP,
} from "@conv/testkit";
import { describe, expect, it } from "vitest";

const vector = (...data: number[]): HostArray =>
  hostArray(spec([data.length]), Float64Array.from(data));

/** A host whose results pass through `spoil` before anyone reads them. */
function spoiled(spoil: (values: Float32Array) => void): Backend {
  const host = createHost();
  return {
    ...host,
    async read(buffer) {
      const bytes = await host.read(buffer);
      spoil(new Float32Array(bytes));
      return bytes;
    },
  };
}

describe("difference", () => {
  const exact = (value: HostArray) => ({ value, error: null });
  it("lets pass what is within the bound, and infinities in their place", () => {
    expect(difference(vector(1, Infinity, NaN, -0), exact(vector(1, Infinity, NaN, 0)))).toBeNull();
    expect(
      difference(vector(1.5, 2 ** 127), { value: vector(1, 2 ** 127), error: vector(0.5, 0) }),
    ).toBeNull();
    expect(difference(vector(Infinity), { value: vector(1e39), error: vector(1e32) })).toBeNull();
  });
  it("lets pass anything where the error is unknown", () => {
    expect(difference(vector(NaN, 7), { value: vector(1, 2), error: vector(NaN, NaN) })).toBeNull();
  });
  it("says how many are wrong, where the worst is, and by how much", () => {
    const want = {
      value: hostArray(spec([2, 3]), Float64Array.of(0, 1, 2, 3, 4, 5)),
      error: hostArray(spec([2, 3]), new Float64Array(6).fill(0.25)),
    };
    expect(difference({ ...want.value, data: Float64Array.of(0, 1.5, 2, 3, 6, 5.125) }, want)).toBe(
      "2 of 6 wrong, worst at [1, 1] (flat 4): got 6, want 4 ± 0.250, off by 2.00",
    );
  });
  it("counts NaN for a finite number as the worst of all", () => {
    expect(difference(vector(1e9, NaN), exact(vector(1, 2)))).toBe(
      "2 of 2 wrong, worst at [1] (flat 1): got NaN, want 2 ± 0.00, off by NaN",
    );
  });
  it("wants int32 to the last bit", () => {
    const labels = (v: number): HostArray => hostArray(spec([1], "int32"), Float64Array.of(v));
    expect(difference(labels(16777217), exact(labels(16777217)))).toBeNull();
    expect(difference(labels(16777216), exact(labels(16777217)))).toBe(
      "1 of 1 wrong, worst at [0] (flat 0): got 16777216, want 16777217 ± 0.00, off by -1.00",
    );
  });
});

describe("check", () => {
  const graph = trace(
    (x, w) => relu(conv(x, w, { padding: 1 })),
    [spec([1, 2, 3, 3]), spec([2, 2, 3, 3])],
    ["x", "w"],
  );
  const inputs = drawAll(
    graph.inputs.map((v) => v.spec),
    "positive",
    "check",
  );
  it("passes the host, and the host behind a queue", async () => {
    await check(createHost(), graph, inputs);
    await check(deferred(createHost()), graph, inputs);
  });
  it("names the graph with its geometry", async () => {
    const faulty = spoiled((y) => (y[7] = NaN));
    await expect(check(faulty, graph, inputs)).rejects.toThrow(
      /^output 0 of 1 \(1×2×3×3\): 1 of 18 wrong, worst at \[0, 0, 2, 1\] \(flat 7\): got NaN, want .* ± .*, off by NaN\ngraph of inputs x 1×2×3×3, w 2×2×3×3\n {2}conv 1×2×3×3, 2×2×3×3 → 1×2×3×3 \{"n":1,.*\}\n {2}relu 1×2×3×3 → 1×2×3×3 \{.*\}$/,
    );
  });
  it("finds what nobody wrote, and errors of a few units in the last place of a sum", async () => {
    await expect(
      check(
        { ...createHost(), compile: () => ({ steps: [], bytes: 0, run() {}, dispose() {} }) },
        graph,
        inputs,
      ),
    ).rejects.toThrow("18 of 18 wrong");
    await expect(
      check(
        spoiled((y) => (y[0] *= 1 + 3 * SUM_FACTOR * ULP)),
        graph,
        inputs,
      ),
    ).rejects.toThrow("1 of 18 wrong");
    await check(
      spoiled((y) => (y[0] *= 1 + ULP)),
      graph,
      inputs,
    );
  });
});

describe("error bounds", () => {
  const bound = (f: Expr, ...values: number[]) => {
    const [{ value, error }] = evaluateBounded(
      trace(
        (...xs) => map("f", f, xs),
        values.map(() => spec([1])),
      ),
      values.map((v) => vector(v)),
    );
    return [value.data[0], error!.data[0]];
  };
  it("of exact steps are nothing", () => {
    expect(bound(["neg", ["abs", "a"]], -3)).toEqual([-3, 0]);
    expect(bound(["gt", "a", "b"], 2, 2)).toEqual([0, 0]);
    expect(bound(["max", "a", "b"], 1, 2)).toEqual([2, 0]);
    expect(bound(["select", ["add", "a", "b"], "a", "b"], 1, 2)).toEqual([1, 0]);
  });
  it("grow with every rounding", () => {
    expect(bound(["add", "a", "b"], 1, 2)).toEqual([3, 3 * ULP]);
    expect(bound(["mul", ["add", "a", "b"], "a"], 2, 1)).toEqual([6, 12 * ULP]);
    expect(bound("a", 1)).toEqual([1, 0]);
    expect(bound(0.1, 1)[1]).toBeCloseTo(1.5e-9, 10);
  });
  it("are unknown where a device may meet a zero divisor or the end of its numbers", () => {
    expect(bound(["div", 1, ["sub", ["mul", "a", "a"], 2]], Math.fround(Math.SQRT2))[1]).toBeNaN();
    expect(bound(["sub", ["exp", "a"], ["exp", "a"]], 100)[1]).toBeNaN();
  });
  it("of a sum grow with what was summed, not with what came out", () => {
    const [{ value, error }] = evaluateBounded(
      trace((x) => sum(x), [spec([3])]),
      [vector(1e6, -1e6, 1)],
    );
    expect([value.data[0], error!.data[0]]).toEqual([1, SUM_FACTOR * ULP * 2000001]);
  });
  it("know that a maximum may be elsewhere where two are near", () => {
    const g = poolGeometry(spec([1, 1, 4]), 2);
    const graph = trace(
      (x, d, dy) => node(maxPoolGradOp, g, [div(x, d), dy]),
      [spec([1, 1, 4]), spec([1, 1, 4]), spec([1, 1, 2])],
    );
    const [x, d, dy] = [
      [1, Math.fround(1 + 1e-7), 1, 3],
      [3, 3, 3, 3],
      [5, 7],
    ].map((data, i) => ({ ...vector(...data), shape: [1, 1, i < 2 ? 4 : 2] }));
    const [{ value, error }] = evaluateBounded(graph, [x, d, dy]);
    expect([...value.data]).toEqual([0, 5, 0, 7]);
    expect([...error!.data]).toEqual([5, 5, 0, 0]);
  });
  it("are known for the op of every case", () => {
    for (const c of cases) {
      const graph = trace((...xs) => node(c.op, c.params, xs), c.inputs);
      const inputs = caseInputs(c).map((data, i) =>
        hostArray(c.inputs[i], Float64Array.from(data)),
      );
      expect(evaluateBounded(graph, inputs)).toHaveLength(1);
    }
  });
  it("of an op without a rule are an error that says where to add one", () => {
    const riddle = {
      name: "riddle",
      infer: () => [spec([1])],
      reference: () => [vector(1)],
      vjp: () => [],
      cost: () => ({ macs: 0, flops: 0, bytesRead: 0, bytesWritten: 0 }),
    };
    expect(() =>
      evaluateBounded(
        trace(() => node(riddle, {}, []), []),
        [],
      ),
    ).toThrow(
      "testkit: no rule for the error of op riddle; export its rule as rules in its file of cases",
    );
  });
});

describe("deferred", () => {
  it("carries nothing out before the caller goes on, and everything before a read answers", async () => {
    const host = createHost();
    const backend = deferred(host);
    const buffer = backend.alloc(8);
    backend.write(buffer, Float32Array.of(1, 2));
    expect(host.memory().buffers).toBe(0);
    expect(backend.memory()).toEqual({ buffers: 1, bytes: 8, programs: 0, programBytes: 0 });
    expect([...new Float32Array(await backend.read(buffer))]).toEqual([1, 2]);
    expect(host.memory().buffers).toBe(1);
  });
  it("hands out handles with nothing behind them, and knows only its own", async () => {
    const host = createHost();
    const backend = deferred(host);
    expect(Object.entries(backend.alloc(4))).toEqual([["bytes", 4]]);
    await expect(backend.read(host.alloc(4))).rejects.toThrow(
      "deferred host: the buffer belongs to another back end",
    );
  });
  it("reports the first error at the next read, once", async () => {
    const backend = deferred(createHost());
    const buffer = backend.alloc(4);
    backend.write(buffer, Float32Array.of(7));
    backend.alloc(2 ** 52);
    backend.alloc(2 ** 51);
    await expect(backend.read(buffer)).rejects.toThrow("host: no room for 4503599627370496 bytes");
    expect([...new Float32Array(await backend.read(buffer))]).toEqual([7]);
  });
  it("ends after what was enqueued, and refuses what comes later", async () => {
    const backend = deferred(createHost());
    const buffer = backend.alloc(4);
    backend.write(buffer, Float32Array.of(7));
    const last = backend.read(buffer);
    backend.dispose();
    backend.dispose();
    backend.free(buffer); // what a finaliser may still do
    expect([...new Float32Array(await last)]).toEqual([7]);
    expect(() => backend.alloc(4)).toThrow("deferred host: the back end is disposed");
    await expect(backend.read(buffer)).rejects.toThrow("deferred host: the back end is disposed");
  });
});

it("judges an op by what it is, not by its name", () => {
  const two: Op<null> = {
    ...{
      name: "conv",
      infer: ([x]) => [x],
      vjp: (_, [ct]) => [ct],
      cost: () => ({ macs: 0, flops: 0, bytesRead: 0, bytesWritten: 0 }),
    },
    reference: ([x]) => [x],
  };
  const graph = trace((x) => node(two, null, [x])[0], [spec([1])]);
  expect(() => evaluateBounded(graph, [vector(1)])).toThrow(
    new Error(
      "testkit: no rule for the error of op conv; export its rule as rules in its file of cases",
    ),
  );
});
