import { createCpu } from "@conv/kernels-cpu";
import { conv, grad } from "@conv/ops";
import {
  evaluate,
  graphOf,
  hostArray,
  input,
  sizeOf,
  spec,
  type HostArray,
  type Value,
} from "@conv/tensor";
import { describe, expect, test } from "vitest";
import {
  adam,
  arrayDataset,
  createRandom,
  createTrainer,
  initialize,
  rbf,
  subsample2d,
  tableConv2d,
  traceModel,
} from "../src/index.ts";
import type { Layer, Model } from "../src/index.ts";
import {
  c3Table,
  digitCodes,
  lenet5,
  lenet5_1998,
  maximumAPosteriori,
  models,
} from "../src/models/index.ts";
import { only } from "./tiny.ts";

/** Parameters by first name: [trainable, kept]. */
function counts(model: Model): Record<string, [number, number]> {
  const result: Record<string, [number, number]> = {};
  for (const { name, spec: s, trainable } of traceModel(model).entries) {
    const sum = (result[name.split(".")[0]] ??= [0, 0]);
    sum[trainable ? 0 : 1] += sizeOf(s.shape);
  }
  return result;
}

const trainable = (model: Model) => Object.values(counts(model)).reduce((sum, [n]) => sum + n, 0);

/** The shape after each named part. */
function shapes(model: Model): Record<string, readonly number[]> {
  const result: Record<string, readonly number[]> = {};
  for (const n of traceModel(model).graph.nodes)
    result[n.path.split(".")[0]] = n.outputs[0].shape.slice(1);
  return result;
}

const draw = (shape: readonly number[], key: string): HostArray => {
  const random = createRandom(key);
  return hostArray(
    spec(shape),
    Float64Array.from({ length: sizeOf(shape) }, () => random.normal()),
  );
};

/** What a layer answers, in float64, with drawn weights; and those weights by name. */
function run(layer: Layer, x: HostArray): { y: Float64Array; weights: Map<string, HostArray> } {
  const { graph, entries } = traceModel(only(layer, x.shape.slice(1)), { batch: x.shape[0] });
  const weights = new Map(
    entries.map((e) => [
      e.name,
      e.trainable
        ? draw(e.spec.shape, e.name)
        : hostArray(e.spec, Float64Array.from(e.init(e.spec.shape, createRandom("")))),
    ]),
  );
  return { y: evaluate(graph, [x, ...weights.values()])[0].data, weights };
}

function expectClose(got: ArrayLike<number>, want: ArrayLike<number>): void {
  expect(got.length).toBe(want.length);
  for (let i = 0; i < want.length; i++) expect(got[i], `element ${i}`).toBeCloseTo(want[i], 9);
}

test("the list holds every model under its own name", () => {
  for (const [name, make] of Object.entries(models)) expect(make().name).toBe(name);
});

describe("lenet5", () => {
  test("has 61,706 parameters", () => {
    expect(counts(lenet5())).toEqual({
      c1: [156, 0],
      c3: [2416, 0],
      c5: [48120, 0],
      f6: [10164, 0],
      output: [850, 0],
    });
    expect(trainable(lenet5())).toBe(61706);
  });

  test("has the shapes of the paper", () => {
    expect(shapes(lenet5())).toEqual({
      c1: [6, 28, 28],
      s2: [6, 14, 14],
      c3: [16, 10, 10],
      s4: [16, 5, 5],
      c5: [120],
      f6: [84],
      output: [10],
    });
  });
});

