// Progress bars on standard error, unless it is a file: one for the current epoch, one for the
// compilation on a GPU.

import type { WriteStream } from "node:tty";
import type { StepReport } from "@conv/layers";
import { Presets, SingleBar } from "cli-progress";
import { formatPercent, formatSeconds } from "./terminal.ts";

const NUMBERS = 72; // columns of the numbers next to the bar

export interface Progress {
  /** Called after each step. */
  step(report: StepReport): void;
  /** Removes the bar until the next step. */
  clear(): void;
}

/**
 * `epochs` is the number of the last epoch; the time left excludes validation.
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
      first ??= report; // speed is measured from the end of the first step, which compiles
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
 * Takes the number of compiled pipelines and of all pipelines so far; shows the progress of those
 * that are not yet compiled.
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
