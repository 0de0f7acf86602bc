// `conv train` as a process, on real digits: what it prints and writes, that it learns, that Ctrl-C loses nothing, and that a
// training that was interrupted ends with the very weights of one that was not.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { decodeSafetensors } from "@conv/layers";
import { describe, expect, it } from "vitest";
import { conv, folder, list } from "./run.ts";

const cwd = folder();

const read = async (file: string) => decodeSafetensors(await readFile(join(cwd, file)));
const tensors = async (file: string) =>
  [...(await read(file)).state].map(([name, { shape, data }]) => ({ name, shape, data: Buffer.from(data.buffer).toString("base64") }));
const train = (args = "") => conv(`train lenet5 ${args}`.trim().split(" "), cwd);

describe("conv train", { timeout: 480_000 }, () => {
  it("learns 97.5 % of the held-out digits in ten epochs, and says how it goes", async () => {
    const { code, stdout, stderr } = await train();
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const lines = stdout.trimEnd().split("\n");
    expect(lines.slice(0, 2)).toEqual(["         training            held out", "epoch      loss  accuracy      loss  accuracy      time  images/s"]);
    const measured = "  +\\d\\.\\d{4}  +\\d+\\.\\d %";
    for (let epoch = 1; epoch <= 10; epoch++) expect(lines[epoch + 1]).toMatch(new RegExp(`^ *${epoch}/10${measured}${measured} .* s  +[\\d,]+$`));
    expect(lines.slice(12, 15)).toEqual([
      "",
      "      taken for",
      `digit ${[0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((d) => `${d}`.padStart(5)).join("")}   right`,
    ]);
    const [, accuracy] = lines.at(-2)?.match(/^(\d\d\.\d) % of 2,000 held-out digits recognised$/) ?? [];
    expect(Number(accuracy)).toBeGreaterThanOrEqual(97.5);
    expect(lines[11]).toContain(` ${accuracy} % `);
    expect(lines.slice(-1)).toEqual(["model lenet5.safetensors, learning curve lenet5.svg"]);
    expect(await list(cwd)).toEqual(["lenet5.safetensors", "lenet5.svg"]);
    const svg = await readFile(join(cwd, "lenet5.svg"), "utf8");
    expect(svg).toMatch(/^<svg [\s\S]*lenet5 · \d\d\.\d % of 2,000 held-out digits[\s\S]*<\/svg>$/);
    const { state, metadata } = await read("lenet5.safetensors");
    expect(metadata.model).toBe("lenet5");
    expect([...state.values()].every(({ data }) => data.every(Number.isFinite))).toBe(true);
  });

  it("prints one JSON document and nothing else", async () => {
    const { code, stdout, stderr } = await train("--epochs 1 --limit 4000 --seed 3 --threads 1 --json --out j.safetensors");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const { epochs, test, ...rest } = JSON.parse(stdout);
    expect(rest).toEqual({
      model: "lenet5",
      file: "j.safetensors",
      curve: "j.svg",
      interrupted: false,
      recipe: { epochs: 1, batch: 64, optimizer: "adam", lr: 0.003, seed: 3, limit: 4000 },
    });
    expect(epochs).toHaveLength(1);
    expect(test.count).toBe(2000);
    expect(test.confusion.map((row: number[]) => row.reduce((a, b) => a + b))).toEqual([218, 216, 188, 200, 220, 180, 206, 224, 176, 172]);
    expect(test.confusion.reduce((sum: number, row: number[], digit: number) => sum + row[digit], 0) / 2000).toBe(test.accuracy);
    expect(epochs[0].test).toEqual({ loss: test.loss, accuracy: test.accuracy });
    expect(test.accuracy).toBeGreaterThan(0.8);
  });

  it("goes on from a file to bit-identical weights", async () => {
    const options = "--limit 700 --batch 50 --optimizer sgd --lr 0.01";
    await train(`--epochs 2 ${options} --out straight.safetensors`);
    await train(`--epochs 1 ${options} --out half.safetensors`);
    const { code, stdout } = await train("--epochs 2 --resume half.safetensors --out whole.safetensors --json");
    expect(code).toBe(0);
    expect(await tensors("whole.safetensors")).toEqual(await tensors("straight.safetensors"));
    const { epochs, recipe } = JSON.parse(stdout);
    expect(epochs.map((e: { epoch: number }) => e.epoch)).toEqual([1, 2]);
    expect(recipe).toEqual({ epochs: 2, batch: 50, optimizer: "sgd", lr: 0.01, seed: 0, limit: 700 });
  });

  it("saves on Ctrl-C in the middle of an epoch and goes on to bit-identical weights", async () => {
    await train("--epochs 3 --limit 3000 --out undisturbed.safetensors");
    let sent = false;
    const { code, stdout, stderr } = await conv("train lenet5 --epochs 3 --limit 3000 --out stopped.safetensors".split(" "), cwd, (text, kill) => {
      if (sent || !text.includes("1/3")) return;
      sent = true;
      setTimeout(() => kill("SIGINT"), 100);
    });
    expect(code).toBe(130);
    expect(stderr).toMatch(/^interrupted in epoch [23] after step \d+; to go on: conv train lenet5 --resume stopped.safetensors\n$/);
    expect(stdout).toMatch(/\nmodel stopped.safetensors, learning curve stopped.svg\n$/);
    expect((await list(cwd)).filter((name) => name.startsWith("stopped"))).toEqual(["stopped.safetensors", "stopped.svg"]);
    expect(await tensors("stopped.safetensors")).not.toEqual(await tensors("undisturbed.safetensors"));
    expect((await train("--resume stopped.safetensors")).code).toBe(0);
    expect(await tensors("stopped.safetensors")).toEqual(await tensors("undisturbed.safetensors"));
  });

  it("refuses to go on with other options, or with nothing left to do", async () => {
    const before = await readFile(join(cwd, "half.safetensors"));
    const refused = async (args = "") => {
      const { code, stdout, stderr } = await train(`--resume half.safetensors ${args}`);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      return stderr;
    };
    expect(await refused("--batch 64 --epochs 2")).toBe("error: half.safetensors: it was begun with --batch 50 and can't go on with 64\n");
    expect(await refused("--optimizer adam")).toBe("error: half.safetensors: it was begun with --optimizer sgd and can't go on with adam\n");
    expect(await refused()).toBe("error: half.safetensors: it has had 1 of 1 epochs; --epochs 2 or more goes on\n");
    expect(await readFile(join(cwd, "half.safetensors"))).toEqual(before);
  });

  it("says when the loss is lost, and keeps what it had saved", async () => {
    const { code, stderr } = await train("--epochs 1 --limit 640 --optimizer sgd --lr 1e30 --out lost.safetensors");
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: train: the loss is (NaN|Infinity) at epoch 1, step \d+; a lower learning rate than 1e\+30 may help\n$/);
    expect((await list(cwd)).filter((name) => name.startsWith("lost"))).toEqual([]);
  });

  it("trains the net of 1998", async () => {
    const { code, stdout } = await conv("train lenet5_1998 --epochs 2 --limit 4000 --json".split(" "), cwd);
    expect(code).toBe(0);
    const { test, file } = JSON.parse(stdout);
    expect(file).toBe("lenet5_1998.safetensors");
    expect(test.accuracy).toBeGreaterThan(0.4);
  });
});
