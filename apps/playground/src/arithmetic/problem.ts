// Why a setup has no geometry, by the errors of @conv/ops, and changes that fix it.

import { spanOf } from "@conv/ops";
import { isConvError } from "@conv/tensor";
import { failureOf, type Failure } from "../failure.ts";
import { geometryOf } from "./picture.ts";
import type { CountName, Pair, PairName, Setup } from "./setup.ts";

/** A change after which the setup has a geometry. */
export interface Repair {
  readonly names: readonly (PairName | CountName)[];
  /** Their new value, in words. */
  readonly text: string;
  readonly setup: Setup;
}

/** The first rule that a setup breaks; null where it breaks none. */
export function problemOf(setup: Setup): Failure | null {
  try {
    geometryOf(setup);
    return null;
  } catch (error) {
    if (isConvError(error)) return failureOf(error);
    throw error;
  }
}

const both = (value: (axis: 0 | 1) => number): Pair => [value(0), value(1)];
const textOf = ([a, b]: Pair): string => (a === b ? `${a}` : `${a}, ${b}`);
const paddedOf = (s: Setup): Pair => both((a) => s.input[a] + s.padLo[a] + s.padHi[a]);

const STEPS = 8; // rules and axes, each fixed at most once

/**
 * Small changes that each fix a setup; where none does, one change of all parameters, without
 * names.
 */
export function repairsOf(s: Setup): Repair[] {
  const each = changesFor(s).filter((repair) => problemOf(repair.setup) === null);
  if (each.length > 0 || problemOf(s) === null) return each;
  let setup = s;
  for (let i = 0; i < STEPS && problemOf(setup); i++) setup = changesFor(setup)[0]?.setup ?? setup;
  return problemOf(setup) ? [] : [{ names: [], text: "", setup }];
}

/** Changes that fix the first problem of a setup. */
const changesFor = (s: Setup): Repair[] => REPAIRS[problemOf(s)?.code ?? ""]?.(s) ?? [];

const REPAIRS: Readonly<Partial<Record<string, (s: Setup) => Repair[]>>> = {
  "channels-not-divisible": groupRepairs,
  "kernel-exceeds-input": kernelRepairs,
  "output-padding-too-large": (s) => [
    setPair(
      s,
      "outputPadding",
      both((a) => Math.min(s.outputPadding[a], Math.max(s.stride[a], s.dilation[a]) - 1)),
    ),
  ],
  "output-empty": cropRepairs,
};

const setPair = (s: Setup, name: PairName, value: Pair): Repair => ({
  names: [name],
  text: textOf(value),
  setup: { ...s, [name]: value },
});

/** The next numbers of groups that divide all channels, or the next channels that they divide. */
function groupRepairs(s: Setup): Repair[] {
  const fitting = Array.from({ length: Math.min(s.ic, s.oc) }, (_, i) => i + 1).filter(
    (g) => s.ic % g === 0 && s.oc % g === 0,
  );
  const near = [fitting.findLast((g) => g < s.groups), fitting.find((g) => g > s.groups)];
  const next = (channels: number) => Math.ceil(channels / s.groups) * s.groups;
  const [ic, oc] = [next(s.ic), next(s.oc)];
  return [
    ...near.flatMap((groups): Repair[] =>
      groups ? [{ names: ["groups"], text: `${groups}`, setup: { ...s, groups } }] : [],
    ),
    { names: ["ic", "oc"], text: textOf([ic, oc]), setup: { ...s, ic, oc } },
  ];
}

/** Less dilation where that is enough, more padding, or a larger input. */
function kernelRepairs(s: Setup): Repair[] {
  const padded = paddedOf(s);
  const span = spanOf(s.kernel, s.dilation);
  const missing = both((a) => Math.max(0, span[a] - padded[a]));
  const dilation = both((a) =>
    Math.min(s.dilation[a], Math.floor((padded[a] - 1) / Math.max(1, s.kernel[a] - 1))),
  );
  const [padLo, padHi] = [s.padLo, s.padHi].map((pad) =>
    both((a) => pad[a] + Math.ceil(missing[a] / 2)),
  );
  const [lo, hi] = [textOf(padLo), textOf(padHi)];
  return [
    ...(dilation.every((d) => d >= 1) ? [setPair(s, "dilation", dilation)] : []),
    {
      names: ["padLo", "padHi"],
      text: lo === hi ? lo : `${lo} / ${hi}`,
      setup: { ...s, padLo, padHi },
    },
    setPair(
      s,
      "input",
      both((a) => s.input[a] + missing[a]),
    ),
  ];
}

/** Less padding, so that an output is left, or none. */
function cropRepairs(s: Setup): Repair[] {
  const span = spanOf(s.kernel, s.dilation);
  const left = both(
    (a) => (s.input[a] - 1) * s.stride[a] - s.padLo[a] - s.padHi[a] + span[a] + s.outputPadding[a],
  );
  const less = (pad: Pair) =>
    both((a) => Math.max(0, pad[a] - Math.ceil(Math.max(0, 1 - left[a]) / 2)));
  const setup = { ...s, padLo: less(s.padLo), padHi: less(s.padHi) };
  const text = textOf(setup.padLo);
  const names = ["padLo", "padHi"] as const;
  const isEven = text === textOf(setup.padHi) && text !== "0";
  return [
    ...(isEven && problemOf(setup) === null ? [{ names, text, setup }] : []),
    { names, text: "0", setup: { ...s, padLo: [0, 0], padHi: [0, 0] } },
  ];
}
