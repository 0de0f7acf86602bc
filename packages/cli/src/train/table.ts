// The table that `conv train` prints, a row for each epoch.

import type { Epoch } from "../notes.ts";
import { colorsOf, columns, formatPercent, formatSeconds } from "../terminal.ts";

const WIDE = 66; // columns of a row with its time and its speed

/** The heads above the rows; a narrow terminal gets no time and speed. */
export const head = (): string =>
  [
    "         training          validation",
    `epoch      loss  accuracy      loss  accuracy${columns() < WIDE ? "" : "      time  images/s"}`,
  ].join("\n");

/** One row below `head`. */
export function formatEpoch(
  { epoch, loss, accuracy, test, seconds, imagesPerSecond }: Epoch,
  epochs: number,
): string {
  const color = colorsOf(process.stdout);
  const measured = (of: { loss: number; accuracy: number }) =>
    [of.loss.toFixed(4).padStart(8), formatPercent(of.accuracy).padStart(8)] as const;
  const [validationLoss, validationAccuracy] = measured(test);
  const speed =
    columns() < WIDE
      ? []
      : [
          formatSeconds(seconds).padStart(8),
          Math.round(imagesPerSecond).toLocaleString("en-US").padStart(8),
        ];
  return [
    `${epoch}/${epochs}`.padStart(5),
    ...measured({ loss, accuracy }),
    validationLoss,
    color.bold(validationAccuracy),
    ...speed,
  ].join("  ");
}
