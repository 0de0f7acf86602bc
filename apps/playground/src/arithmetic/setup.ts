// The parameters of the arithmetic page: their ranges, and their form in the address.

import type { Address } from "../url.ts";

/** Height and width. */
export type Pair = readonly [number, number];

export interface Setup {
  readonly transposed: boolean;
  readonly input: Pair;
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
  /** Top and left. */
  readonly padLo: Pair;
  /** Bottom and right. */
  readonly padHi: Pair;
  /** Only a transposed convolution has it. */
  readonly outputPadding: Pair;
  readonly ic: number;
  readonly oc: number;
  readonly groups: number;
}

/** What the picture can still show; the geometry itself knows no upper limit. */
export const RANGES = {
  input: [1, 12],
  kernel: [1, 7],
  stride: [1, 5],
  dilation: [1, 4],
  padLo: [0, 4],
  padHi: [0, 4],
  outputPadding: [0, 4],
  ic: [1, 4],
  oc: [1, 4],
  groups: [1, 4],
} as const satisfies Record<Exclude<keyof Setup, "transposed">, readonly [number, number]>;

export type PairName = "input" | "kernel" | "stride" | "dilation" | "padLo" | "padHi" | "outputPadding";
export type CountName = "ic" | "oc" | "groups";
const PAIRS: readonly PairName[] = ["input", "kernel", "stride", "dilation", "padLo", "padHi", "outputPadding"];
const COUNTS: readonly CountName[] = ["ic", "oc", "groups"];

export const DEFAULTS: Setup = {
  transposed: false,
  input: [7, 7],
  kernel: [3, 3],
  stride: [2, 2],
  dilation: [1, 1],
  padLo: [1, 1],
  padHi: [1, 1],
  outputPadding: [0, 0],
  ic: 1,
  oc: 1,
  groups: 1,
};

const square = (v: number): Pair => [v, v];

/** Named starting points, as in Dumoulin and Visin's guide to convolution arithmetic (arXiv 1603.07285). */
export const PRESETS = {
  valid: { ...DEFAULTS, input: square(6), stride: square(1), padLo: square(0), padHi: square(0) },
  same: { ...DEFAULTS, input: square(5), stride: square(1) },
  strided: DEFAULTS,
  dilated: { ...DEFAULTS, stride: square(1), dilation: square(2), padLo: square(0), padHi: square(0) },
  uneven: { ...DEFAULTS, input: [5, 7], kernel: [3, 2], stride: [1, 2], padLo: [2, 0], padHi: [0, 1] },
  depthwise: { ...DEFAULTS, input: square(5), stride: square(1), ic: 3, oc: 3, groups: 3 },
  transposed: { ...DEFAULTS, transposed: true, input: square(3), outputPadding: square(0) },
} as const satisfies Record<string, Setup>;

export type PresetName = keyof typeof PRESETS;

export const clamp = (value: number, [lo, hi]: readonly [number, number]): number => Math.max(lo, Math.min(hi, Math.round(value)));

const formatPair = ([a, b]: Pair): string => (a === b ? `${a}` : `${a},${b}`);

function parsePair(text: string | undefined, range: readonly [number, number], fallback: Pair): Pair {
  const numbers = (text ?? "").split(",").map((part) => Number.parseInt(part, 10));
  if (numbers.length > 2 || numbers.some((v) => !Number.isFinite(v))) return fallback;
  const [a, b = a] = numbers.map((v) => clamp(v, range));
  return [a, b];
}

/** Reads a setup from an address; what is missing or makes no sense takes its default, what is out of range its nearest. */
export function readSetup({ params }: Address): Setup {
  const pairs = Object.fromEntries(PAIRS.map((name) => [name, parsePair(params.get(name), RANGES[name], DEFAULTS[name])]));
  const counts = Object.fromEntries(COUNTS.map((name) => [name, parsePair(params.get(name), RANGES[name], square(DEFAULTS[name]))[0]]));
  return { ...DEFAULTS, ...pairs, ...counts, transposed: params.get("transposed") === "1" };
}

/** The parameters of an address that differ from the defaults; null for the others, which removes them. */
export function writeSetup(setup: Setup): Record<string, string | null> {
  const written: Record<string, string | null> = { transposed: setup.transposed ? "1" : null };
  for (const name of PAIRS) {
    const text = formatPair(setup[name]);
    written[name] = text === formatPair(DEFAULTS[name]) ? null : text;
  }
  for (const name of COUNTS) written[name] = setup[name] === DEFAULTS[name] ? null : `${setup[name]}`;
  return written;
}
