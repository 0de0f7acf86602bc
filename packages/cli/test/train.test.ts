// `conv train` as a process, on real digits: what it prints and writes, that it learns, that Ctrl-C
// loses nothing, and that a training that was interrupted ends with the very weights of one that
// was not.

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { decodeSafetensors } from "@conv/layers";
import { describe, expect, it } from "vitest";
import { loadDigits } from "../src/digits.ts";
import { conv, folder, inOneProcess, list, onCpu } from "./run.ts";

const cwd = folder();
const again = inOneProcess();

const read = async (file: string) => decodeSafetensors(await readFile(join(cwd, file)));
const tensors = async (file: string) =>
  [...(await read(file)).state].map(([name, { shape, data }]) => ({
    name,
    shape,
    data: Buffer.from(data.buffer).toString("base64"),
  }));
const train = (args: string) => again(`train lenet5 --threads 1 ${args}`.trim().split(" "), cwd);
/**
 * A training in a process of its own, which is sent SIGINT once it has printed `row`; `delay` is in
 * milliseconds.
 */
const interrupted = (args: string, row: string, delay: number) => {
  let sent = false;
  return conv(`train lenet5 --threads 1 ${args}`.split(" "), cwd, (text, kill) => {
    if (sent || !text.includes(row)) return;
    sent = true;
    setTimeout(() => kill("SIGINT"), delay);
  });
};

/** The recipe where nothing is said. */
const plain = {
  epochs: 10,
  batch: 64,
  optimizer: "adam",
  lr: 0.003,
  schedule: "decay",
  warmup: 0,
  weightDecay: 0,
  augment: "",
  labelSmoothing: 0,
  clip: 0,
  accumulate: 1,
  average: 0,
  seed: 0,
  limit: 0,
  data: "",
};

