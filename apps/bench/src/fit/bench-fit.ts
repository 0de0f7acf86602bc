// `bench fit`: measures every kernel that can do a case, fits the prices that estimates are made
// of, and says how good the choices are.

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { createCpu } from "@conv/kernels-cpu";
import { costs, explain, measure, type Caps } from "@conv/kernels-cpu/explain";
import {
  checkFiles,
  printer,
  readResults,
  saveResult,
  saveText,
  type ResultFile,
} from "../files.ts";
import type { SetName } from "../layers.ts";
import { describeCommit, describeEngine } from "../machine.ts";
import { createProgress } from "../progress.ts";
import { table } from "../report/text.ts";
import { geometricMean, median } from "../stats.ts";
import { judge, TOLERANCE, type Reference } from "../verify.ts";
import { fitCases, fitKinds, type FitCase, type Kind } from "./cases.ts";
import {
  AS_GOOD,
  asGood,
  choices,
  fitAll,
  predicted,
  unseenChoices,
  type Choice,
  type MeasuredCase,
  type Prices,
} from "./judgement.ts";
import { costsSource, notesOf, type Mode } from "./source.ts";

export interface FitOptions {
  readonly set: SetName;
  readonly filter: string;
  readonly kinds: readonly Kind[];
  readonly skip: number;
  readonly sample: number;
  readonly seconds: number;
  readonly simd256: boolean;
  readonly rounds: number;
  /** Files of earlier runs; nothing is measured then. */
  readonly from: readonly string[];
  readonly json?: ResultFile;
  readonly write: boolean;
}

/**
 * What `--json` writes and `--from` reads: times alone, so that they can be judged by other ways to
 * count.
 */
export interface FitFile {
  readonly cpu: string;
  readonly node: string;
  readonly commit: string;
  readonly date: string;
  readonly simd256: boolean;
  readonly times: readonly {
    readonly kind: Kind;
    readonly name: string;
    readonly seconds: Readonly<Record<string, number>>;
  }[];
}

const COSTS = new URL("../../../../packages/kernels-cpu/src/kernels/costs.ts", import.meta.url);

export async function benchFit(options: FitOptions): Promise<void> {
  await checkFiles({ json: options.json });
  const files = options.from.length
    ? await readResults<FitFile>(options.from, "times")
    : [await measured(options)];
  await saveResult(options.json, files[0]);
  for (const simd256 of [false, true]) {
    const those = files.filter((file) => file.simd256 === simd256);
    if (those.length) await judged(those, simd256, options);
  }
}

async function measured({
  set,
  filter,
  kinds,
  skip,
  sample,
  seconds,
  simd256,
  rounds,
}: FitOptions): Promise<FitFile> {
  const wanted = fold(filter);
  const cases = fitCases(set, kinds)
    .filter(({ name }) => fold(name).includes(wanted))
    .slice(skip, skip + sample);
  if (cases.length === 0) throw new Error(`no case of ${set} has a name that contains "${filter}"`);
  const cpu = await createCpu({ threads: 1, simd256 });
  if (cpu.simd256Reason) throw new Error(`--simd256: ${cpu.simd256Reason}`);
  const progress = createProgress();
  const times: FitFile["times"][number][] = [];
  const started = performance.now();
  const spent = () => (performance.now() - started) / 1000 / seconds;
  try {
    for (const [i, { kind, name, graph, operands, expected }] of cases.entries()) {
      if (spent() >= 1) break;
      progress.update(Math.max(spent(), i / cases.length), `${kind} ${name}`);
      const candidates = candidatesOf(graph, cpu.caps);
      const kernels = candidates.map((c) => c.kernel);
      const inputs = operands();
      const right = expected(inputs);
      const check = (kernel: string, [result]: readonly Float32Array[]) => {
        const stated = candidates.find((c) => c.kernel === kernel)?.roundoff;
        const { verified, reason } = stated
          ? judge(ofTiles(right), result, Math.max(TOLERANCE, 4 * stated))
          : judge(right, result);
        if (!verified) throw new Error(`${kernel} computes ${kind} ${name} wrongly: ${reason}`);
      };
      const least = await measure(cpu, graph, { inputs, kernels, rounds, check });
      times.push({
        kind,
        name,
        seconds: Object.fromEntries(kernels.map((kernel, k) => [kernel, least[k]])),
      });
    }
  } finally {
    progress.stop();
    cpu.dispose();
  }
  const { cpus } = await import("node:os");
  const date = new Date().toISOString().slice(0, 10);
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    node: describeEngine().node,
    commit: await describeCommit(),
    date,
    simd256,
    times,
  };
}

/**
 * Winograd's stated bound is 2 · roundoff · ε · Σ|x|*·|w|, with |x|* the largest |x| of a tile:
 * outputs of less than middling magnitude (none at all, where a gradient's last inputs were never
 * read) err as their neighbors do.
 */
function ofTiles(right: Reference): Reference {
  const middle = median(right.magnitude);
  return { ...right, magnitude: right.magnitude.map((m) => Math.max(m, middle)) };
}

