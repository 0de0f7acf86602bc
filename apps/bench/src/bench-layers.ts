// `bench layers`: every selected layer on every competitor, verified, one case after another.

import { sizeOf } from "@conv/tensor";
import { isHalf, type Competitor, type CompetitorName } from "./competitor.ts";
import { contest, type Pace } from "./contest.ts";
import { macsOf, shapesOf, type Direction, type LayerCase } from "./layers.ts";
import { describeCommit, describeEngine, type Machine } from "./machine.ts";
import { operand } from "./random.ts";
import { ratiosOf, speedOf, type Result, type Row } from "./report/result.ts";
import { judge, reference, TOLERANCE, TOLERANCE_F16 } from "./verify.ts";

export interface LayersOptions extends Pace {
  readonly cases: readonly LayerCase[];
  readonly competitors: readonly Competitor[];
  readonly direction: Direction;
  readonly machine: Machine;
  readonly flags: readonly string[];
  /** No layer but the first starts after so many seconds. */
  readonly seconds?: number;
  /** Called with the completed share of the whole and the current case. */
  readonly progress?: (done: number, name: string) => void;
  readonly caseDone?: (name: string, rows: readonly Row[], declined: Result["declined"]) => void;
}

export async function benchLayers({
  cases,
  competitors,
  direction,
  machine,
  flags,
  seconds = Infinity,
  progress,
  caseDone,
  ...pace
}: LayersOptions): Promise<Result> {
  const rows: Row[] = [];
  const declined: Result["declined"][number][] = [];
  let done = 0;
  const end = performance.now() + 1000 * seconds;
  for (const [i, { name, geometry }] of cases.entries()) {
    if (i && performance.now() > end) break;
    const { operands: shapes, result } = shapesOf(direction, geometry);
    const [a, b] = shapes;
    const operands = [operand(1, sizeOf(a)), operand(2, sizeOf(b))] as const;
    const expected = reference(direction, geometry, ...operands);
    const task = { kind: "layer", direction, geometry, threads: machine.threads } as const;
    const met = await contest(
      competitors,
      task,
      operands,
      pace,
      (answer, competitor) =>
        judge(expected, answer, isHalf(competitor) ? TOLERANCE_F16 : TOLERANCE),
      (share) => progress?.((done += share / cases.length), name),
    );
    const bytes = 4 * (sizeOf(a) + sizeOf(b) + sizeOf(result));
    const made = met.timings.map(({ verdict, ...timing }): Row => ({
      case: name,
      ...timing,
      ...speedOf(macsOf(geometry), bytes, timing, machine),
      verified: verdict.verified,
      error: Number.isFinite(verdict.error) ? verdict.error : null,
      reason: verdict.reason,
    }));
    const refused = met.declined.map((d) => ({ case: name, ...d }));
    rows.push(...made);
    declined.push(...refused);
    caseDone?.(name, made, refused);
  }
  const versions: Partial<Record<CompetitorName, string>> = Object.fromEntries(
    competitors.map((c) => [c.name, c.version]),
  );
  return {
    machine,
    engine: describeEngine(),
    flags,
    commit: await describeCommit(),
    direction,
    versions,
    rows,
    ratios: ratiosOf(rows),
    declined,
  };
}
