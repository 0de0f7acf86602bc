// A bar with the time left on stderr where that is a terminal, and lines above it.

import { SingleBar } from "cli-progress";

export interface Progress {
  /** The share of the whole that is done, and what is in hand. */
  update(done: number, name: string): void;
  print(text: string): void;
  stop(): void;
}

export function createProgress(print: (text: string) => void = console.log): Progress {
  const bar = new SingleBar({
    format: "{bar} {percentage}% | {left} left | {name}",
    clearOnComplete: true,
    hideCursor: true,
  });
  const started = performance.now();
  let at = { done: 0, name: "" };
  const payload = () => {
    const seconds = at.done ? ((performance.now() - started) * (1 / at.done - 1)) / 1000 : NaN;
    const left = Number.isNaN(seconds)
      ? "?"
      : seconds < 90
        ? `${seconds.toFixed(0)} s`
        : `${(seconds / 60).toFixed(0)} min`;
    return { left, name: at.name };
  };
  const show = () => bar.start(1000, Math.floor(1000 * at.done), payload());
  show();
  return {
    update(done, name) {
      at = { done, name };
      bar.update(Math.floor(1000 * done), payload());
    },
    print(text) {
      bar.stop(); // clears its line, which the text then takes
      print(text);
      show();
    },
    stop: () => bar.stop(),
  };
}
