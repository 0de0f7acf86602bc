// What the command says when asked for help or asked wrongly: the whole text, the exit code, and
// that nothing was written.

import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeSafetensors, initialize } from "@conv/layers";
import { lenet5, models } from "@conv/layers/models";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import packageJson from "../package.json" with { type: "json" };
import { bin, conv, folder, inOneProcess, list } from "./run.ts";

const cwd = folder();
const again = inOneProcess();
let files: string[];
beforeAll(async () => {
  const save = (name: string, data: Uint8Array | string) => writeFile(join(cwd, name), data);
  const model = lenet5();
  const state = initialize(model);
  const whole = encodeSafetensors(state, { model: "lenet5" });
  await save("weights.safetensors", whole);
  await save("cut.safetensors", whole.subarray(0, 100_000));
  await save("cut-header.safetensors", whole.subarray(0, 100));
  await save("empty.safetensors", "");
  await save("foreign.safetensors", encodeSafetensors(state));
  await save("other.safetensors", encodeSafetensors(state, { model: "inception_v3" }));
  await save("text.safetensors", "this is not a model, it is a sentence that goes on for a while");
  const wrong = new Map(state).set("c1.weight", {
    shape: [6, 1, 3, 3],
    data: new Float32Array(54),
  });
  await save("wrong.safetensors", encodeSafetensors(wrong, { model: "lenet5" }));
  const lacking = new Map(state);
  lacking.delete("f6.bias");
  await save("lacking.safetensors", encodeSafetensors(lacking, { model: "lenet5" }));
  const page = { width: 40, height: 40, channels: 3, background: "#fff" } as const;
  const broken = new Map(state);
  broken.set("c1.weight", {
    shape: [6, 1, 5, 5],
    data: state.get("c1.weight")!.data.map((v, i) => (i === 3 ? Infinity : v)),
  });
  await save("infinite.safetensors", encodeSafetensors(broken, { model: "lenet5" }));
  await save(
    "odd.safetensors",
    encodeSafetensors(
      new Map([...state, ["\u001b[31m\n", { shape: [], data: new Float32Array(1) }]]),
      { model: "lenet5" },
    ),
  );
  const png = await sharp({ create: page }).png().toBuffer();
  await save("blank.png", png);
  await save("cut.png", png.subarray(0, 60));
  const noise = { type: "gaussian", mean: 128, sigma: 30 } as const;
  const photo = await sharp({ create: { ...page, noise } })
    .jpeg()
    .toBuffer();
  await save("cut.jpg", photo.subarray(0, -100));
  await save("text.png", "not an image");
  await save("drawing.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>");
  const huge = await sharp({ create: { ...page, width: 9000, height: 9000 } })
    .png({ compressionLevel: 9 })
    .toBuffer();
  await save("huge.png", huge);
  files = await list(cwd);
}, 120_000);

const names = new Intl.ListFormat("en").format(Object.keys(models));

