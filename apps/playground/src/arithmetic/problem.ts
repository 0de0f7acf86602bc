// What keeps a setup from having a geometry, found from its numbers, and what would mend it. The
// page words both.

import type { CountName, Pair, PairName, Setup } from "./setup.ts";

/** The rule that is broken, with its numbers; `axis` is height or width. */
export type Problem =
  | {
      readonly kind: "kernel";
      readonly axis: 0 | 1;
      readonly span: number;
      readonly padded: number;
    }
  | {
      readonly kind: "groups";
      readonly channels: number;
      readonly side: "ic" | "oc";
      readonly groups: number;
    }
  | {
      readonly kind: "outputPadding";
      readonly axis: 0 | 1;
      readonly given: number;
      readonly most: number;
    }
  | { readonly kind: "cropped"; readonly axis: 0 | 1; readonly left: number };

/** A parameter set so that the setup fits. */
export interface Repair {
  readonly names: readonly (PairName | CountName)[];
  readonly text: string;
  readonly setup: Setup;
}

const AXES = [0, 1] as const;
const spanOf = (s: Setup, axis: 0 | 1): number => (s.kernel[axis] - 1) * s.dilation[axis] + 1;
const paddedOf = (s: Setup, axis: 0 | 1): number => s.input[axis] + s.padLo[axis] + s.padHi[axis];
/** The output of a transposed convolution along an axis. */
const grownTo = (s: Setup, axis: 0 | 1): number =>
  (s.input[axis] - 1) * s.stride[axis] -
  s.padLo[axis] -
  s.padHi[axis] +
  spanOf(s, axis) +
  s.outputPadding[axis];
const paddingAt = (s: Setup, axis: 0 | 1): number => Math.max(s.stride[axis], s.dilation[axis]) - 1;

/** The first rule that a setup breaks; null where it fits together. */
export function problemOf(s: Setup): Problem | null {
  for (const side of ["ic", "oc"] as const)
    if (s[side] % s.groups) return { kind: "groups", side, channels: s[side], groups: s.groups };
  for (const axis of AXES) {
    if (!s.transposed) {
      const [span, padded] = [spanOf(s, axis), paddedOf(s, axis)];
      if (span > padded) return { kind: "kernel", axis, span, padded };
      continue;
    }
    const most = paddingAt(s, axis);
    if (s.outputPadding[axis] > most)
      return { kind: "outputPadding", axis, given: s.outputPadding[axis], most };
    const left = grownTo(s, axis);
    if (left < 1) return { kind: "cropped", axis, left };
  }
  return null;
}

const both = (value: (axis: 0 | 1) => number): Pair => [value(0), value(1)];
const gcd = (a: number, b: number): number => (b ? gcd(b, a % b) : a);
const textOf = ([a, b]: Pair): string => (a === b ? `${a}` : `${a}, ${b}`);

const STEPS = 8; // rules and axes, each mended at most once

/**
 * Small changes that mend a setup, each alone; where none does, all that it takes, under no name.
 */
export function repairsOf(s: Setup): Repair[] {
  const each = changesFor(s).filter((repair) => problemOf(repair.setup) === null);
  if (each.length > 0 || problemOf(s) === null) return each;
  let setup = s;
  for (let i = 0; i < STEPS && problemOf(setup); i++) setup = changesFor(setup)[0]?.setup ?? setup;
  return problemOf(setup) ? [] : [{ names: [], text: "", setup }];
}

/** Changes after which the first rule that a setup breaks is met. */
function changesFor(s: Setup): Repair[] {
  const problem = problemOf(s);
  const pair = (name: PairName, value: Pair): Repair => ({
    names: [name],
    text: textOf(value),
    setup: { ...s, [name]: value },
  });
  const found: Repair[] = [];
  switch (problem?.kind) {
    case "groups": {
      const common = gcd(s.ic, s.oc);
      const fitting = Array.from({ length: Math.min(common, 65536) }, (_, i) => i + 1).filter(
        (g) => common % g === 0,
      );
      const near = [fitting.findLast((g) => g < s.groups), fitting.find((g) => g > s.groups)];
      for (const groups of near)
        if (groups) found.push({ names: ["groups"], text: `${groups}`, setup: { ...s, groups } });
      const next = (channels: number) => Math.ceil(channels / s.groups) * s.groups;
      found.push({
        names: ["ic", "oc"],
        text: textOf([next(s.ic), next(s.oc)]),
        setup: { ...s, ic: next(s.ic), oc: next(s.oc) },
      });
      break;
    }
    case "kernel": {
      const missing = both((a) => Math.max(0, spanOf(s, a) - paddedOf(s, a)));
      const dilation = both((a) =>
        Math.min(s.dilation[a], Math.floor((paddedOf(s, a) - 1) / Math.max(1, s.kernel[a] - 1))),
      );
      if (dilation.every((d) => d >= 1)) found.push(pair("dilation", dilation));
      const [lo, hi] = [
        both((a) => s.padLo[a] + Math.ceil(missing[a] / 2)),
        both((a) => s.padHi[a] + Math.ceil(missing[a] / 2)),
      ];
      found.push({
        names: ["padLo", "padHi"],
        text: textOf(lo) === textOf(hi) ? textOf(lo) : `${textOf(lo)} / ${textOf(hi)}`,
        setup: { ...s, padLo: lo, padHi: hi },
      });
      found.push(
        pair(
          "input",
          both((a) => s.input[a] + missing[a]),
        ),
      );
      break;
    }
    case "outputPadding":
      found.push(
        pair(
          "outputPadding",
          both((a) => Math.min(s.outputPadding[a], paddingAt(s, a))),
        ),
      );
      break;
    case "cropped": {
      const less = (name: "padLo" | "padHi") =>
        both((a) => Math.max(0, s[name][a] - Math.ceil(Math.max(0, 1 - grownTo(s, a)) / 2)));
      const setup = { ...s, padLo: less("padLo"), padHi: less("padHi") };
      found.push({
        names: ["padLo", "padHi"],
        text: "0",
        setup: { ...s, padLo: [0, 0], padHi: [0, 0] },
      });
      if (
        problemOf(setup) === null &&
        textOf(setup.padLo) === textOf(setup.padHi) &&
        textOf(setup.padLo) !== "0"
      )
        found.unshift({ names: ["padLo", "padHi"], text: textOf(setup.padLo), setup });
      break;
    }
  }
  return found;
}
