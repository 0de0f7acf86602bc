// The fit of estimates: it finds prices again that synthetic times were made with, and the choices
// are counted right. Then a short real run.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { costs } from "@conv/kernels-cpu/explain";
import { inOneProcess } from "@conv/testkit/processes";
import { afterAll, expect, test } from "vitest";
import type { FitFile } from "../src/fit/bench-fit.ts";
import { fitCases, fitKinds } from "../src/fit/cases.ts";
import {
  asGood,
  choices,
  fitAll,
  predicted,
  unseenChoices,
  type MeasuredCase,
} from "../src/fit/judgement.ts";
import { fitPrices, nnls } from "../src/fit/nnls.ts";
import { costsSource, notesOf } from "../src/fit/source.ts";
import { random } from "../src/random.ts";

const next = random(7);
/** Amounts over four decades, as those of layers are. */
const amounts = (count: number) => Array.from({ length: count }, () => 10 ** (4 * next()));
const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, v, i) => sum + v * b[i], 0);

test("prices that made the times are found again", () => {
  const prices = [3e-9, 0, 2e-8, 5e-7];
  const samples = Array.from({ length: 60 }, () => amounts(4)).map((a) => ({
    amounts: a,
    seconds: dot(a, prices),
    weight: 0.1 + next(),
  }));
  fitPrices(samples).forEach((p, i) => expect(p).toBeCloseTo(prices[i], 14));
});

test("noise of a few percent moves them by a few percent, a few times that are far too long hardly more", () => {
  const prices = [3e-9, 4e-9, 2e-8];
  const samples = Array.from({ length: 200 }, () => amounts(3)).map((a, i) => ({
    amounts: a,
    seconds: dot(a, prices) * (0.97 + 0.06 * next()) * (i % 20 === 0 ? 3 : 1),
    weight: 1,
  }));
  fitPrices(samples).forEach((p, i) => expect(Math.abs(p / prices[i] - 1)).toBeLessThan(0.1));
});

test("no price is below zero, and what never occurs costs nothing", () => {
  // Unbounded, the second would be −1.
  // prettier-ignore
  expect(nnls([[1, 0.5, 0], [1, 0.25, 0], [0.5, 0, 0]], [1, 1, 1]).map((x) => x >= 0)).toEqual([true, true, true]);
  const [x, y, z] = nnls(
    [
      [2, 1, 0],
      [1, 0, 0],
    ],
    [1, 1],
  );
  expect([x, y, z]).toEqual([expect.closeTo(0.6, 9), 0, 0]);
});

const rows = {
  a: { products: 2, moved: 1, call: 500 },
  b: { products: 1, moved: 5, call: 200 },
};
const cases: MeasuredCase[] = Array.from({ length: 30 }, (_, i) => {
  const [a, b] = [amounts(2), amounts(2)].map(([products, moved]) => ({
    products: 100 * products,
    moved: 100 * moved,
    call: 1,
  }));
  return {
    kind: i % 2 ? "forward" : "gradInput",
    name: `${i}`,
    kernels: [
      { kernel: "a", amounts: a, seconds: predicted(a, rows.a), estimate: 1 },
      { kernel: "b", amounts: b, seconds: predicted(b, rows.b), estimate: 2 },
    ],
  };
});

test("choices by fitted costs are the best, those by the present estimates are what they are", () => {
  const prices = fitAll(cases);
  expect(prices).toEqual(rows);
  expect(asGood(choices(cases, prices))).toBe(30);
  const before = choices(cases);
  expect(before.map((c) => c.chosen)).toEqual(cases.map(() => "a"));
  const good = cases.filter(({ kernels: [a, b] }) => a.seconds <= 1.1 * b.seconds).length;
  expect(good).toBeLessThan(30);
  expect(asGood(before)).toBe(good);
  expect(asGood(unseenChoices(cases))).toBe(30);
  const [first] = before;
  const [a, b] = cases[0].kernels;
  expect(first).toEqual({
    kind: "gradInput",
    name: "0",
    chosen: "a",
    best: a.seconds < b.seconds ? "a" : "b",
    ratio: Math.max(1, a.seconds / b.seconds),
  });
});

test("a call costs 100 ns at the least, so that no estimate is 0", () => {
  const free = cases.map((c) => ({
    ...c,
    kernels: c.kernels.map((k) => ({ ...k, seconds: 1e-9 * k.amounts.products! })),
  }));
  expect(fitAll(free)).toMatchObject({ a: { call: 100 }, b: { call: 100 } });
});

test("kernels with too few samples keep their prices", () => {
  expect(fitAll(cases.slice(0, 11))).toEqual({});
});

test("the file of costs is what --write makes of its own contents", () => {
  const file = readFileSync(
    fileURLToPath(new URL("../../../packages/kernels-cpu/src/kernels/costs.ts", import.meta.url)),
    "utf8",
  );
  expect(costsSource(costs, notesOf(file))).toBe(file);
});

test("cases have names of their own, and the kinds take turns", () => {
  const all = fitCases("all", fitKinds);
  expect(new Set(all.map((c) => `${c.kind} ${c.name}`)).size).toBe(all.length);
  expect(all.slice(0, 4).map((c) => c.kind)).toEqual(fitKinds);
});

const folder = mkdtempSync(join(tmpdir(), "conv-fit-"));
afterAll(() => rmSync(folder, { recursive: true }));
const ask = inOneProcess(new URL("../src/main.ts", import.meta.url), {});
const bench = (...args: string[]) => ask(args);

test(
  "a real run measures, judges and writes times, which a later run reads",
  { timeout: 120_000 },
  async () => {
    const json = join(folder, "times.json");
    const filter = ["--filter", "depthwise 3x3 512@14", "--rounds", "1"];
    const { code, stdout, stderr } = await bench("fit", ...filter, "--json", json);
    expect(stderr).toBe("");
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^plain, 3 cases\n\nThe chosen kernel is within 10 % of the best measured one/,
    );
    const file: FitFile = JSON.parse(readFileSync(json, "utf8"));
    expect(file).toMatchObject({ node: process.versions.node, simd256: false });
    expect(file.times.map((t) => t.kind)).toEqual(["forward", "gradInput", "gradWeight"]);
    expect(Object.keys(file.times[0].seconds)).toEqual(
      expect.arrayContaining(["depthwise", "igemm", "direct", "winograd2d6"]),
    );
    const again = await bench("fit", "--from", json);
    expect(again.code).toBe(0);
    expect(again.stdout).toBe(stdout);
  },
);

test("--help has examples, and what it does not know is refused in one line", async () => {
  expect((await bench("fit", "--help")).stdout).toMatch(
    /Usage: bench fit [\s\S]*--write[\s\S]*Examples:\n {2}bench fit --sample 40 /,
  );
  expect(await bench("fit", "--kinds", "sideways")).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(
      /^error: option '--kinds <names>' argument 'sideways' is invalid\. "sideways" is not one of forward, gradInput, gradWeight, matmul\.\n/,
    ),
  });
  expect(await bench("fit", "--filter", "9x9x9")).toMatchObject({
    code: 2,
    stdout: "",
    stderr: 'no case of all has a name that contains "9x9x9"\n',
  });
});
