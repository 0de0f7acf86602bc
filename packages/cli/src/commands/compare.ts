// `conv compare`: the costs of two networks, side by side.

import {
  compare,
  formatBytes,
  formatCount,
  summarize,
  wrap,
  type ComparedCount,
} from "@conv/analysis";
import { traceModel } from "@conv/layers";
import { modelOf } from "../model.ts";
import { print } from "../output.ts";
import { aligned } from "../table.ts";
import { colorsOf, columns } from "../terminal.ts";

export interface CompareOptions {
  readonly input?: readonly number[];
  readonly batch: number;
  readonly json: boolean;
}

export function compareModels(
  first: string,
  second: string,
  { input, batch, json }: CompareOptions,
): void {
  const [a, b] = [first, second].map((name) => {
    const model = modelOf(name);
    return summarize(traceModel(input ? { ...model, input } : model, { batch }));
  });
  const comparison = compare(a, b);
  if (json) {
    print(JSON.stringify(comparison, null, 2));
    return;
  }
  const color = colorsOf(process.stdout);
  const format = ({ key }: ComparedCount, n: number) =>
    key.endsWith("Bytes") ? formatBytes(n) : formatCount(n);
  const [head, ...lines] = aligned([
    ["", comparison.a, comparison.b, "ratio"],
    ["input", ...comparison.inputs.map((shape) => shape.join("×")), ""],
    ...comparison.counts.map((c) => [
      c.key,
      format(c, c.a),
      format(c, c.b),
      c.ratio === null
        ? "–"
        : c.ratio < 1000
          ? c.ratio.toFixed(3)
          : formatCount(Math.round(c.ratio)),
    ]),
  ]);
  const meanings = new Map<string, string[]>();
  for (const { key, means } of comparison.counts)
    meanings.set(means, [...(meanings.get(means) ?? []), key]);
  const notes = [
    `ratio: ${comparison.b} to ${comparison.a}`,
    ...[...meanings].map(([means, keys]) => `${keys.join(", ")}: ${means}`),
  ].flatMap((note) => wrap(note, columns()));
  print([color.bold(head), ...lines, "", ...notes.map((line) => color.dim(line))].join("\n"));
}