describe("lenet5_1998", () => {
  test("has the parameters of the paper, layer by layer, 60,000 in all", () => {
    expect(counts(lenet5_1998())).toEqual({
      c1: [156, 0],
      s2: [12, 0],
      c3: [1516, 0],
      s4: [32, 0],
      c5: [48120, 0],
      f6: [10164, 0],
      output: [0, 840],
    });
    expect(trainable(lenet5_1998())).toBe(60000);
  });

  test("has the shapes of the paper", () => {
    expect(shapes(lenet5_1998())).toEqual({
      c1: [6, 28, 28],
      s2: [6, 14, 14],
      c3: [16, 10, 10],
      s4: [16, 5, 5],
      c5: [120],
      f6: [84],
      output: [10],
    });
  });

  test("starts within ±2.4 / fan-in", () => {
    const bounds: Record<string, number> = {
      "c1.weight": 2.4 / 25,
      "s2.weight": 0.6,
      "c3.1.bias": 2.4 / 100,
      "c5.weight": 2.4 / 400,
      "f6.weight": 2.4 / 120,
    };
    const state = initialize(lenet5_1998());
    for (const [name, bound] of Object.entries(bounds)) {
      const largest = state.get(name)!.data.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
      expect(largest).toBeLessThanOrEqual(bound);
      expect(largest).toBeGreaterThan(bound / 3);
    }
  });

  test("its codes are ten different pictures of 7×12", () => {
    for (const code of digitCodes) {
      expect(code).toHaveLength(84);
      expect(new Set(code)).toEqual(new Set([1, -1]));
    }
    const apart = digitCodes.flatMap((a, i) =>
      digitCodes.slice(i + 1).map((b) => a.filter((v, k) => v !== b[k]).length),
    );
    expect(Math.min(...apart)).toBeGreaterThanOrEqual(5);
  });

  test("learns two pictures: the nearest code becomes the right one", async () => {
    const bars = (i: number) => (i < 1024 ? i % 32 : (i % 1024) >> 5); // upright, then level
    const x = Float32Array.from({ length: 2048 }, (_, i) => (bars(i) % 8 < 3 ? 1.175 : -0.1));
    const data = arrayDataset({ x, y: [1, 0], sample: [1, 32, 32] });
    const backend = await createCpu({ threads: 1 });
    const trainer = createTrainer({
      backend,
      model: lenet5_1998(),
      optimizer: adam({ lr: 0.005 }),
      batch: 2,
    });
    const losses: number[] = [];
    for await (const { loss } of trainer.fit(data, { epochs: 40 })) losses.push(loss);
    expect(losses[39]).toBeLessThan(losses[0] / 10);
    expect([...(await trainer.evaluate(data)).predicted]).toEqual([1, 0]);
    backend.dispose();
  });

  test("its gradient is the slope of its loss", { timeout: 60_000 }, () => {
    const { x, output, values: params, entries } = traceModel(lenet5_1998());
    const labels = input(spec([1], "int32"));
    const loss = maximumAPosteriori(0.1)(output, labels);
    const learned = params.filter((_, i) => entries[i].trainable);
    const state = initialize(lenet5_1998());
    const data = draw([1, 1, 32, 32], "x");
    const at = (step: number) =>
      entries.map((e) => {
        const direction = draw(e.spec.shape, `direction ${e.name}`).data;
        return hostArray(
          e.spec,
          Float64Array.from(
            state.get(e.name)!.data,
            (v, i) => v + (e.trainable ? step * direction[i] : 0),
          ),
        );
      });
    const answer = (outputs: Value[], step: number) =>
      evaluate(graphOf([x, labels, ...params], outputs), [
        data,
        hostArray(labels.spec, Float64Array.of(7)),
        ...at(step),
      ]);
    const slopes = answer(grad(loss, learned), 0);
    const along = learned.map((v) => draw(v.shape, `direction ${v.name}`).data);
    const slope = slopes.reduce(
      (sum, g, i) => sum + g.data.reduce((s, v, k) => s + v * along[i][k], 0),
      0,
    );
    const h = 1e-5;
    const [[above], [below]] = [answer([loss], h), answer([loss], -h)];
    expect((above.data[0] - below.data[0]) / (2 * h) / slope).toBeCloseTo(1, 6);
  });
});

