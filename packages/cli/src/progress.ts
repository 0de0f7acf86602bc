// Progress on the terminal: one bar for the epoch under way, one while the GPU's programs compile,
// on standard error, and none where that is a file.

import type { WriteStream } from "node:tty";
import type { StepReport } from "@conv/layers";
import { Presets, SingleBar } from "cli-progress";
import { formatPercent, formatSeconds } from "./terminal.ts";

const NUMBERS = 72; // columns that the numbers beside the bar take

export interface Progress {
  /** Called after each step. */
  step(report: StepReport): void;
  /** Takes the bar away until the next step. */
  clear(): void;
}

/**
 * `epochs` is the number of the last one; the time left is that to its end, testing not counted.
 */
export function createProgress(epochs: number, stream: WriteStream = process.stderr): Progress {
  const bar = new SingleBar(
    {
      format: `epoch {epoch}/${epochs} {bar}  loss {loss}  accuracy {accuracy}  {rate}  {left}`,
      stream,
      barsize: Math.max(5, Math.min(40, (stream.columns ?? 80) - NUMBERS)),
      hideCursor: true,
      clearOnComplete: true,
      gracefulExit: false, // Ctrl-C is handled by the training
    },
    Presets.shades_classic,
  );
  let epoch = 0;
  let first: { seen: number; seconds: number } | null = null;
  let loss = 0;
  let accuracy = 0;
  let steps = 0;
  const clear = () => {
    bar.stop();
    epoch = 0;
  };
  return {
    step(report) {
      if (report.epoch !== epoch) {
        clear();
        [epoch, first, loss, accuracy, steps] = [report.epoch, null, 0, 0, 0];
        bar.start(report.samples, 0, { epoch, loss: "", accuracy: "", rate: "", left: "" });
      }
      first ??= report; // speed is measured from the end of the first step on: that one compiles
      steps++;
      loss += report.loss;
      accuracy += report.accuracy;
      const speed = (report.seen - first.seen) / (report.seconds - first.seconds);
      const left = report.samples - report.seen + (epochs - report.epoch) * report.samples;
      bar.update(report.seen, {
        epoch,
        loss: (loss / steps).toFixed(4),
        accuracy: formatPercent(accuracy / steps),
        rate: speed > 0 ? `${Math.round(speed).toLocaleString("en-US")} images/s` : "…",
        left: speed > 0 ? `${formatSeconds(left / speed)} left` : "…",
      });
    },
    clear,
  };
}

/**
 * To be told how many pipelines are compiled, of all that were asked for so far: shows how many of
 * those that are waited for are.
 */
export function createCompilation(
  stream: WriteStream = process.stderr,
): (ready: number, total: number) => void {
  const bar = new SingleBar(
    {
      format: "compiling {bar} {value}/{total}",
      stream,
      barsize: 40,
      hideCursor: true,
      clearOnComplete: true,
      gracefulExit: false,
    },
    Presets.shades_classic,
  );
  let before = 0;
  return (ready, total) => {
    if (bar.isActive) bar.setTotal(total - before);
    else bar.start(total - before, 0);
    bar.update(ready - before);
    if (ready < total) return;
    bar.stop();
    before = total;
  };
}