const fold = (text: string) => text.toLowerCase().replaceAll("×", "x").replaceAll("→", "->");
const candidatesOf = (graph: FitCase["graph"], caps: Caps) =>
  explain(graph, caps)[0].candidates.filter((c) => c.parts.length > 0);

/** Counts again what each kernel did in the cases of some files. */
function counted(files: readonly FitFile[], caps: Caps): MeasuredCase[] {
  const known = new Map(fitCases("all", fitKinds).map((c) => [`${c.kind} ${c.name}`, c]));
  return files.flatMap(({ times }) =>
    times.flatMap(({ kind, name, seconds }) => {
      const found = known.get(`${kind} ${name}`);
      if (!found) return [];
      const kernels = candidatesOf(found.graph, caps).flatMap(({ kernel, estimate, parts }) =>
        kernel in seconds
          ? [
              {
                kernel,
                estimate,
                amounts: Object.fromEntries(parts.map((p) => [p.kind, p.amount])),
                seconds: seconds[kernel],
              },
            ]
          : [],
      );
      return kernels.length ? [{ kind, name, kernels }] : [];
    }),
  );
}

async function judged(
  files: readonly FitFile[],
  simd256: boolean,
  options: Pick<FitOptions, "json" | "write">,
): Promise<void> {
  const cpu = await createCpu({ threads: 1 });
  const cases = counted(files, { ...cpu.caps, simd256 });
  cpu.dispose();
  const prices = fitAll(cases);
  const mode: Mode = simd256 ? "simd256" : "plain";
  printer(options)(
    `${mode}, ${cases.length} cases\n\n${report(cases, prices)}\n\n${pricesText(cases, prices)}\n`,
  );
  if (!options.write) return;
  const [{ cpu: model, node }] = files;
  const dates = [...new Set(files.map((f) => f.date))].join(" and ");
  const note = `${model}, one thread, Node ${node}, ${dates}, ${cases.length} cases of \`bench fit${simd256 ? " --simd256" : ""}\`.`;
  const notes = { ...notesOf(await readFile(COSTS, "utf8")), [mode]: note };
  // Imported again: the other mode may have written the file in this run.
  const tables = { ...costs, ...(await import(`${COSTS.href}?${mode}`)).costs };
  await saveText(
    fileURLToPath(COSTS),
    costsSource({ ...tables, [mode]: { ...tables[mode], ...prices } }, notes),
  );
}

/**
 * How often the choice is as good as the best: by the prices that stand, by those fitted, by those
 * fitted to three quarters of the cases in the last one; and the worst.
 */
function report(cases: readonly MeasuredCase[], prices: Prices): string {
  const [before, after, unseen] = [choices(cases), choices(cases, prices), unseenChoices(cases)];
  const percent = (list: readonly Choice[]) =>
    `${asGood(list)} of ${list.length} (${((100 * asGood(list)) / list.length).toFixed(0)} %)`;
  const mean = (list: readonly Choice[]) =>
    `${(100 * (geometricMean(list.map((c) => c.ratio)) - 1)).toFixed(1)} %`;
  const lines = [...fitKinds.filter((kind) => cases.some((c) => c.kind === kind)), "all"].map(
    (kind) => {
      return [
        kind,
        ...[before, after, unseen]
          .map((list) => list.filter((c) => kind === "all" || c.kind === kind))
          .flatMap((own) => [percent(own), mean(own)]),
      ];
    },
  );
  const worst = after.filter((c) => c.ratio > 1 + AS_GOOD).toSorted((a, b) => b.ratio - a.ratio);
  return [
    `The chosen kernel is within ${100 * AS_GOOD} % of the best measured one, and what all choices lose (geometric mean):`,
    table([["", "before", "lost", "fitted", "lost", "fitted to other cases", "lost"], ...lines]),
    worst.length
      ? `The worst choices:\n${table([["case", "chosen", "best", "time / best's"], ...worst.slice(0, 15).map(worstLine)])}`
      : "",
  ]
    .filter(Boolean)
    .join("\n\n");
}

const worstLine = ({ kind, name, chosen, best, ratio }: Choice) => [
  `${kind} ${name}`,
  chosen,
  best,
  ratio.toFixed(2),
];

/** The fitted prices, and how far estimates by them are off in the middle. */
function pricesText(cases: readonly MeasuredCase[], prices: Prices): string {
  const lines = Object.entries(prices).map(([kernel, row]) => {
    const own = cases.flatMap((c) => c.kernels.filter((k) => k.kernel === kernel));
    const error = (estimate: (k: (typeof own)[number]) => number) =>
      median(own.map((k) => Math.abs(estimate(k) / k.seconds - 1)));
    const [before, after] = [error((k) => k.estimate), error((k) => predicted(k.amounts, row))].map(
      (e) => `${(100 * e).toFixed(0)} %`,
    );
    const costs = Object.entries(row).map(([kind, ns]) => `${kind} ${ns}`);
    return [kernel, `${own.length}`, before, after, costs.join(", ")];
  });
  return `Prices in nanoseconds, and the median error of estimates before and by them:\n${table([["kernel", "cases", "before", "fitted", "prices"], ...lines])}`;
}
