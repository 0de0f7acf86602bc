// The progress bar, on a terminal of 80 columns that keeps what was written to it.

import { PassThrough } from "node:stream";
import { WriteStream } from "node:tty";
import { stripVTControlCharacters } from "node:util";
import { expect, it } from "vitest";
import { createProgress } from "../src/progress.ts";

it("shows epoch, loss, accuracy, speed and time left in one line", () => {
  const written: string[] = [];
  const terminal: WriteStream = Object.setPrototypeOf(new PassThrough(), WriteStream.prototype);
  Object.assign(terminal, { isTTY: true, columns: 80, write: (text: string) => written.push(text) > 0 });
  const progress = createProgress(3, terminal);
  const report = (step: number, seconds: number) => ({
    epoch: 2,
    step,
    steps: 4,
    loss: 1 / step,
    accuracy: step / 5,
    learningRate: 0.1,
    seen: 64 * step,
    samples: 256,
    seconds,
  });
  progress.step(report(1, 5));
  progress.step(report(2, 5.1));
  progress.step(report(3, 5.2));
  progress.clear();
  const lines = written.map(stripVTControlCharacters).filter((line) => line.startsWith("epoch"));
  expect(lines.at(-1)).toBe("epoch 2/3 ██████░░  loss 0.6111  accuracy 40.0 %  640 images/s  0.5 s left");
});
