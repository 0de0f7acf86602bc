// `bench train`: a training step (cross-entropy, and the optimizer in training.ts) on one fixed
// batch.

import { traceStep } from "@conv/layers";
import { models } from "@conv/layers/models";
import { bytesOf, sizeOf } from "@conv/tensor";
import type { Competitor, CompetitorName } from "./competitor.ts";
import { contest, type Pace } from "./contest.ts";
import { describeCommit, describeEngine, type Machine } from "./machine.ts";
import { macsOfNodes } from "./networks.ts";
import { operand, random } from "./random.ts";
import { ratiosOf, speedOf, type TrainResult, type TrainRow } from "./report/result.ts";
import { optimizerOf } from "./training.ts";

export interface TrainOptions extends Pace {
  readonly model: string;
  readonly batch: number;
  readonly competitors: readonly Competitor[];
  readonly machine: Machine;
  readonly flags: readonly string[];
  readonly progress?: (done: number, name: string) => void;
}

/** A step takes longer than a layer: up to this time it is measured as often. */
const SLOW_MS = 10_000;

export async function benchTrain({
  model,
  batch,
  competitors,
  machine,
  flags,
  progress,
  ...pace
}: TrainOptions): Promise<TrainResult> {
  const next = random(3);
  const made = models[model]();
  const images = operand(1, batch * sizeOf(made.input));
  const labels = Int32Array.from({ length: batch }, () =>
    Math.floor((made.classes ?? 10) * next()),
  );
  const name = `${model} batch ${batch}`;
  const task = { kind: "train", model, batch, threads: machine.threads } as const;
  let done = 0;
  const { timings, declined } = await contest(
    competitors,
    task,
    [images, labels],
    { slowMs: SLOW_MS, ...pace },
    () => null,
    (share) => progress?.((done += share), name),
  );
  // All multiply-accumulates of the graph of the step, and the bytes of its inputs and outputs.
  const { graph } = traceStep(made, optimizerOf(model), batch);
  const macs = macsOfNodes(graph.nodes);
  const bytes = [...graph.inputs, ...graph.outputs].reduce((sum, v) => sum + bytesOf(v.spec), 0);
  const rows: TrainRow[] = [];
  for (const { verdict: _, ...timing } of timings) {
    const [firstLoss = NaN, lastLoss = NaN] = await competitors
      .find((c) => c.name === timing.competitor)!
      .read();
    // NaN and infinity fail the first comparison.
    const verified = Math.abs(lastLoss) < Infinity && lastLoss < firstLoss;
    rows.push({
      case: name,
      ...timing,
      ...speedOf(macs, bytes, timing, machine),
      imagesPerSecond: (1000 * batch) / timing.medianMs,
      verified,
      error: null,
      reason: verified ? undefined : `the loss went from ${firstLoss} to ${lastLoss}`,
      firstLoss,
      lastLoss,
    });
  }
  const versions: Partial<Record<CompetitorName, string>> = Object.fromEntries(
    competitors.map((c) => [c.name, c.version]),
  );
  return {
    machine,
    engine: describeEngine(),
    flags,
    commit: await describeCommit(),
    versions,
    rows,
    ratios: ratiosOf(rows),
    declined: declined.map((d) => ({ case: name, ...d })),
  };
}
