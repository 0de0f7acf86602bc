// `conv predict`: a network trained on real digits, asked about pictures of digits that it has not
// seen.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createPredictor, decodeSafetensors } from "@conv/layers";
import { lenet5 } from "@conv/layers/models";
import { createHost } from "@conv/tensor";
import sharp, { type Sharp } from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import { DIGIT_PIXELS, loadDigits } from "../src/digits.ts";
import { conv, folder, inOneProcess, onCpu } from "./run.ts";

const { images, labels, test } = loadDigits();
const some = [...test.subarray(0, 30)];
const bytes = (index: number) => images.subarray(index * DIGIT_PIXELS, (index + 1) * DIGIT_PIXELS);
const digitOf = (index: number) =>
  sharp(bytes(index), { raw: { width: 28, height: 28, channels: 1 } });

const cwd = folder();
const again = inOneProcess();
beforeAll(async () => {
  const { code, stderr } = await again(
    ["train", "lenet5", "--epochs", "2", "--out", "model.safetensors"],
    cwd,
  );
  if (code !== 0) throw new Error(stderr);
}, 240_000);

interface Answers {
  readonly model: string;
  readonly file: string;
  readonly images: readonly {
    readonly image: string;
    readonly digit: number;
    readonly probabilities: readonly number[];
  }[];
}

/** What the command answers for some validation digits, each drawn to a file. */
async function ask(draw: (digit: Sharp) => Sharp, ending: string): Promise<Answers> {
  const files: string[] = [];
  for (const index of some) {
    files.push(`${index}.${ending}`);
    await writeFile(join(cwd, `${index}.${ending}`), await draw(digitOf(index)).toBuffer());
  }
  const { code, stdout, stderr } = await again(
    ["predict", "model.safetensors", ...files, "--json"],
    cwd,
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: onCpu() });
  return JSON.parse(stdout);
}

const rightIn = (answers: Answers) =>
  answers.images.filter(({ digit }, i) => digit === labels[some[i]]).length;

describe("conv predict", { timeout: 120_000 }, () => {
  it("says of a digit's own pixels what the network says, with probabilities that sum to 1", async () => {
    const answers = await ask((d) => d.png(), "png");
    expect(answers).toMatchObject({ model: "lenet5", file: "model.safetensors" });
    expect(answers.images.map((a) => a.image)).toEqual(some.map((index) => `${index}.png`));
    const { state } = decodeSafetensors(await readFile(join(cwd, "model.safetensors")));
    const first = some.slice(0, 4);
    const logits = await createPredictor(createHost(), lenet5(), state).predict(
      Float32Array.from(first.flatMap((index) => [...bytes(index)].map((v) => v / 255))),
    );
    first.forEach((_, i) => {
      const row = [...logits.subarray(i * 10, i * 10 + 10)].map(Math.exp);
      const total = row.reduce((a, b) => a + b);
      answers.images[i].probabilities.forEach((p, digit) =>
        expect(p).toBeCloseTo(row[digit] / total, 1),
      );
    });
    for (const { digit, probabilities } of answers.images) {
      expect(probabilities.reduce((a, b) => a + b)).toBeCloseTo(1, 6);
      expect(Math.max(...probabilities)).toBe(probabilities[digit]);
    }
    expect(rightIn(answers)).toBeGreaterThanOrEqual(27);
  });

  it("knows large photographs, dark on gray, off center", async () => {
    const draw = (d: Sharp) => {
      const page = { left: 500, right: 100, top: 90, bottom: 310, background: "#000" };
      // sharp negates after it extends, whatever the order here
      return d
        .resize(300, 300, { kernel: "cubic" })
        .extend(page)
        .negate()
        .linear(0.7, 45)
        .jpeg({ quality: 80 });
    };
    expect(rightIn(await ask(draw, "jpg"))).toBeGreaterThanOrEqual(26);
  });

  it("prints a table for people", async () => {
    const [index] = some;
    await writeFile(join(cwd, "one.png"), await digitOf(index).png().toBuffer());
    const { code, stdout, stderr } = await conv(["predict", "model.safetensors", "one.png"], cwd);
    expect({ code, stderr }).toEqual({ code: 0, stderr: onCpu() });
    const [head, row] = stdout.split("\n");
    expect(head).toBe(
      "image    digit      0     1     2     3     4     5     6     7     8     9  %",
    );
    expect(row).toMatch(/^one.png {6}\d( +\d+\.\d){10}$/);
  });

  it("answers for the others where some images can't be read", async () => {
    await writeFile(
      join(cwd, "blank.png"),
      await sharp({ create: { width: 40, height: 40, channels: 3, background: "#fff" } })
        .png()
        .toBuffer(),
    );
    await writeFile(join(cwd, "cut.png"), (await readFile(join(cwd, "one.png"))).subarray(0, 60));
    const files = ["blank.png", "one.png", "cut.png", "two.png", "one.png"];
    const errors = [
      "blank.png: no digit found: the image is blank (all 40×40 pixels are nearly equal)",
      "cut.png: unreadable image (Input buffer has corrupt header)",
      "two.png: no such file or folder",
    ];
    const { code, stdout, stderr } = await again(["predict", "model.safetensors", ...files], cwd);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: `${onCpu()}${errors.map((text) => `error: ${text}\n`).join("")}`,
    });
    const [, row, second, ...rest] = stdout.split("\n");
    expect(row).toMatch(/^one.png {6}\d( +\d+\.\d){10}$/);
    expect({ second, rest }).toEqual({ second: row, rest: [""] });
    const json = await again(["predict", "model.safetensors", ...files, "--json"], cwd);
    expect(json.code).toBe(2);
    const answers = JSON.parse(json.stdout).images;
    expect(answers.map((a: { image: string }) => a.image)).toEqual(files);
    expect(answers.flatMap((a: { error?: string }) => a.error ?? [])).toEqual(errors);
    expect(answers[1].digit).toBe(answers[4].digit);
  });
});
