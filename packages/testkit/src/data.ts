// Numbers for tests, the same in every run: each tensor is drawn from a seed that is a text, such
// as the name of its case.

import { caseInputs, type CaseData } from "@conv/ops/cases";
import { hostArray, type HostArray, type Spec } from "@conv/tensor";

/** A seed from a text: FNV-1a. */
export function seedOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}

/** Values for specs, exact in their dtypes; the same data, specs and seed give the same values. */
export const drawAll = (
  inputs: readonly Spec[],
  data: CaseData | undefined,
  seed: string,
): HostArray[] =>
  caseInputs({ inputs, data }, seedOf(seed)).map((values, i) =>
    hostArray(inputs[i], Float64Array.from(values)),
  );

/** Values for one spec. */
export const draw = (s: Spec, data: CaseData | undefined, seed: string): HostArray =>
  drawAll([s], data, seed)[0];
