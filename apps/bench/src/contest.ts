// Measures one task on all competitors: verifies each answer, warms up, then lets them take turns,
// so that other load on the machine affects all equally.

import { Declined, type Competitor, type CompetitorName } from "./competitor.ts";
import { median, quantile } from "./stats.ts";
import type { Task } from "./task.ts";

export interface Pace {
  /** Turns of each competitor. */
  readonly rounds: number;
  /** Time of a turn. */
  readonly turnMs: number;
  /**
   * A call slower than this is not warmed up, and measured no more than twice; five times slower,
   * once.
   */
  readonly slowMs?: number;
  /** Whether the first call compiles, so that the second one counts. */
  readonly compiles?: boolean;
}

export interface Timing {
  readonly competitor: CompetitorName;
  readonly medianMs: number;
  readonly p10Ms: number;
  readonly p90Ms: number;
  readonly calls: number;
  /** By the clock of the device, where the competitor reports it. */
  readonly deviceMs?: number;
  readonly kernels: readonly string[];
}
export interface Refusal {
  readonly competitor: CompetitorName;
  readonly reason: string;
}

export interface Contest<V> {
  readonly timings: readonly (Timing & { readonly verdict: V })[];
  readonly declined: readonly Refusal[];
}

/**
 * `verify` gets the result of the first call of each competitor. `step` is called after each part,
 * with its share of the whole.
 */
export async function contest<V>(
  competitors: readonly Competitor[],
  task: Task,
  operands: readonly ArrayBufferView[],
  { rounds, turnMs, slowMs = 1000, compiles = false }: Pace,
  verify: (result: Float32Array, competitor: CompetitorName) => V,
  step: (share: number) => void = () => {},
): Promise<Contest<V>> {
  const declined: Refusal[] = [];
  const taking: {
    competitor: Competitor;
    kernels: readonly string[];
    verdict: V;
    turns: number;
    times: number[];
  }[] = [];
  const share = 1 / (competitors.length * (rounds + 4));
  for (const competitor of competitors) {
    try {
      const { kernels } = await competitor.prepare(task, operands);
      let [first] = await competitor.time(0, 1);
      if (compiles) [first] = await competitor.time(0, 1);
      const verdict = verify(await competitor.read(), competitor.name);
      const slow = first > slowMs;
      if (!slow) await competitor.time(4 * turnMs, 2);
      taking.push({
        competitor,
        kernels,
        verdict,
        turns: slow ? Number(first < 5 * slowMs) : rounds,
        times: slow ? [first] : [],
      });
    } catch (error) {
      if (!(error instanceof Declined)) throw error;
      declined.push({ competitor: competitor.name, reason: error.message });
    }
    step(4 * share);
  }
  for (let round = 0; round < rounds; round++)
    for (const { competitor, turns, times } of taking) {
      if (round < turns) times.push(...(await competitor.time(turnMs, 1)));
      step(share);
    }
  const timings: (Timing & { readonly verdict: V })[] = [];
  for (const { competitor, kernels, verdict, times } of taking) {
    const deviceMs = await competitor.clock().catch(() => null);
    timings.push({
      competitor: competitor.name,
      medianMs: median(times),
      p10Ms: quantile(times, 0.1),
      p90Ms: quantile(times, 0.9),
      calls: times.length,
      ...(deviceMs === null ? {} : { deviceMs }),
      kernels,
      verdict,
    });
  }
  return { timings, declined };
}
