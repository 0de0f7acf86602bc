// What a training reports while it runs: losses and counts a few times a second, and the time that
// an image takes, measured.

import type { Point, Reply } from "./protocol.ts";

const REPORT_EVERY = 100; // ms
const PACED = 4; // steps that are timed at least before a pace is reported

interface Options {
  readonly reply: (message: Reply) => void;
  readonly batch: number;
  /** Images until the training is done. */
  readonly left: () => number;
}

export function createProgress({ reply, batch, left }: Options) {
  let points: Point[] = [];
  let reported = performance.now();
  // Timed from the end of the first step on: that one compiles.
  let timed: { readonly since: number; readonly images: number } | null = null;
  const report = (images: number): void => {
    const now = performance.now();
    if (points.length) reply({ type: "progress", points, images, left: Math.max(0, left()) });
    if (timed && images - timed.images >= PACED * batch)
      reply({
        type: "pace",
        secondsPerImage: (now - timed.since) / 1000 / (images - timed.images),
      });
    points = [];
    reported = now;
  };
  return {
    /** One step is done, after which so many images have been seen. */
    step(images: number, loss: number): void {
      timed ??= { since: performance.now(), images };
      points.push({ images, loss });
      if (performance.now() - reported > REPORT_EVERY) report(images);
    },
    report,
  };
}
