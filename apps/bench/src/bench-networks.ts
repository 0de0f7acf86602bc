// `bench networks`: whole networks on one batch of images, verified, one network after another; and
// the time of each competitor from graph and weights to the first outputs, in a separate process
// that has loaded its library.

import { traceModel } from "@conv/layers";
import { models } from "@conv/layers/models";
import { Declined, isHalf, type Competitor, type CompetitorName } from "./competitor.ts";
import { contest, type Pace } from "./contest.ts";
import { evaluateBatch64, judgeBatch, TOLERANCE, TOLERANCE_F16 } from "./judge.ts";
import { describeCommit, describeEngine, type Machine } from "./machine.ts";
import { networkCase } from "./networks.ts";
import {
  ratiosOf,
  speedOf,
  type NetworkResult,
  type NetworkRow,
  type Row,
} from "./report/result.ts";
import { median } from "./stats.ts";
import type { Task } from "./task.ts";

export interface NetworksOptions extends Pace {
  readonly models: readonly string[];
  readonly batch: number;
  /** Starts of each competitor on each network, each in a new process. */
  readonly starts: number;
  readonly competitors: readonly Competitor[];
  readonly restart: (name: CompetitorName) => Promise<Competitor>;
  readonly machine: Machine;
  readonly flags: readonly string[];
  readonly progress?: (done: number, name: string) => void;
  readonly caseDone?: (
    name: string,
    rows: readonly Row[],
    declined: NetworkResult["declined"],
  ) => void;
}

/** Networks take longer than layers: up to this time they are measured as often. */
const SLOW_MS = 10_000;

export async function benchNetworks({
  models: chosen,
  batch,
  starts,
  competitors,
  restart,
  machine,
  flags,
  progress,
  caseDone,
  ...pace
}: NetworksOptions): Promise<NetworkResult> {
  const rows: NetworkRow[] = [];
  const declined: NetworkResult["declined"][number][] = [];
  let done = 0;
  const step = (share: number, name: string) => progress?.((done += share / chosen.length), name);
  for (const model of chosen) {
    const name = batch === 1 ? model : `${model} batch ${batch}`;
    step(0, `${name}, the reference in float64`);
    const { peers, operands, macs } = networkCase(model, batch);
    const expected = evaluateBatch64(
      traceModel(models[model](), { batch: 1 }).graph,
      batch,
      operands,
    );
    const task = { kind: "network", model, batch, threads: machine.threads, graph: peers } as const;
    const met = await contest(
      competitors,
      task,
      operands,
      { slowMs: SLOW_MS, ...pace },
      (result, competitor) =>
        judgeBatch(expected, result, isHalf(competitor) ? TOLERANCE_F16 : TOLERANCE),
      (share) => step(share * 0.7, name),
    );
    const first = new Map<CompetitorName, number[]>(
      met.timings.map(({ competitor }) => [competitor, []]),
    );
    for (let i = 0; i < starts; i++)
      for (const [competitor, times] of first) {
        times.push(await startOnce(() => restart(competitor), task, operands));
        step(0.3 / starts / first.size, `${name}, start`);
      }
    const bytes = operands.reduce((sum, x) => sum + x.byteLength, 0);
    const made = met.timings.map(({ verdict, ...timing }): NetworkRow => ({
      case: name,
      ...timing,
      ...speedOf(macs, bytes, timing, machine),
      verified: verdict.verified,
      error: Number.isFinite(verdict.error) ? verdict.error : null,
      reason: verdict.reason,
      startsMs: first.get(timing.competitor)!,
    }));
    const refused = met.declined.map((d) => ({ case: name, ...d }));
    rows.push(...made);
    declined.push(...refused);
    caseDone?.(name, made, refused);
  }
  return {
    machine,
    engine: describeEngine(),
    flags,
    commit: await describeCommit(),
    direction: "networks",
    versions: Object.fromEntries(competitors.map((c) => [c.name, c.version])),
    rows,
    ratios: ratiosOf(rows),
    startRatios: ratiosOf(
      rows.flatMap((r) => (r.startsMs.length ? [{ ...r, medianMs: median(r.startsMs) }] : [])),
    ),
    declined,
  };
}

async function startOnce(
  begin: () => Promise<Competitor>,
  task: Task,
  operands: readonly Float32Array[],
): Promise<number> {
  const competitor = await begin();
  try {
    const { startMs } = await competitor.prepare(task, operands);
    if (startMs === undefined)
      throw new Declined(`${competitor.name} does not say how long it took to start`);
    return startMs;
  } finally {
    competitor.end();
  }
}
