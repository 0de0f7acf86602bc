// The command as people run it: help, refusals, and a short real run of Conv alone.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { models } from "@conv/layers/models";
import { inOneProcess } from "@conv/testkit/processes";
import { afterAll, expect, test, vi } from "vitest";
import type { NetworkResult, Result, TrainResult } from "../src/report/result.ts";

// processes that start processes, on a machine that does other things
vi.setConfig({ testTimeout: 120_000 });

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "conv-bench-"));
afterAll(() => rmSync(folder, { recursive: true }));
/** Measures for a short time; all runs share one process, but for those they start. */
const ask = inOneProcess(pathToFileURL(main), { COLUMNS: "100", CONV_BENCH_SHARE: "0.1" });
const bench = (...args: string[]) => ask(args);

test("--help lists options and examples", async () => {
  const { code, stdout } = await ask(["layers", "--help"]);
  expect(code).toBe(0);
  for (const option of [
    "--device",
    "--in",
    "--adapter",
    "--against",
    "--threads",
    "--set",
    "--filter",
    "--over",
    "--skip",
    "--seconds",
    "--from",
    "--direction",
    "--batch",
    "--rounds",
    "--flags",
    "--json",
    "--html",
    "Examples:",
  ])
    expect(stdout).toContain(option);
  const all = await ask(["--help"]);
  expect(all.code).toBe(0);
  expect(all.stdout).toContain("layers");
});

test.each([
  [["\u001b[2J"], "error: unknown command '\\u{1b}[2J'"],
  [["layers", "--rouns", "2"], "error: unknown option '--rouns' (Did you mean --rounds?)"],
  [
    ["layers", "--against", "ort-web,numpy"],
    `error: option '--against <names>' argument 'ort-web,numpy' is invalid. "numpy" is not one of all, ort-web, tfjs-wasm, jax-js, ort-node, torch, tfjs-webgpu, torch-f16, tfjs, jax, one-thread, conv-f16.`,
  ],
  [
    ["networks", "--models", "vgg61"],
    `error: option '--models <names>' argument 'vgg61' is invalid. "vgg61" is not one of ${Object.keys(models).join(", ")}.`,
  ],
  [
    ["layers", "--threads", "0"],
    "error: option '--threads <n>' argument '0' is invalid. It must be a whole number above 0.",
  ],
  [
    ["layers", "--filter", "\u001b[2J\n"],
    'no layer of resnet has a name that contains "\\u{1b}[2J\\u{a}"',
  ],
  [["layers", "--filter", "9x9"], 'no layer of resnet has a name that contains "9x9"'],
  [
    ["layers", "--filter", "7@", "--over", "0.2"],
    'no layer of resnet over 0.2 GMAC has a name that contains "7@"',
  ],
  [
    ["layers", "--over", "0"],
    "error: option '--over <gmac>' argument '0' is invalid. It must be a number above 0.",
  ],
  [
    ["train", "--against", "one-thread"],
    "--against one-thread compares Conv on more threads with itself: say how many by --threads",
  ],
  [
    ["layers", "--device", "gpu", "--threads", "2"],
    "--threads is of the CPU: a GPU takes as many as it has",
  ],
  [["layers", "--in", "browser"], "--in browser measures WebGPU: say --device gpu"],
  [
    ["layers", "--against", "torch-f16"],
    "torch-f16 does not run on the CPU: one-thread, ort-web, tfjs-wasm, jax-js, ort-node, torch do",
  ],
  [
    ["layers", "--device", "gpu", "--in", "browser", "--against", "ort-node"],
    "ort-node does not run in a browser: conv-f16, ort-web, tfjs-webgpu, jax-js do",
  ],
  [
    ["layers", "--set", "vgg"],
    "error: option '--set <name>' argument 'vgg' is invalid. Allowed choices are resnet, deepbench, onednn, all.",
  ],
])("%j is refused in one line", async (args, message) => {
  const { code, stdout, stderr } = await ask(args);
  expect(code).toBe(2);
  expect(stdout).toBe("");
  expect(stderr.split("\n")[0]).toBe(message);
});