describe("conv train", { timeout: 480_000 }, () => {
  it("reaches 97 % on the validation set in four epochs, and reports its progress", async () => {
    const { code, stdout, stderr } = await conv("train lenet5 --epochs 4".split(" "), cwd);
    expect({ code, stderr }).toEqual({ code: 0, stderr: onCpu() });
    const lines = stdout.trimEnd().split("\n");
    expect(lines.slice(0, 2)).toEqual([
      "         training          validation",
      "epoch      loss  accuracy      loss  accuracy      time  images/s",
    ]);
    const measured = "  +\\d\\.\\d{4}  +\\d+\\.\\d %";
    for (let epoch = 1; epoch <= 4; epoch++)
      expect(lines[epoch + 1]).toMatch(
        new RegExp(`^ *${epoch}/4${measured}${measured} .* s  +[\\d,]+$`),
      );
    expect(lines.slice(6, 9)).toEqual([
      "",
      "      predicted",
      `digit ${[0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((d) => `${d}`.padStart(5)).join("")} correct`,
    ]);
    const [, accuracy] =
      lines.at(-2)?.match(/^validation accuracy (\d\d\.\d) % on 2,000 digits$/) ?? [];
    expect(Number(accuracy)).toBeGreaterThanOrEqual(97);
    expect(lines[5]).toContain(` ${accuracy} % `);
    expect(lines.slice(-1)).toEqual(["model lenet5.safetensors, learning curve lenet5.svg"]);
    expect(await list(cwd)).toEqual(["lenet5.safetensors", "lenet5.svg"]);
    const svg = await readFile(join(cwd, "lenet5.svg"), "utf8");
    expect(svg).toMatch(
      /^<svg [\s\S]*lenet5 · validation accuracy \d\d\.\d % on 2,000 digits[\s\S]*<\/svg>$/,
    );
    const { state, metadata } = await read("lenet5.safetensors");
    expect(metadata.model).toBe("lenet5");
    expect([...state.values()].every(({ data }) => data.every(Number.isFinite))).toBe(true);
  });

  it("prints one JSON document and nothing else", async () => {
    const { code, stdout, stderr } = await train(
      "--epochs 1 --limit 4000 --seed 3 --json --out j.safetensors",
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: onCpu(1) });
    const { epochs, test, ...rest } = JSON.parse(stdout);
    expect(rest).toEqual({
      model: "lenet5",
      file: "j.safetensors",
      curve: "j.svg",
      interrupted: false,
      recipe: { ...plain, epochs: 1, seed: 3, limit: 4000 },
    });
    expect(epochs).toHaveLength(1);
    expect(test.count).toBe(2000);
    expect(test.confusion.map((row: number[]) => row.reduce((a, b) => a + b))).toEqual([
      218, 216, 188, 200, 220, 180, 206, 224, 176, 172,
    ]);
    expect(
      test.confusion.reduce((sum: number, row: number[], digit: number) => sum + row[digit], 0) /
        2000,
    ).toBe(test.accuracy);
    expect(epochs[0].test).toEqual({ loss: test.loss, accuracy: test.accuracy });
    expect(test.accuracy).toBeGreaterThan(0.8);
  });

  it("continues from a file to bit-identical weights", async () => {
    const options = "--limit 700 --batch 50 --optimizer sgd --lr 0.01";
    await train(`--epochs 2 ${options} --out straight.safetensors`);
    await train(`--epochs 1 ${options} --out half.safetensors`);
    const { code, stdout } = await train(
      "--epochs 2 --resume half.safetensors --out whole.safetensors --json",
    );
    expect(code).toBe(0);
    expect(await tensors("whole.safetensors")).toEqual(await tensors("straight.safetensors"));
    const { epochs, recipe } = JSON.parse(stdout);
    expect(epochs.map((e: { epoch: number }) => e.epoch)).toEqual([1, 2]);
    expect(recipe).toEqual({
      ...plain,
      ...{ epochs: 2, batch: 50, optimizer: "sgd", lr: 0.01, limit: 700 },
    });
  });

  it("saves on Ctrl-C in the middle of an epoch and continues to bit-identical weights", async () => {
    const options = "--limit 800 --batch 32 --epochs 7";
    await train(`${options} --out undisturbed.safetensors`);
    const { code, stdout, stderr } = await interrupted(
      `${options} --out stopped.safetensors`,
      "2/7",
      20,
    );
    expect(code).toBe(130);
    expect(stderr.replace(onCpu(1), "")).toMatch(
      /^interrupted in epoch [3-7] after step \d+; to continue: conv train lenet5 --resume stopped.safetensors\n$/,
    );
    expect(stdout).toMatch(/\nmodel stopped.safetensors, learning curve stopped.svg\n$/);
    expect((await list(cwd)).filter((name) => name.startsWith("stopped"))).toEqual([
      "stopped.safetensors",
      "stopped.svg",
    ]);
    expect(await tensors("stopped.safetensors")).not.toEqual(
      await tensors("undisturbed.safetensors"),
    );
    expect((await train("--resume stopped.safetensors")).code).toBe(0);
    expect(await tensors("stopped.safetensors")).toEqual(await tensors("undisturbed.safetensors"));
  });

  it("refuses to continue with other options, or with nothing left to do", async () => {
    const before = await readFile(join(cwd, "half.safetensors"));
    const resumed = async (args = "") => {
      const { code, stdout, stderr } = await train(`--resume half.safetensors ${args}`);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      return stderr;
    };
    expect(await resumed("--batch 64 --epochs 2")).toBe(
      "error: half.safetensors: was started with --batch 50 and cannot continue with 64\n",
    );
    expect(await resumed("--optimizer adam")).toBe(
      "error: half.safetensors: was started with --optimizer sgd and cannot continue with adam\n",
    );
    expect(await resumed()).toBe(
      "error: half.safetensors: has had 1 of 1 epochs; continue with --epochs 2 or more\n",
    );
    expect(await readFile(join(cwd, "half.safetensors"))).toEqual(before);
  });

  it("says when the loss is lost, and keeps what it had saved", async () => {
    const { code, stderr } = await train(
      "--epochs 1 --limit 640 --optimizer sgd --lr 1e30 --out lost.safetensors",
    );
    expect(code).toBe(1);
    expect(stderr.replace(onCpu(1), "")).toMatch(
      /^error: train: (the loss is (NaN|Infinity)|a gradient is not finite) at epoch 1, step \d+, first in \w+ \(\w+, \w+\); a lower learning rate than 1e\+30 may help; nothing was written\n$/,
    );
    expect((await list(cwd)).filter((name) => name.startsWith("lost"))).toEqual([]);
  });

  it("continues to bit-identical weights with every option, and keeps the best", async () => {
    const options =
      "--limit 400 --batch 50 --optimizer adamw --schedule one-cycle --warmup 3 --weight-decay 0.01 --augment shift:1,rotate:5,scale,shear,crop:1,flip:0.2,cutout:4 " +
      "--label-smoothing 0.1 --clip 1 --accumulate 3 --average 0.99 --epochs 2";
    await train(`${options} --out every.safetensors --best best.safetensors`);
    const stopped = await interrupted(`${options} --out part.safetensors`, "1/2", 0);
    if (stopped.code === 130) expect((await train("--resume part.safetensors")).code).toBe(0);
    expect(await tensors("part.safetensors")).toEqual(await tensors("every.safetensors"));
    expect((await read("best.safetensors")).metadata.model).toBe("lenet5");
    const resumed = async (args: string) =>
      (await train(`--resume every.safetensors ${args}`)).stderr;
    expect(await resumed("--augment flip")).toBe(
      "error: every.safetensors: was started with --augment shift:1,rotate:5,scale,shear,crop:1,flip:0.2,cutout:4 and cannot continue with flip\n",
    );
    expect(await resumed("--epochs 3")).toBe(
      "error: every.safetensors: its --schedule one-cycle is for --epochs 2 and cannot continue to 3\n",
    );
  });

  it("trains on IDX files, and ends early where nothing gets better", async () => {
    const idx = (shape: number[], data: Uint8Array) => {
      const head = new DataView(new ArrayBuffer(4 + 4 * shape.length));
      head.setUint32(0, 0x800 + shape.length);
      shape.forEach((size, axis) => head.setUint32(4 + 4 * axis, size));
      return Buffer.concat([new Uint8Array(head.buffer), data]);
    };
    const { images, labels } = loadDigits();
    const some = (count: number, offset: number) =>
      Array.from({ length: count }, (_, i) => i * 40 + offset);
    const write = async (name: string, count: number, offset: number, packed: boolean) => {
      const x = Buffer.concat(
        some(count, offset).map((i) => images.subarray(i * 784, (i + 1) * 784)),
      );
      const y = Uint8Array.from(some(count, offset), (i) => labels[i]);
      const pack = (bytes: Uint8Array) => (packed ? gzipSync(bytes) : bytes);
      const end = packed ? ".gz" : "";
      await writeFile(
        join(cwd, "idx", `${name}-images-idx3-ubyte${end}`),
        pack(idx([count, 28, 28], x)),
      );
      await writeFile(join(cwd, "idx", `${name}-labels-idx1-ubyte${end}`), pack(idx([count], y)));
    };
    await mkdir(join(cwd, "idx"));
    await write("train", 200, 0, true);
    expect((await train("--data idx")).stderr).toBe(
      "error: idx/t10k-images-idx3-ubyte: no such file or folder\n",
    );
    await write("t10k", 50, 7, false);
    const { stdout } = await again(
      "train resnet8 --data idx --epochs 4 --lr 1e-9 --patience 1 --json --out fashion.safetensors".split(
        " ",
      ),
      cwd,
    );
    const { interrupted: ended, epochs, test } = JSON.parse(stdout);
    expect({ interrupted: ended, count: test.count }).toEqual({ interrupted: false, count: 50 });
    expect(epochs.length).toBeLessThanOrEqual(4);
    await writeFile(
      join(cwd, "idx", "train-labels-idx1-ubyte.gz"),
      gzipSync(idx([3], new Uint8Array(3))),
    );
    expect((await train("--data idx")).stderr).toBe(
      "error: idx/train-images-idx3-ubyte: 200×28×28 images, but 3 labels\n",
    );
  });

  it("refuses augmentations that there are not", async () => {
    expect((await train("--augment blur")).stderr).toBe(
      'error: unknown augmentation "blur"; there are shift, crop, flip, rotate, scale, shear, cutout\n',
    );
    expect((await train("--augment shift:x")).stderr).toBe(
      'error: augmentation "shift:x" has no number after the colon\n',
    );
  });

  it("trains the net of 1998", async () => {
    const { code, stdout } = await again(
      "train lenet5_1998 --epochs 2 --limit 4000 --json".split(" "),
      cwd,
    );
    expect(code).toBe(0);
    const { test, file } = JSON.parse(stdout);
    expect(file).toBe("lenet5_1998.safetensors");
    expect(test.accuracy).toBeGreaterThan(0.4);
  });
});
