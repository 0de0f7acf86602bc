// Saves checkpoints during a training: the last and the best.

import { checkOptions } from "@conv/tensor";
import type { EpochReport } from "./reports.ts";
import type { Trainer } from "./train.ts";

/** Receives the checkpoint of an epoch, for example to write it to a file. */
export type KeepCheckpoint = (checkpoint: Uint8Array, report: EpochReport) => void | Promise<void>;

export interface KeepOptions {
  /** Called after every epoch. */
  readonly last?: KeepCheckpoint | undefined;
  /** Called after every epoch with the lowest validation loss so far. */
  readonly best?: KeepCheckpoint | undefined;
}

/**
 * Passes the checkpoint of each epoch to `last` and `best`, waits for them, and then yields the
 * report of the epoch: `for await (const report of keepCheckpoints(trainer, trainer.fit(…), { best
 * }))`.
 */
export async function* keepCheckpoints(
  trainer: Trainer,
  reports: AsyncIterable<EpochReport>,
  options: KeepOptions,
): AsyncGenerator<EpochReport, void> {
  checkOptions("keepCheckpoints", options, "last best");
  const { last, best } = options;
  for await (const report of reports) {
    const kept = [last, report.improved ? best : undefined].filter((keep) => keep !== undefined);
    const checkpoint = kept.length > 0 ? await trainer.checkpoint() : new Uint8Array();
    for (const keep of kept) await keep(checkpoint, report);
    yield report;
  }
}
