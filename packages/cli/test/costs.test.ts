// `conv compare`, `conv receptive` and `conv suggest`: what they print.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { folder, inOneProcess, onCpu } from "./run.ts";

const cwd = folder();
const conv = inOneProcess();

const run = async (...args: string[]) => {
  const { code, stdout, stderr } = await conv(args, cwd);
  expect({ code, stderr }).toEqual({ code: 0, stderr: args.includes("--threads") ? onCpu(1) : "" });
  return stdout;
};
/** Lines of a table as cells. */
const cells = (text: string) => text.split("\n").map((line) => line.trim().split(/ {2,}/));

describe("conv compare", { timeout: 60_000 }, () => {
  it("puts two networks side by side", async () => {
    const rows = cells(await run("compare", "lenet5", "lenet5_1998"));
    expect(rows.slice(0, 4)).toEqual([
      ["lenet5", "lenet5_1998", "ratio"],
      ["input", "1×1×28×28", "1×1×32×32"],
      ["parameters", "61,706", "60,000", "0.972"],
      ["trainable", "61,706", "60,000", "0.972"],
    ]);
    expect(rows).toContainEqual(["operations (flops2)", "833,040", "651,360", "0.782"]);
    expect(rows).toContainEqual(["buffers", "0", "840", "–"]);
  });
  it("prints JSON", async () => {
    const { a, b, inputs, counts } = JSON.parse(
      await run("compare", "resnet18", "resnet34", "--batch", "2", "--json"),
    );
    expect({ a, b, inputs }).toEqual({
      a: "resnet18",
      b: "resnet34",
      inputs: [
        [2, 3, 224, 224],
        [2, 3, 224, 224],
      ],
    });
    expect(counts.find((c: { key: string }) => c.key === "operations (torchvision)")).toMatchObject(
      { a: 2 * 1_814_073_344, b: 2 * 3_663_761_408 },
    );
  });
});

describe("conv receptive", { timeout: 60_000 }, () => {
  it("prints what each layer sees", async () => {
    const rows = cells(await run("receptive", "lenet5"));
    expect(rows.slice(0, 7)).toEqual([
      ["lenet5, input 1×1×28×28"],
      [""],
      ["layer", "output", "size", "jump", "start"],
      ["c1", "1×6×28×28", "5×5", "1×1", "−2×−2"],
      ["s2", "1×6×14×14", "6×6", "2×2", "−2×−2"],
      ["c3", "1×16×10×10", "14×14", "2×2", "−2×−2"],
      ["s4", "1×16×5×5", "16×16", "4×4", "−2×−2"],
    ]);
  });
  it("prints the region behind a unit, and what of it counts", async () => {
    const rows = cells(await run("receptive", "resnet8", "--at", "layer1.0", "--unit", "0x5"));
    expect(rows).toContainEqual(["unit", "0×5"]);
    expect(rows).toContainEqual(["input region", "0 to 3 × 2 to 8"]);
    const { effective, region, field } = JSON.parse(
      await run(
        "receptive",
        "resnet8",
        "--at",
        "layer1.0",
        "--effective",
        "--threads",
        "1",
        "--json",
      ),
    );
    expect(field[0]).toEqual({ size: 7, jump: 1, start: -3 });
    expect(region[0].count).toBe(7);
    expect(effective.map).toHaveLength(effective.shape[0] * effective.shape[1]);
    expect(effective.deviation[0]).toBeGreaterThan(0.8);
    expect(effective.deviation[0]).toBeLessThan(2);
  });
});

describe("conv suggest", { timeout: 60_000 }, () => {
  it("lists what could replace a layer", async () => {
    const rows = cells(await run("suggest", "256x100x100", "3x3", "256"));
    expect(rows.slice(0, 5)).toEqual([
      ["256×100×100 → 256×100×100, one sample"],
      [""],
      ["parameters", "MACs", "%", "values", "memory", "field"],
      ["direct", "589,824", "5,898,240,000", "100", "2,560,000", "21.8 MiB", "3×3"],
      ["1×1 before", "163,840", "1,638,400,000", "28", "3,200,000", "22.6 MiB", "3×3"],
    ]);
    expect(rows).toContainEqual(["depthwise separable", "3×3 → 256 (256 groups), 1×1 → 256"]);
  });
  it("takes stride, padding, groups and any number of axes", async () => {
    const list = JSON.parse(
      await run(
        "suggest",
        "16x100",
        "5",
        "32",
        "--stride",
        "2",
        "--padding",
        "0",
        "--bias",
        "--json",
      ),
    );
    expect(list[0]).toMatchObject({
      name: "direct",
      output: [32, 48],
      parameters: 16 * 32 * 5 + 32,
    });
    expect(list.map((a: { name: string }) => a.name)).toContain("stacked 3");
  });
});

it("no back end and nothing that draws is loaded to tell costs", { timeout: 60_000 }, async () => {
  const log = "process.stderr.write(s + String.fromCharCode(10))";
  const hooks = `import { registerHooks } from "node:module"; registerHooks({ resolve(s, c, next) { ${log}; return next(s, c); } })`;
  const bin = fileURLToPath(new URL("../src/bin.ts", import.meta.url));
  const told = await promisify(execFile)(
    process.execPath,
    ["--import", `data:text/javascript,${hooks}`, bin, "summary", "resnet18"],
    { cwd },
  );
  const loaded = told.stderr.split("\n");
  expect(loaded).toContain("@conv/analysis");
  expect(loaded.filter((name) => /kernels|vega|sharp/.test(name))).toEqual([]);
});
