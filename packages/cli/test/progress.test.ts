// The progress bars, on a terminal of 80 columns that keeps what was written to it.

import { PassThrough } from "node:stream";
import { WriteStream } from "node:tty";
import { stripVTControlCharacters } from "node:util";
import { expect, it, vi } from "vitest";
import { createCompilation, createProgress } from "../src/progress.ts";

/** The terminal, and the lines that were written to it. */
function terminal(): { stream: WriteStream; lines: () => string[] } {
  const written: string[] = [];
  const stream: WriteStream = Object.setPrototypeOf(new PassThrough(), WriteStream.prototype);
  Object.assign(stream, {
    isTTY: true,
    columns: 80,
    write: (text: string) => written.push(text) > 0,
  });
  return {
    stream,
    lines: () =>
      written.map(stripVTControlCharacters).filter((line) => /^(epoch|compiling)/.test(line)),
  };
}

it("shows epoch, loss, accuracy, speed and time left in one line", () => {
  const { stream, lines } = terminal();
  const progress = createProgress(3, stream);
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
  expect(lines().at(-1)).toBe(
    "epoch 2/3 ██████░░  loss 0.6111  accuracy 40.0 %  640 images/s  0.5 s left",
  );
});

it("shows how many pipelines are compiled, of those that are waited for", async () => {
  // ten times a second at most
  const drawn = (text: string) => vi.waitFor(() => expect(lines().at(-1)).toBe(text));
  const { stream, lines } = terminal();
  const told = createCompilation(stream);
  told(1, 2);
  told(2, 4); // two more were asked for
  await drawn(`compiling ${"█".repeat(20)}${"░".repeat(20)} 2/4`);
  told(3, 4);
  told(4, 4);
  told(5, 12); // those of another program
  await drawn(`compiling ${"█".repeat(5)}${"░".repeat(35)} 1/8`);
  for (let ready = 6; ready <= 12; ready++) told(ready, 12);
});