describe("blocks", () => {
  test("a table convolution is a convolution without the absent connections", () => {
    const x = draw([2, 6, 7, 8], "x");
    const { y, weights } = run(tableConv2d(c3Table, [3, 2]), x);
    const dense = new Float64Array(16 * 6 * 6);
    const bias = new Float64Array(16);
    const runs = [c3Table.slice(0, 6), c3Table.slice(6, 15), c3Table.slice(15)];
    let map = 0;
    runs.forEach((maps, part) => {
      const w = weights.get(`${part}.weight`)!;
      expect(w.shape).toEqual([maps.length, maps[0].length, 3, 2]);
      maps.forEach((seen, m) => {
        seen.forEach((channel, c) =>
          dense.set(
            w.data.subarray((m * seen.length + c) * 6, (m * seen.length + c + 1) * 6),
            (map * 6 + channel) * 6,
          ),
        );
        bias[map++] = weights.get(`${part}.bias`)!.data[m];
      });
    });
    const [xv, wv] = [input(spec(x.shape)), input(spec([16, 6, 3, 2]))];
    const [plain] = evaluate(graphOf([xv, wv], [conv(xv, wv)]), [x, hostArray(wv.spec, dense)]);
    const plane = 5 * 7;
    expectClose(
      y,
      plain.data.map((v, i) => v + bias[Math.floor(i / plane) % 16]),
    );
  });

  test("each map of C3 sees maps of S2 as in table I", () => {
    expect(c3Table.map((seen) => seen.length)).toEqual([
      3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4, 6,
    ]);
    expect(
      [0, 1, 2, 3, 4, 5].map((channel) => c3Table.filter((seen) => seen.includes(channel)).length),
    ).toEqual([10, 10, 10, 10, 10, 10]);
    expect(new Set(c3Table.map(String)).size).toBe(16);
  });

  test("a table must name maps that there are", () => {
    expect(() => tableConv2d([[0], []], 3)).toThrow(
      "tableConv2d: output map 1 has no input map; each row of the table needs at least one",
    );
    expect(() => run(tableConv2d([[0, 2]], 1), draw([1, 2, 3, 3], "x"))).toThrow(
      "tableConv2d: the table reads input map 2, counted from 0, the input has 2 maps",
    );
  });

  test("subsampling multiplies the sum of each window by one weight a map and adds a bias", () => {
    const x = hostArray(
      spec([1, 2, 2, 4]),
      Float64Array.from({ length: 16 }, (_, i) => i),
    );
    const { y, weights } = run(subsample2d(2), x);
    const [w, b] = [weights.get("weight")!.data, weights.get("bias")!.data];
    expectClose(y, [10 * w[0] + b[0], 18 * w[0] + b[0], 42 * w[1] + b[1], 50 * w[1] + b[1]]);
  });

  test("radial basis functions score minus the squared distance, and their centers are kept and not trained", () => {
    const centers = [
      [1, -1, 0],
      [0, 0, 2],
    ];
    const x = hostArray(spec([2, 3]), Float64Array.from([1, -1, 0, 0.5, 0, 1]));
    const { y, weights } = run(rbf(centers), x);
    expectClose(y, [0, -6, -(0.25 + 1 + 1), -(0.25 + 0 + 1)]);
    expect([...weights.keys()]).toEqual(["centers"]);
    expect(() => run(rbf(centers), draw([1, 4], "x"))).toThrow(
      "rbf: input has shape 1×4, the centers have 3 features",
    );
  });

  test("the loss is equation (9), and finite where every distance is large", () => {
    const distances = [
      [0.5, 3, 40],
      [2, 1, 0.1],
    ];
    const labels = [0, 1];
    const of = (rows: readonly (readonly number[])[]) => {
      const [s, l]: Value[] = [input(spec([rows.length, 3])), input(spec([rows.length], "int32"))];
      const scores = hostArray(
        s.spec,
        Float64Array.from(rows.flat(), (d) => -d),
      );
      return evaluate(graphOf([s, l], [maximumAPosteriori(0.1)(s, l)]), [
        scores,
        hostArray(l.spec, Float64Array.from(labels.slice(0, rows.length))),
      ])[0].data[0];
    };
    const each = distances.map(
      (y, i) =>
        y[labels[i]] + Math.log(Math.exp(-0.1) + y.reduce((sum, d) => sum + Math.exp(-d), 0)),
    );
    expect(of(distances)).toBeCloseTo((each[0] + each[1]) / 2, 12);
    expect(of([[900, 900, 900]])).toBeCloseTo(900 - 0.1, 9);
  });
});
