import { expect, test } from "vitest";
import { joined, ratiosOf, type Result, type Row } from "../src/report/result.ts";
import {
  caseText,
  describe,
  hardestText,
  networksTable,
  summaryTable,
} from "../src/report/text.ts";

const row = (
  name: string,
  competitor: Row["competitor"],
  medianMs: number,
  verified = true,
): Row => ({
  case: name,
  competitor,
  medianMs,
  p10Ms: medianMs * 0.9,
  p90Ms: medianMs * 1.1,
  gflops: 100 / medianMs,
  intensity: 10,
  percentOfPeak: 50,
  calls: 9,
  verified,
  error: verified ? 1.5 : null,
  reason: verified ? undefined : "output 0 is NaN",
  kernels: [],
});
const rows = [
  row("a", "conv", 1),
  row("a", "torch", 2),
  row("a", "ort-web", 9, false),
  row("b", "conv", 4),
  row("b", "torch", 2),
  row("b", "ort-web", 16),
];

test("ratios are time of the peer by time of Conv, where both answers stood", () => {
  expect(ratiosOf(rows)).toEqual({
    torch: { geometricMean: 1, cases: { a: 2, b: 0.5 } },
    "ort-web": { geometricMean: 4, cases: { b: 4 } },
  });
  expect(ratiosOf([row("a", "conv", 1, false), row("a", "torch", 2)])).toEqual({});
});

test("the summary is a table", () => {
  expect(summaryTable({ rows, ratios: ratiosOf(rows) })).toBe(
    [
      "| GFLOP/s                        | conv | torch | ort-web |",
      "|--------------------------------|-----:|------:|--------:|",
      "| a                              |  100 |  50.0 | refused |",
      "| b                              | 25.0 |  50.0 |    6.25 |",
      "| time / conv's (geometric mean) |      | 1.00× |   4.00× |",
    ].join("\n"),
  );
});

test("a case names times, speeds, ratios, refusals and who declined", () => {
  const text = caseText("a", rows.slice(0, 3), [
    { case: "a", competitor: "jax-js", reason: "too hard" },
  ])
    // oxlint-disable-next-line no-control-regex -- colors are not what is tested
    .replaceAll(/\x1b\[\d+m/g, "");
  expect(text.split("\n")).toEqual([
    "a",
    "  conv         1.00 ms (0.900–1.10)        100 GFLOP/s   50 %",
    "  torch        2.00 ms (1.80–2.20)        50.0 GFLOP/s   50 %   conv is 2.00× as fast",
    "  ort-web      9.00 ms (8.10–9.90)      REFUSED: output 0 is NaN",
    "  jax-js     —  too hard",
  ]);
});

test("networks are two tables, of runs and of starts", () => {
  const networks = [
    { ...row("a", "conv", 10), startsMs: [100, 300, 200] },
    { ...row("a", "ort-web", 30), startsMs: [100] },
    { ...row("b", "conv", 20), startsMs: [50] },
  ];
  const starts = networks.map((r) => ({ ...r, medianMs: [200, 100, 50][networks.indexOf(r)] }));
  expect(
    networksTable({ rows: networks, ratios: ratiosOf(networks), startRatios: ratiosOf(starts) }),
  ).toBe(
    [
      "| ms (p10–p90)   |             conv |          ort-web | ort-web / conv |",
      "|----------------|-----------------:|-----------------:|---------------:|",
      "| a              | 10.0 (9.00–11.0) | 30.0 (27.0–33.0) |          3.00× |",
      "| b              | 20.0 (18.0–22.0) |                — |              — |",
      "| geometric mean |                  |                  |          3.00× |",
      "",
      "| compile and first run, ms | conv | ort-web | ort-web / conv |",
      "|---------------------------|-----:|--------:|---------------:|",
      "| a                         |  200 |     100 |          0.50× |",
      "| b                         | 50.0 |       — |              — |",
      "| geometric mean            |      |         |          0.50× |",
    ].join("\n"),
  );
});

test("the hardest case, and those on which Conv is behind the fastest other, with its kernels", () => {
  const all = [
    ...rows,
    row("c", "conv", 1),
    row("c", "ort-web", 3),
    row("c", "torch", 1.5),
    row("d", "conv", 1),
  ];
  const text = (some: readonly Row[]) =>
    hardestText({ rows: some.map((r) => ({ ...r, kernels: ["igemm"] })), ratios: ratiosOf(some) });
  expect(text(all)).toBe(
    [
      "Time of the fastest other / conv's on 3 cases: 1.14× (geometric mean), at the worst b 0.50× (torch; igemm)",
      "Behind on 1:",
      "  b 0.50× (torch; igemm)",
    ].join("\n"),
  );
  expect(text([row("c", "conv", 1), row("c", "torch", 3)])).toBe(
    "Time of the fastest other / conv's on 1 cases: 3.00× (geometric mean), at the worst c 3.00× (torch; igemm)",
  );
  expect(text([row("a", "conv", 1)])).toBe("");
});

test("runs in pieces are joined: the ratios are those of all rows", () => {
  const run = (some: readonly Row[], reason: string): Result => ({
    machine: {
      cpu: "a",
      cores: 2,
      memoryGiB: 1,
      system: "b",
      threads: 1,
      peak: { gflops: 1, of: "c", bandwidth: 1 },
      peaks: [],
    },
    engine: { node: "1", v8: "2" },
    flags: [],
    commit: "d",
    direction: "forward",
    versions: {},
    rows: some,
    ratios: ratiosOf(some),
    declined: [{ case: "a", competitor: "jax-js", reason }],
  });
  const pieces = [run(rows.slice(0, 3), "first"), run(rows.slice(3), "second")];
  const whole = joined(pieces);
  expect(whole).toMatchObject({ commit: "d", rows, ratios: ratiosOf(rows) });
  expect(whole.declined.map((d) => d.reason)).toEqual(["first", "second"]);
});

test("on a GPU the adapter, what brought it and its bandwidth are named, and the clock of the device beside the time", () => {
  const peaks = [
    { gflops: 20, bandwidth: 3, of: "fma in registers, f32" },
    { gflops: 40, bandwidth: 3, of: "fma in registers, f16" },
  ];
  const machine = {
    cpu: "a",
    cores: 2,
    memoryGiB: 1,
    system: "b",
    threads: 1,
    gpu: { adapter: "c", through: "d" },
    peak: peaks[0],
    peaks,
  };
  expect(describe(machine, "24").split("\n")).toEqual([
    "c, through d",
    "a, 2 cores, 1 GiB, b, Node 24",
    "peak 20.0 GFLOP/s: fma in registers, f32 (percentages are of this); 3.0 GB/s copied",
    "peak 40.0 GFLOP/s: fma in registers, f16",
  ]);
  const text = caseText(
    "a",
    [
      { ...row("a", "conv", 1), deviceMs: 0.5, kernels: ["winograd2d4"] },
      row("a", "tfjs-webgpu", 2),
    ],
    [],
  );
  expect(text.split("\n").slice(1)).toEqual([
    "  conv           1.00 ms (0.900–1.10)        100 GFLOP/s   50 %   winograd2d4   0.500 ms by the clock of the device",
    "  tfjs-webgpu    2.00 ms (1.80–2.20)        50.0 GFLOP/s   50 %   conv is 2.00× as fast",
  ]);
});