test.each(["forward", "gradInput", "gradWeight"])(
  "a real run, %s: figures as JSON, a page that needs nothing else",
  async (direction) => {
    const [json, html] = [join(folder, `${direction}.json`), join(folder, `${direction}.html`)];
    const { code, stdout, stderr } = await bench(
      "layers",
      "--filter",
      "depthwise 3x3 512@14",
      "--rounds",
      "2",
      "--direction",
      direction,
      "--json",
      json,
      "--html",
      html,
    );
    expect(stderr).toBe("");
    expect(code).toBe(0);
    expect(stdout).toContain("depthwise 3×3 512@14");
    expect(stdout).toContain("| GFLOP/s ");
    const result: Result = JSON.parse(readFileSync(json, "utf8"));
    expect(Object.keys(result)).toEqual([
      "machine",
      "engine",
      "flags",
      "commit",
      "direction",
      "versions",
      "rows",
      "ratios",
      "declined",
    ]);
    expect(result.machine).toMatchObject({
      threads: 1,
      peak: { gflops: expect.any(Number), of: expect.stringContaining("in registers") },
    });
    expect(result.engine.node).toBe(process.versions.node);
    expect(result).toMatchObject({ flags: [], direction, ratios: {}, declined: [] });
    expect(result.rows).toHaveLength(1);
    const [row] = result.rows;
    const figures = [
      "medianMs",
      "p10Ms",
      "p90Ms",
      "gflops",
      "intensity",
      "percentOfPeak",
      "calls",
      "error",
    ].map((key) => [key, expect.any(Number)]);
    expect(row).toEqual({
      case: "depthwise 3×3 512@14",
      competitor: "conv",
      verified: true,
      kernels: [expect.any(String)],
      ...Object.fromEntries(figures),
    });
    expect(row.gflops).toBeCloseTo((2 * 512 * 14 * 14 * 9) / row.medianMs / 1e6, 9);
    expect(row.p10Ms).toBeLessThanOrEqual(row.medianMs);
    expect(row.medianMs).toBeLessThanOrEqual(row.p90Ms);
    const page = readFileSync(html, "utf8");
    expect(page).toContain("<svg");
    expect(page).toContain("depthwise 3×3 512@14");
    expect(page).toContain("FLOP a byte, if operands and result are moved once");
    expect(page).not.toMatch(/<(script|link|img)\b|(?:src|href)="(?!#)/);
  },
);

test("a refusal ends the process with code 2", () => {
  const { status, stderr } = spawnSync(process.execPath, [main, "layers", "--in", "browser"], {
    encoding: "utf8",
  });
  expect([status, stderr]).toEqual([2, "--in browser measures WebGPU: say --device gpu\n"]);
});

test("a set in pieces: what is left is said, and the pieces are shown as one", async () => {
  const files = [join(folder, "first.json"), join(folder, "second.json")];
  const piece = async (i: number, ...more: string[]) =>
    (await bench("layers", "--filter", "depthwise", "--rounds", "1", "--json", files[i], ...more))
      .stdout;
  expect((await piece(0, "--seconds", "0.001")).trimEnd().split("\n").at(-1)).toBe(
    "1 of 2 layers are done; --skip 1 goes on",
  );
  expect(await piece(1, "--skip", "1")).not.toContain("goes on");
  const { code, stdout, stderr } = await bench("layers", "--from", files.join());
  expect(stderr).toBe("");
  expect(code).toBe(0);
  expect(stdout.split("\n").map((line) => line.split("|")[1]?.trim())).toEqual(
    expect.arrayContaining(["depthwise 3×3 32@112", "depthwise 3×3 512@14"]),
  );
});

test("two threads against one: Conv twice, both verified", async () => {
  const json = join(folder, "threads.json");
  const { code, stdout, stderr } = await bench(
    "layers",
    "--threads",
    "2",
    "--against",
    "one-thread",
    "--filter",
    "512@7",
    "--over",
    "0.1",
    "--rounds",
    "2",
    "--json",
    json,
  );
  expect(stderr).toBe("");
  expect(code).toBe(0);
  expect(stdout).toContain("| GFLOP/s                        | conv | one-thread |");
  const { machine, rows, ratios, versions }: Result = JSON.parse(readFileSync(json, "utf8"));
  expect(machine.threads).toBe(2);
  expect(rows.map((r) => [r.case, r.competitor, r.verified])).toEqual([
    ["3×3 512@7", "conv", true],
    ["3×3 512@7", "one-thread", true],
  ]);
  expect(ratios["one-thread"]!.cases["3×3 512@7"]).toBeCloseTo(
    rows[1].medianMs / rows[0].medianMs,
    9,
  );
  expect(versions).toEqual({ conv: "of this commit", "one-thread": "of this commit" });
});

test("a network: verified, timed, and started in processes of their own", async () => {
  const json = join(folder, "networks.json");
  const { code, stdout, stderr } = await bench(
    "networks",
    "--models",
    "squeezenet1_1",
    "--rounds",
    "1",
    "--starts",
    "1",
    "--json",
    json,
  );
  expect(stderr).toBe("");
  expect(code).toBe(0);
  expect(stdout).toContain("| ms (p10–p90) ");
  expect(stdout).toContain("| compile and first run, ms ");
  const { rows }: NetworkResult = JSON.parse(readFileSync(json, "utf8"));
  expect(rows).toHaveLength(1);
  expect(rows[0]).toMatchObject({
    case: "squeezenet1_1",
    competitor: "conv",
    verified: true,
    startsMs: [expect.any(Number)],
  });
  expect(rows[0].error).toBeLessThan(1e-3);
  expect(rows[0].gflops).toBeCloseTo((2 * 349151936) / rows[0].medianMs / 1e6, 9);
});

test("a profile names steps and kernels", async () => {
  const { code, stdout } = await bench("networks", "--models", "squeezenet1_1", "--profile");
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^squeezenet1_1, batch 1, one thread: [\d.]+ ms; its \d+ steps one by one [\d.]+ ms\n/,
  );
  expect(stdout).toContain("| features.0 conv+add+relu 1×3×224×224 → 64×3×3×3 → 1×64×111×111 ");
  expect(stdout).toContain("| kernel ");
});

test("a training step of LeNet-5 lowers the loss", async () => {
  const [json, html] = [join(folder, "train.json"), join(folder, "train.html")];
  const { code, stdout, stderr } = await bench(
    "train",
    "--rounds",
    "2",
    "--batch",
    "16",
    "--json",
    json,
    "--html",
    html,
  );
  expect(stderr).toBe("");
  expect(code).toBe(0);
  expect(stdout).toContain("| lenet5 batch 16 ");
  const result: TrainResult = JSON.parse(readFileSync(json, "utf8"));
  expect(result.rows).toHaveLength(1);
  const [row] = result.rows;
  expect(row).toMatchObject({ case: "lenet5 batch 16", competitor: "conv", verified: true });
  expect(row.firstLoss).toBeCloseTo(Math.log(10), 0);
  expect(row.lastLoss).toBeLessThan(row.firstLoss);
  expect(row.imagesPerSecond).toBeCloseTo(16_000 / row.medianMs, 9);
  expect(readFileSync(html, "utf8")).toContain(
    "FLOP a byte, if operands and result are moved once",
  );
});
