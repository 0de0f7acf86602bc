// The costs that `conv summary` reports, and its options.

import type { Convention, Memory, NumberType, Summary, TrainingMemory } from "@conv/analysis";
import type { DeviceOptions } from "../backend.ts";
import type { Timing } from "../timing.ts";

export interface SummaryOptions extends DeviceOptions {
  readonly input?: readonly number[];
  readonly batch: number;
  readonly convention: Convention;
  readonly backward: boolean;
  readonly depth?: number;
  readonly dtype: NumberType;
  readonly format: "text" | "json" | "csv" | "markdown" | "html";
  readonly json?: boolean;
  readonly out?: string;
  readonly predict: boolean;
  readonly measure: boolean;
  readonly threads?: number;
}

/** All costs of a network. */
export interface Costs {
  readonly summary: Summary;
  readonly inference: Memory;
  /**
   * Of a step with Adam; null where the network cannot be trained with this batch size:
   * `untrainable` says why.
   */
  readonly training: TrainingMemory | null;
  readonly untrainable?: string;
  readonly timing?: Timing;
}

/** Costs when something is doubled; null where the network does not allow it. */
export interface Growth {
  readonly what: string;
  readonly macs: number;
  readonly parameters: number;
  readonly activations: number | null;
}
