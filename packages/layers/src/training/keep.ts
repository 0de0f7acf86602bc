// Checkpoints to keep during a training: the last one and the best.

import { checkOptions } from "@conv/tensor";
import type { EpochReport } from "./reports.ts";
import type { Trainer } from "./train.ts";

/** Receives the checkpoint of an epoch, to write it to a file for example. */
export type KeepCheckpoint = (checkpoint: Uint8Array, report: EpochReport) => void | Promise<void>;

export interface KeepOptions {
  /** After every epoch. */
  readonly last?: KeepCheckpoint | undefined;
  /** After every epoch with the lowest validation loss so far. */
  readonly best?: KeepCheckpoint | undefined;
}

/**
 * Yields the reports of `fit`, each after its checkpoint was kept: `for await (const report of
 * keepCheckpoints(trainer, trainer.fit(…), { best }))`.
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
