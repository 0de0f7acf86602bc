// Files of digits that can't be trained on are refused by name before the training; a training that
// goes wrong leaves the model as it was.

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { decodeSafetensors } from "@conv/layers";
import { describe, expect, it } from "vitest";
import { notesOf, saveNoted } from "../src/notes.ts";
import { ownFile } from "../src/train/files.ts";
import { folder, inOneProcess, list } from "./run.ts";

const cwd = folder();
const conv = inOneProcess({ COLUMNS: "60" });

/** An IDX file of bytes. */
function idx(shape: readonly number[], value: (i: number) => number): Buffer {
  const head = Buffer.alloc(4 + 4 * shape.length);
  head.writeUInt32BE(0x800 + shape.length);
  shape.forEach((size, axis) => head.writeUInt32BE(size, 4 + 4 * axis));
  return Buffer.concat([
    head,
    Uint8Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => value(i)),
  ]);
}

const IMAGES = "t10k-images-idx3-ubyte";
const good = {
  "train-images-idx3-ubyte": idx([8, 28, 28], (i) => i % 251),
  "train-labels-idx1-ubyte": idx([8], (i) => i),
  [IMAGES]: idx([4, 28, 28], (i) => i % 241),
  "t10k-labels-idx1-ubyte": idx([4], (i) => i),
};

/** What `conv train` says of a folder of digits with other contents in some files. */
async function trained(others: Readonly<Record<string, Buffer>>, args: readonly string[] = []) {
  rmSync(join(cwd, "idx"), { recursive: true, force: true });
  mkdirSync(join(cwd, "idx"));
  const files = { ...good, ...others };
  for (const [name, bytes] of Object.entries(files))
    if (!(`${name}.gz` in files)) writeFileSync(join(cwd, "idx", name), bytes);
  return conv(["train", "lenet5", "--data", "idx", "--epochs", "1", ...args], cwd);
}

describe("conv train", { timeout: 60_000 }, () => {
  const packed = gzipSync(good[IMAGES]);
  it.for<[string, Readonly<Record<string, Buffer>>, string]>([
    [
      "images of 8×8",
      { "train-images-idx3-ubyte": idx([8, 8, 8], () => 1), [IMAGES]: idx([4, 8, 8], () => 1) },
      "idx: lenet5 takes 1×28×28, but the images are 1×8×8; their sides must be three quarters of that to all of it",
    ],
    [
      "images of two sizes",
      { [IMAGES]: idx([4, 27, 28], () => 1) },
      "idx: training images are 28×28, validation images 27×28",
    ],
    [
      "images of 0×0",
      { "train-images-idx3-ubyte": idx([8, 0, 0], () => 1) },
      "idx/train-images-idx3-ubyte: holds no images; its shape is 8×0×0",
    ],
    [
      "no images to test with",
      { [IMAGES]: idx([0, 28, 28], () => 1), "t10k-labels-idx1-ubyte": idx([0], () => 1) },
      `idx/${IMAGES}: holds no images; its shape is 0×28×28`,
    ],
    [
      "a wrong label to test with",
      { "t10k-labels-idx1-ubyte": idx([4], (i) => 8 + i) },
      "idx/t10k-labels-idx1-ubyte: label 10 of image 3; lenet5 has classes 0 to 9",
    ],
    [
      "a wrong label to train on",
      { "train-labels-idx1-ubyte": idx([8], () => 255) },
      "idx/train-labels-idx1-ubyte: label 255 of image 1; lenet5 has classes 0 to 9",
    ],
    [
      "a truncated .gz",
      { [`${IMAGES}.gz`]: packed.subarray(0, packed.length / 2) },
      `idx/${IMAGES}.gz: the gzip data are truncated`,
    ],
    [
      "a .gz that is none",
      { [`${IMAGES}.gz`]: good[IMAGES] },
      `idx/${IMAGES}.gz: the gzip data are damaged`,
    ],
    [
      "a .gz of one byte",
      { [`${IMAGES}.gz`]: packed.subarray(0, 1) },
      `idx/${IMAGES}.gz: the gzip data are truncated`,
    ],
    [
      "a truncated file",
      { [IMAGES]: good[IMAGES].subarray(0, -1) },
      `idx/${IMAGES}: its header says 4×28×28 elements, but the file has 3135`,
    ],
    [
      "a file that is too long",
      { [IMAGES]: Buffer.concat([good[IMAGES], good[IMAGES]]) },
      `idx/${IMAGES}: its header says 4×28×28 elements, but the file has more`,
    ],
  ])("refuses %s by name, before the training", async ([, others, message]) => {
    const { code, stdout, stderr } = await trained(others);
    expect(stderr).toBe(`error: ${message}\n`);
    expect([code, stdout]).toEqual([2, ""]);
    expect(await list(cwd)).toEqual(["idx"]);
  });
});

