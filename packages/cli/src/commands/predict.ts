// `conv predict`: which digits are on the images. Every image is read before anything is printed.

import { averagedState, createPredictor } from "@conv/layers";
import { openBackend, type DeviceOptions } from "../backend.ts";
import { about } from "../errors.ts";
import { readDigit } from "../image.ts";
import { loadModel } from "../model.ts";
import { samplesOf } from "../samples.ts";
import { colorsOf } from "../terminal.ts";

/** What was seen on one image; probabilities are those of the digits 0 to 9. */
interface Answer {
  readonly image: string;
  readonly digit: number;
  readonly probabilities: readonly number[];
}

export interface PredictOptions extends DeviceOptions {
  readonly json?: boolean;
}

export async function predict(file: string, images: readonly string[], { json = false, ...options }: PredictOptions): Promise<void> {
  const { decoded, model } = await loadModel(file);
  const { backend, announce } = await openBackend(options);
  try {
    const predictor = await about(file, () => createPredictor(backend, model, averagedState(decoded.state)));
    const digits: Uint8Array[] = []; // one picture after the other: each may be large
    for (const image of images) digits.push(await readDigit(image));
    const samples = samplesOf(model, Buffer.concat(digits), new Uint8Array(digits.length));
    announce();
    const outputs = await predictor.predict(samples.batch([...digits.keys()]).x);
    predictor.dispose();
    const width = outputs.length / images.length;
    const answers = images.map((image, i) => answerOf(image, outputs.subarray(i * width, (i + 1) * width)));
    console.log(json ? JSON.stringify({ model: model.name, file, images: answers }, null, 2) : table(answers));
  } finally {
    backend.dispose();
  }
}

function answerOf(image: string, outputs: Float32Array): Answer {
  const largest = Math.max(...outputs);
  const weights = Array.from(outputs, (v) => Math.exp(v - largest));
  const total = weights.reduce((a, b) => a + b, 0);
  return { image, digit: outputs.indexOf(largest), probabilities: weights.map((w) => w / total) };
}

/** One row an image: the digit, then the probability of each in percent. */
function table(answers: readonly Answer[]): string {
  const color = colorsOf(process.stdout);
  const name = Math.max(5, ...answers.map((a) => a.image.length));
  const head = `${"image".padEnd(name)}  digit  ${answers[0].probabilities.map((_, digit) => `${digit}`.padStart(5)).join(" ")}  %`;
  const rows = answers.map(({ image, digit, probabilities }) => {
    const cells = probabilities.map((p, i) => {
      const cell = (100 * p).toFixed(1).padStart(5);
      return i === digit ? color.bold(color.green(cell)) : cell;
    });
    return `${image.padEnd(name)}  ${color.bold(`${digit}`.padStart(5))}  ${cells.join(" ")}`;
  });
  return [head, ...rows].join("\n");
}
