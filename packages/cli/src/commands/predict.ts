// `conv predict`: recognizes the digits on images. An image that cannot be read is named on
// standard error; the others are still recognized.

import { averagedState, createPredictor } from "@conv/layers";
import { printable } from "@conv/tensor";
import { openBackend, type DeviceOptions } from "../backend.ts";
import { about, UserError } from "../errors.ts";
import { readDigit } from "../image.ts";
import { loadModel } from "../model.ts";
import { complain, print } from "../output.ts";
import { samplesOf } from "../samples.ts";
import { colorsOf } from "../terminal.ts";

/** The digit on one image, with the probabilities of 0 to 9, or why there is none. */
type Answer =
  | { readonly image: string; readonly digit: number; readonly probabilities: readonly number[] }
  | { readonly image: string; readonly error: string };

export interface PredictOptions extends DeviceOptions {
  readonly json?: boolean;
}

export async function predict(
  file: string,
  images: readonly string[],
  { json = false, ...options }: PredictOptions,
): Promise<void> {
  const { decoded, model } = await loadModel(file);
  const { backend, announce } = await openBackend(options);
  try {
    const predictor = await about(file, () =>
      createPredictor(backend, model, averagedState(decoded.state)),
    );
    const digits: (Uint8Array | UserError)[] = []; // one image at a time: each may be large
    for (const image of images) digits.push(await readDigit(image).catch(mistakeOf));
    const read = digits.filter((digit) => digit instanceof Uint8Array);
    if (read.length) announce();
    const samples = samplesOf(model, Buffer.concat(read), new Uint8Array(read.length));
    const outputs = read.length
      ? await predictor.predict(samples.batch([...read.keys()]).x)
      : new Float32Array(0);
    predictor.dispose();
    const bad = outputs.find((value) => !Number.isFinite(value));
    if (bad !== undefined)
      throw new UserError(
        `${file}: an output of the network is ${bad}; its weights are too large for float32`,
      );
    const width = outputs.length / read.length;
    let at = 0;
    const answers = digits.map((digit, i): Answer => {
      if (digit instanceof UserError) return { image: images[i], error: digit.message };
      return answerOf(images[i], outputs.subarray(at * width, ++at * width));
    });
    if (json && read.length)
      print(JSON.stringify({ model: model.name, file, images: answers }, null, 2));
    else if (read.length) print(table(answers));
    for (const answer of answers)
      if ("error" in answer) {
        complain(`${colorsOf(process.stderr).red("error:")} ${printable(answer.error, 4000)}`);
        process.exitCode = 2;
      }
  } finally {
    backend.dispose();
  }
}

function mistakeOf(error: unknown): UserError {
  if (error instanceof UserError) return error;
  throw error;
}

function answerOf(image: string, outputs: Float32Array): Answer {
  const largest = Math.max(...outputs);
  const weights = Array.from(outputs, (v) => Math.exp(v - largest));
  const total = weights.reduce((a, b) => a + b, 0);
  return { image, digit: outputs.indexOf(largest), probabilities: weights.map((w) => w / total) };
}

/** One row for each image that was read: the digit, then the probability of each in percent. */
function table(answers: readonly Answer[]): string {
  const color = colorsOf(process.stdout);
  const found = answers.flatMap((answer) =>
    "error" in answer ? [] : [{ ...answer, image: printable(answer.image) }],
  );
  const name = Math.max(5, ...found.map((a) => a.image.length));
  const digits = found[0].probabilities.map((_, digit) => `${digit}`.padStart(5)).join(" ");
  const head = `${"image".padEnd(name)}  digit  ${digits}  %`;
  const rows = found.map(({ image, digit, probabilities }) => {
    const cells = probabilities.map((p, i) => {
      const cell = (100 * p).toFixed(1).padStart(5);
      return i === digit ? color.bold(color.green(cell)) : cell;
    });
    return `${image.padEnd(name)}  ${color.bold(`${digit}`.padStart(5))}  ${cells.join(" ")}`;
  });
  return [head, ...rows].join("\n");
}
