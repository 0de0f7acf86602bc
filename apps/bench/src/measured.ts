// What all comparisons have in common: which competitors meet, where they run, the bar while they
// do, and the figures in a file.

import type { AdapterName } from "./browser.ts";
import {
  isPython,
  ownNames,
  peerNames,
  type Competitor,
  type CompetitorName,
} from "./competitor.ts";
import type { Device } from "./engines/context.ts";
import { checkFiles, printer, saveResult, type ResultFile } from "./files.ts";
import { describeEngine, type Machine } from "./machine.ts";
import { SHARE } from "./pace.ts";
import { ensurePeers } from "./peers.ts";
import { openPlace, type Place } from "./places.ts";
import { createProgress, type Progress } from "./progress.ts";
import type { NetworkResult, Result, TrainResult } from "./report/result.ts";
import { describe } from "./report/text.ts";

/** Options of every comparison. */
export interface Shared {
  readonly device: Device;
  readonly in: "node" | "browser";
  readonly adapter: AdapterName;
  readonly against: readonly string[];
  readonly threads: number;
  readonly flags: readonly string[];
  readonly simd256: boolean;
  readonly rounds: number;
  readonly json?: ResultFile;
  readonly html?: string;
}

/** Short names of libraries that have another package on each device. */
const aliases: Record<Device, Readonly<Record<string, CompetitorName>>> = {
  cpu: { tfjs: "tfjs-wasm", jax: "jax-js" },
  gpu: { tfjs: "tfjs-webgpu", jax: "jax-js" },
};

const ownCompetitor = (name: string): boolean =>
  ["conv", ...ownNames.cpu, ...ownNames.gpu].includes(name);

/** One line on stderr. */
export const say = (line: string) => void process.stderr.write(`${line}\n`);

/** What a comparison is given. */
export interface Measuring {
  readonly competitors: Competitor[];
  readonly machine: Machine;
  readonly flags: string[];
  readonly turnMs: number;
  readonly compiles: boolean;
  readonly restart: Place["startAlone"];
}

/**
 * Starts the competitors, shows a bar while `measure` runs, ends them, and writes the JSON. A
 * refused answer, or a case that Conv declines, makes the exit code 1.
 */
export async function measured<
  R extends Pick<Result | TrainResult | NetworkResult, "rows" | "declined">,
>(options: Shared, measure: (shared: Measuring, progress: Progress) => Promise<R>): Promise<R> {
  const wanted = competitorsOf(options);
  await checkFiles({ json: options.json, html: options.html });
  if (wanted.some((name) => !isPython(name) && !ownCompetitor(name))) await ensurePeers(say);
  const place = await openPlace({ ...options, where: options.in });
  try {
    const { machine } = place;
    const print = printer(options);
    print(`${describe(machine, describeEngine().node)}\n`);
    const competitors = await startAll(place, wanted);
    // as they are recorded
    const flags = [...options.flags, ...(options.simd256 ? ["simd256"] : [])];
    const progress = createProgress(print);
    try {
      const shared = {
        competitors,
        machine,
        flags,
        turnMs: 50 * SHARE,
        compiles: options.device === "gpu",
        restart: place.startAlone,
      };
      const result = await measure(shared, progress);
      await saveResult(options.json, result);
      const absent =
        !competitors.some((c) => c.name === "conv") ||
        result.declined.some((d) => d.competitor === "conv");
      if (absent || result.rows.some((row) => !row.verified)) process.exitCode = 1;
      return result;
    } finally {
      progress.stop();
      competitors.forEach((c) => c.end());
    }
  } finally {
    await place.close();
  }
}

/**
 * Conv and the others that are asked for, by the names that they have on the device. Throws an
 * Error where one does not run there.
 */
function competitorsOf({
  against: others,
  device: on,
  in: where,
  threads: count,
}: Shared): CompetitorName[] {
  if (on === "gpu" && count > 1)
    throw new Error("--threads is of the CPU: a GPU takes as many as it has");
  if (on === "cpu" && where === "browser")
    throw new Error("--in browser measures WebGPU: say --device gpu");
  const known = ["conv", ...ownNames[on], ...peerNames[on]].filter(
    (name) => where === "node" || !["ort-node", "torch", "torch-f16"].includes(name),
  );
  const asked = others.includes("all")
    ? known.filter((name) => !ownCompetitor(name))
    : others.map((name) => aliases[on][name] ?? name);
  return ["conv", ...asked].map((name): CompetitorName => {
    const found = [
      ...Object.values(ownNames).flat(),
      ...Object.values(peerNames).flat(),
      "conv" as const,
    ].find((n) => n === name && known.includes(n));
    if (!found)
      throw new Error(
        `${name} does not run ${where === "browser" ? "in a browser" : `on the ${on.toUpperCase()}`}: ` +
          `${known.slice(1).join(", ")} do`,
      );
    if (found === "one-thread" && count === 1)
      throw new Error(
        "--against one-thread compares Conv on more threads with itself: say how many by --threads",
      );
    return found;
  });
}

/** The competitors that come up; of the others, one line says why not. */
async function startAll(place: Place, wanted: readonly CompetitorName[]): Promise<Competitor[]> {
  const started: Competitor[] = [];
  for (const name of wanted) {
    try {
      started.push(await place.start(name));
    } catch (error) {
      say(error instanceof Error ? error.message : String(error));
    }
  }
  if (started.length === 0) throw new Error("no competitor could be started");
  return started;
}