const mistakes: readonly (readonly [args: string, stderr: string])[] = [
  ["summary lenet", `unknown model "lenet"; did you mean lenet5? There are ${names}`],
  ["train lenet5_98", `unknown model "lenet5_98"; did you mean lenet5_1998? There are ${names}`],
  ["summary toString", `unknown model "toString"; there are ${names}`],
  [
    "summary lenet5 --input 1x20x20",
    "c5: conv: kernel 5 with dilation 1 covers 5 positions, but the padded input has 3; use a smaller kernel or more padding (axis h)",
  ],
  [
    "summary lenet5 --input 28",
    "c1: conv2d: input has 2 axes, needs 4 (batch, channels and 2 spatial)",
  ],
  [
    "summary lenet5 --input big",
    "option '--input <shape>' argument 'big' is invalid. It must be sizes like 1x28x28.",
  ],
  [
    "summary lenet5 --format xml",
    "option '--format <name>' argument 'xml' is invalid. Allowed choices are text, json, csv, markdown, html.",
  ],
  [
    "summary lenet5 --convention paper",
    "option '--convention <name>' argument 'paper' is invalid. Allowed choices are torchvision, conv-only, with-bias, torchinfo, ptflops, flops2.",
  ],
  [
    "summary lenet5 --out nowhere/costs.html --format html",
    "nowhere/costs.html: no such file or folder",
  ],
  ["compare lenet5 lenet6", `unknown model "lenet6"; did you mean lenet5? There are ${names}`],
  ["compare lenet5", "missing required argument 'other'"],
  ["receptive lenet5 --at c4", 'lenet5 has no layer "c4"; the nearest name is c1'],
  ["receptive lenet5 --at c1 --unit 28x0", "c1 has no unit 28x0; its output is 1x6x28x28"],
  ["suggest 256x100x100 3x3", "missing required argument 'channels'"],
  [
    "suggest 256x100x100 3x3x3 256",
    "the kernel 3x3x3 has 3 sizes, the input 256x100x100 has 2 besides its channels",
  ],
  ["suggest 256 3 256", "the input 256 has no sizes besides its channels"],
  [
    "suggest 256x7x7 9 64 --padding 0",
    "direct: conv: kernel 9 with dilation 1 covers 9 positions, but the padded input has 7; use a smaller kernel or more padding (axis h)",
  ],
  [
    "suggest 256x7x7 3 64 --groups 3",
    "direct: conv: 256 input channels do not divide into 3 groups; use groups that divide 256",
  ],
  ["explain 64x56x56 3x3", "missing required argument 'channels'"],
  [
    "explain 64x56x56 3x3x3 64",
    "the kernel 3x3x3 has 3 sizes, the input 64x56x56 has 2 besides its channels",
  ],
  [
    "explain 64x56x56 9 64 --groups 5",
    "explain: 64 input channels do not divide into 5 groups; use groups that divide 64",
  ],
  [
    "explain 64x7x7 9 64",
    "conv: kernel 9 with dilation 1 covers 9 positions, but the padded input has 7; use a smaller kernel or more padding (axis h)",
  ],
  ["explain 64x7x7 3 64 --stride 2x2x2", "conv: stride has 3 entries for 2 spatial axes"],
  [
    "explain 64 3 64",
    "conv: input has 2 axes, needs batch, channels and at least one spatial axis",
  ],
  [
    "explain 64x7x7 3 64 --padding wide",
    "option '--padding <n>' argument 'wide' is invalid. It must be a whole number ≥ 0.",
  ],
  [
    "explain 64x7x7 3 64 --direction back",
    "option '--direction <name>' argument 'back' is invalid. Allowed choices are forward, gradInput, gradWeight.",
  ],
  [
    "soak --device tpu",
    "option '--device <name>' argument 'tpu' is invalid. Allowed choices are best, gpu, cpu.",
  ],
  [
    "soak --precision exactly",
    "option '--precision <name>' argument 'exactly' is invalid. Allowed choices are exact, balanced, fast.",
  ],
  ["summary", "missing required argument 'model'"],
  ["sumary lenet5", "unknown command 'sumary' (Did you mean summary?)"],
  ["train lenet5 --epoch 2", "unknown option '--epoch' (Did you mean --epochs?)"],
  [
    "train lenet5 --epochs 0",
    "option '--epochs <n>' argument '0' is invalid. It must be a whole number ≥ 1.",
  ],
  [
    "train lenet5 --batch many",
    "option '--batch <n>' argument 'many' is invalid. It must be a whole number ≥ 1.",
  ],
  [
    "train lenet5 --weight-decay -1",
    "option '--weight-decay <number>' argument '-1' is invalid. It must be a number ≥ 0.",
  ],
  [
    "train lenet5 --batch=0x10",
    "option '--batch <n>' argument '0x10' is invalid. It must be a whole number ≥ 1.",
  ],
  [
    "train lenet5 --lr -1",
    "option '--lr <number>' argument '-1' is invalid. It must be a number > 0.",
  ],
  [
    "train lenet5 --optimizer adamax",
    "option '--optimizer <name>' argument 'adamax' is invalid. Allowed choices are adam, adamw, sgd, rmsprop, adagrad, lion, lamb.",
  ],
  ["train lenet5 --limit 9000", "--limit 9000 is more than the 8000 training digits"],
  ["train lenet5 --out nowhere/model.safetensors", "nowhere: no such file or folder"],
  ["train lenet5 --out .", ".: is a folder"],
  ["train lenet5 --out=", "--out: the name is empty"],
  ["train lenet5 --out /dev/null", "/dev/null: is a device, not a regular file"],
  [`train lenet5 --out ${"n".repeat(252)}`, `${"n".repeat(252)}.svg: the name is too long`],
  [
    "train lenet5 --out m.safetensors --best m.safetensors",
    "m.safetensors: would hold the model and the best model; give --out and --best different names",
  ],
  [
    "train unet",
    "unet takes 1×572×572 and returns 2×388×388; the networks for gray images and classes are lenet5, lenet5_1998, resnet8, resnet14, and resnet20",
  ],
  ["summary lenet5 --out /dev/full", "/dev/full: is a device, not a regular file"],
  ["predict /dev/zero blank.png", "/dev/zero: is a device, not a regular file"],
  [
    "predict infinite.safetensors blank.png",
    "infinite.safetensors: c1.weight contains Infinity at index 3; its training diverged",
  ],
  [
    "predict odd.safetensors blank.png",
    "odd.safetensors: lenet5: these weights belong to another network (unexpected \\u{1b}[31m\\u{a})",
  ],
  ["predict weights.safetensors /dev/zero", "/dev/zero: is a device, not a regular file"],
  [
    "predict weights.safetensors \u001b[2Jgone\n.png",
    "\\u{1b}[2Jgone\\u{a}.png: no such file or folder",
  ],
  ["\u001b[2J", "unknown command '\\u{1b}[2J'"],
  ["\u202e 3x3", "unknown command '\\u{202e}'"],
  ["train lenet5 --\u202eepochs", "unknown option '--\\u{202e}epochs' (Did you mean --epochs?)"],
  [
    "train lenet5 --epochs \u001b[2J",
    "option '--epochs <n>' argument '\\u{1b}[2J' is invalid. It must be a whole number ≥ 1.",
  ],
  [
    "train lenet5 --optimizer \u009b2J",
    "option '--optimizer <name>' argument '\\u{9b}2J' is invalid. Allowed choices are adam, adamw, sgd, rmsprop, adagrad, lion, lamb.",
  ],
  ["train \u001b[2J\n", `unknown model "\\u{1b}[2J\\u{a}"; there are ${names}`],
  ["train lenet5 --resume gone.safetensors", "gone.safetensors: no such file or folder"],
  [
    "train lenet5 --resume cut.safetensors",
    "cut.safetensors: safetensors: c5.weight ends at byte 202288 of the data, the file has 99232; it is truncated",
  ],
  [
    "train lenet5 --resume weights.safetensors",
    "weights.safetensors: does not say how it was trained; conv train resumes only files that it wrote",
  ],
  [
    "train lenet5_1998 --resume weights.safetensors",
    "weights.safetensors: holds lenet5, not lenet5_1998",
  ],
  ["predict weights.safetensors", "missing required argument 'image'"],
  ["predict gone.safetensors blank.png", "gone.safetensors: no such file or folder"],
  ["predict . blank.png", ".: is a folder"],
  [
    "predict empty.safetensors blank.png",
    "empty.safetensors: safetensors: not a safetensors file: it has 0 bytes, fewer than the 8 of the header length",
  ],
  [
    "predict cut-header.safetensors blank.png",
    "cut-header.safetensors: safetensors: the header takes 760 bytes, but 92 follow its length; the file is truncated",
  ],
  [
    "predict cut.safetensors blank.png",
    "cut.safetensors: safetensors: c5.weight ends at byte 202288 of the data, the file has 99232; it is truncated",
  ],
  [
    "predict text.safetensors blank.png",
    "text.safetensors: safetensors: not a safetensors file: its header would take 2338328219631577204 bytes, the limit is 16777216",
  ],
  [
    "predict foreign.safetensors blank.png",
    "foreign.safetensors: its metadata names no model, as files of conv train do",
  ],
  [
    "predict other.safetensors blank.png",
    `other.safetensors: unknown model "inception_v3"; did you mean inceptionV3? There are ${names}`,
  ],
  [
    "predict wrong.safetensors blank.png",
    "wrong.safetensors: lenet5: c1.weight has shape 6×1×3×3 in the state, 6×1×5×5 in the model",
  ],
  [
    "predict lacking.safetensors blank.png",
    "lacking.safetensors: lenet5: these weights belong to another network (missing f6.bias)",
  ],
  ["predict weights.safetensors gone.png", "gone.png: no such file or folder"],
  ["predict weights.safetensors text.png", "text.png: neither PNG nor JPEG"],
  ["predict weights.safetensors drawing.svg", "drawing.svg: neither PNG nor JPEG"],
  [
    "predict weights.safetensors cut.png",
    "cut.png: unreadable image (Input buffer has corrupt header)",
  ],
  [
    "predict weights.safetensors cut.jpg",
    "cut.jpg: unreadable image (VipsJpeg: premature end of JPEG image)",
  ],
  [
    "predict weights.safetensors blank.png",
    "blank.png: no digit found: the image is blank (all 40×40 pixels are nearly equal)",
  ],
  [
    "predict weights.safetensors huge.png",
    "huge.png: 9000×9000 pixels are more than the limit of 67108864",
  ],
];

