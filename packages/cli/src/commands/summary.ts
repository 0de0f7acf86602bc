// `conv summary`: what each layer of a network costs, as a table or as JSON.

import { formatSummary, summarise } from "@conv/analysis";
import { traceModel } from "@conv/layers";
import { modelOf } from "../model.ts";
import { columns } from "../terminal.ts";

export interface SummaryOptions {
  readonly input?: readonly number[];
  readonly batch: number;
  readonly format: "text" | "json";
}

export function summary(name: string, { input, batch, format }: SummaryOptions): void {
  const model = modelOf(name);
  const result = summarise(traceModel(input ? { ...model, input } : model, { batch }));
  console.log(format === "json" ? JSON.stringify(result, null, 2) : formatSummary(result, { width: columns() }));
}
