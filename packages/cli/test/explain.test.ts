// `conv explain`: the table of candidates, the sentence that says why, and the JSON that scripts
// read.

import { describe, expect, it } from "vitest";
import { folder, inOneProcess } from "./run.ts";

const cwd = folder();
const conv = inOneProcess();

async function explain(args: string): Promise<string> {
  const { code, stdout, stderr } = await conv(["explain", ...args.split(" ")], cwd);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout;
}

describe("conv explain", { timeout: 60_000 }, () => {
  it("prints geometry, candidates in order, why the first is chosen, and why others cannot compute it", async () => {
    const lines = (await explain("64x56x56 3x3 64 --padding same --threads 1")).split("\n");
    expect(lines[0]).toBe(
      "conv of 1×64×56×56 by 64×64×3×3; output 1×64×56×56, 115,605,504 multiply-accumulates; one thread",
    );
    expect(lines[2]).toMatch(
      /^kernel +estimate +products +elements +bytes +edges +call +roundoff$/,
    );
    const table = lines.slice(
      3,
      lines.findIndex((line) => line.startsWith("estimates in ms, and their parts")),
    );
    const names = table.map((line) => line.split(" ")[0]);
    expect(names.toSorted()).toEqual([
      "igemm",
      "winograd1d6",
      "winograd1d8",
      "winograd2d4",
      "winograd2d6",
      "winograd2d8",
    ]);
    const estimates = table.map((line) => Number(line.split(/ +/)[1]));
    expect(estimates).toEqual(estimates.toSorted((a, b) => a - b));
    const chosen = lines.findIndex((line) => line.includes("is chosen"));
    expect(
      lines
        .slice(chosen, lines.indexOf("", chosen))
        .map((line) => line.trim())
        .join(" "),
    ).toMatch(
      new RegExp(
        `^${names[0]} is chosen: it is estimated to be [\\d.]+ times as fast as ${names[1]}; most is saved .+, [\\d.]+ ms instead of [\\d.]+\\.$`,
      ),
    );
    expect(lines).toContain("  direct     keeps at most 18 output channels per group, not 64");
    const others = lines
      .slice(lines.findIndex((line) => line.startsWith("Kernels of other ops: ")))
      .join(" ");
    for (const kernel of ["gradWeight", "matmul", "softmax"]) expect(others).toContain(kernel);
    expect(Math.max(...table.map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  it("measures each candidate", async () => {
    const text = await explain("8x12x12 3 8 --groups 8 --threads 1 --measure");
    expect(text).toMatch(/^kernel +estimate +measured /m);
    expect(text).toMatch(
      /^(It is also the fastest measured\.|The fastest measured is \w+; \w+ takes \d+ % longer\.)$/m,
    );
  });

  it("says so where only one kernel can compute it", async () => {
    expect(await explain("32x9x9 1 32 --stride 2 --threads 1")).toContain(
      "igemm is chosen: no other kernel can compute it.",
    );
  });

  it("prints JSON: geometry, candidates in parts, reasons", async () => {
    const found = JSON.parse(
      await explain(
        "4x6x6x6 3 8 --padding 1 --batch 2 --direction gradInput --threads 1 --measure --json",
      ),
    );
    expect(Object.keys(found)).toEqual([
      "direction",
      "geometry",
      "output",
      "macs",
      "caps",
      "chosen",
      "candidates",
      "declined",
    ]);
    expect(found).toMatchObject({
      direction: "gradInput",
      output: [2, 4, 6, 6, 6],
      caps: { threads: 1, simd256: false },
    });
    expect(found.geometry).toMatchObject({
      n: 2,
      ic: 4,
      oc: 8,
      kernel: [3, 3, 3],
      stride: [1, 1, 1],
      padLo: [1, 1, 1],
    });
    expect(found.candidates[0]).toEqual({
      kernel: found.chosen,
      estimate: expect.any(Number),
      parts: expect.arrayContaining([
        { kind: "products", amount: expect.any(Number), seconds: expect.any(Number) },
      ]),
      ...(found.chosen.startsWith("winograd") ? { roundoff: expect.any(Number) } : {}),
      measured: expect.any(Number),
    });
    expect(found.declined).toContainEqual({
      kernel: "softmax",
      reason: "computes softmax, logSoftmax",
      foreign: true,
    });
  });
});