describe("a mistake ends with one line, exit code 2 and nothing written", () => {
  it.for(mistakes)("conv %s", { timeout: 30_000 }, async ([args, message]) => {
    const { code, stdout, stderr } = await again(args.split(" "), cwd);
    expect(stderr).toBe(`error: ${message}\n`);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(await list(cwd)).toEqual(files);
  });
});

describe("help", { timeout: 60_000 }, () => {
  it.for(["train", "predict", "summary", "compare", "receptive", "suggest", "explain"])(
    "of %s has examples",
    { timeout: 30_000 },
    async (command) => {
      const { code, stdout, stderr } = await again([command, "--help"], cwd);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toMatch(
        new RegExp(`^Usage: conv ${command} .*\\n[\\s\\S]*\\nExamples:\\n  \\$ conv ${command} `),
      );
    },
  );
  it("comes with the version", async () => {
    expect(await conv(["--version"], cwd)).toEqual({
      code: 0,
      stdout: `${packageJson.version}\n`,
      stderr: "",
    });
  });
  it("names the commands", async () => {
    const { code, stdout } = await conv(["--help"], cwd);
    expect(code).toBe(0);
    for (const command of [
      "train",
      "predict",
      "summary",
      "compare",
      "receptive",
      "suggest",
      "explain",
    ])
      expect(stdout).toMatch(new RegExp(`^  ${command} .*[a-z]`, "m"));
  });
});

describe("an engine that is too old", () => {
  it("is told which one is needed, and exit code 2", () => {
    const without = "data:text/javascript,delete process.getBuiltinModule";
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ["--import", without, bin, "train", "lenet5"],
      { encoding: "utf8", cwd },
    );
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toBe(
      `error: conv needs Node 20.16, or 22.3 or later; this is ${process.versions.node}\n`,
    );
  });
});