describe("a model of conv train", { timeout: 60_000 }, () => {
  const file = () => join(cwd, "good.safetensors");
  it("is saved, and told in 60 columns", async () => {
    const { code, stdout } = await trained({}, [
      "--optimizer",
      "sgd",
      "--out",
      "good.safetensors",
      "--threads",
      "1",
    ]);
    expect(code).toBe(0);
    expect(stdout).toContain("  1/1  ");
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(60);
  });
  const resumed = (...args: string[]) =>
    conv(
      [
        "train",
        "lenet5",
        "--resume",
        "good.safetensors",
        "--epochs",
        "2",
        "--threads",
        "1",
        ...args,
      ],
      cwd,
    );

  it("is not replaced unasked: by its network's name, or with another learning rate", async () => {
    const before = await readFile(file());
    expect(await resumed("--lr", "0.5")).toMatchObject({
      code: 2,
      stderr:
        "error: good.safetensors: another --lr could make the model worse; --out <file> writes it to another file, --force replaces this one\n",
    });
    await writeFile(join(cwd, "lenet5.safetensors"), "mine");
    expect(await conv(["train", "lenet5", "--data", "idx"], cwd)).toMatchObject({
      code: 2,
      stderr:
        "error: lenet5.safetensors: exists already; --resume lenet5.safetensors continues it, --out <file> writes to another file, --force replaces it\n",
    });
    expect([
      await readFile(file()),
      await readFile(join(cwd, "lenet5.safetensors"), "utf8"),
    ]).toEqual([before, "mine"]);
  });

  it("and its curve and best form are three files, none of which is replaced unasked", async () => {
    await writeFile(join(cwd, "lenet5_1998.svg"), "mine");
    expect(await conv(["train", "lenet5_1998", "--data", "idx"], cwd)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(
        "error: lenet5_1998.svg: exists already, and the learning curve would replace it; --out <file>",
      ),
    });
    for (const [best, both] of [
      ["./good.safetensors", "the model and the best model"],
      ["good.svg", "the learning curve and the best model"],
    ] as const)
      expect(await resumed("--best", best)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining(`error: ${best}: would hold ${both}`),
      });
  });

  it("that another process has written is left, and the new one goes beside it", async () => {
    const own = await ownFile(join(cwd, "ours.safetensors"));
    const write = (text: string) => own.save((to) => writeFile(to, text));
    await write("first");
    await write("second");
    await writeFile(join(cwd, "ours.safetensors"), "theirs, and longer");
    await write("third");
    await write("fourth");
    expect(own.file).toBe(join(cwd, "ours-2.safetensors"));
    expect(await readFile(join(cwd, "ours.safetensors"), "utf8")).toBe("theirs, and longer");
    expect(await readFile(own.file, "utf8")).toBe("fourth");
  });

  it("stays where the validation loss is not finite, though every step was", async () => {
    const before = await readFile(file());
    const { code, stderr } = await resumed("--lr", "1e30", "--force");
    expect(stderr).toMatch(
      /error: train: the validation loss is (NaN|Infinity) after epoch 2; try a lower learning rate than 1e\+30; nothing was written\n$/,
    );
    expect(code).toBe(1);
    expect(await readFile(file())).toEqual(before);
  });

  it("holds notes with NaN and infinities, and is resumed", async () => {
    const before = await readFile(file());
    const notes = notesOf(decodeSafetensors(before).metadata)!;
    const history = [
      { ...notes.history[0], loss: NaN, seconds: Infinity, test: { loss: -Infinity, accuracy: 0 } },
    ];
    await saveNoted(file(), before, { ...notes, history, on: "CPU: 64 threads" });
    expect(notesOf(decodeSafetensors(await readFile(file())).metadata)).toEqual({
      ...notes,
      history,
      on: "CPU: 64 threads",
    });
    const { code, stderr, stdout } = await resumed();
    expect([code, stdout]).toEqual([0, expect.stringContaining("2/2")]);
    expect(stderr).toContain(
      "good.safetensors was trained on the CPU: 64 threads and continues on the CPU: one thread: sums are rounded in another order, so the last bits of the weights differ\n",
    );
  });
});
