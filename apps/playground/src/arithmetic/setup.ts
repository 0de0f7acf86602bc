// The parameters of the arithmetic page: their ranges, and their form in the address.

import { reader, type Unused } from "../parameters.ts";
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

/** The valid whole numbers, from and to. The page shows the numbers for all of them. */
export const RANGES = {
  input: [1, 16384],
  kernel: [1, 1024],
  stride: [1, 1024],
  dilation: [1, 1024],
  padLo: [0, 1024],
  padHi: [0, 1024],
  outputPadding: [0, 1023],
  ic: [1, 65536],
  oc: [1, 65536],
  groups: [1, 65536],
} as const satisfies Record<Exclude<keyof Setup, "transposed">, readonly [number, number]>;

/** The largest values that the picture can show. */
export const PICTURE = {
  input: 12,
  kernel: 7,
  stride: 5,
  dilation: 4,
  padLo: 4,
  padHi: 4,
  outputPadding: 4,
  ic: 4,
  oc: 4,
  groups: 4,
} as const satisfies Record<keyof typeof RANGES, number>;

/** The largest number of cells of input, padding and output in the picture. */
export const PICTURE_CELLS = 2500;

export type PairName =
  | "input"
  | "kernel"
  | "stride"
  | "dilation"
  | "padLo"
  | "padHi"
  | "outputPadding";
export type CountName = "ic" | "oc" | "groups";
const PAIRS: readonly PairName[] = [
  "input",
  "kernel",
  "stride",
  "dilation",
  "padLo",
  "padHi",
  "outputPadding",
];
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

/**
 * Named starting points, as in Dumoulin and Visin's guide to convolution arithmetic (arXiv
 * 1603.07285).
 */
export const PRESETS = {
  valid: { ...DEFAULTS, input: square(6), stride: square(1), padLo: square(0), padHi: square(0) },
  same: { ...DEFAULTS, input: square(5), stride: square(1) },
  strided: DEFAULTS,
  dilated: {
    ...DEFAULTS,
    stride: square(1),
    dilation: square(2),
    padLo: square(0),
    padHi: square(0),
  },
  uneven: {
    ...DEFAULTS,
    input: [5, 7],
    kernel: [3, 2],
    stride: [1, 2],
    padLo: [2, 0],
    padHi: [0, 1],
  },
  depthwise: { ...DEFAULTS, input: square(5), stride: square(1), ic: 3, oc: 3, groups: 3 },
  transposed: { ...DEFAULTS, transposed: true, input: square(3), outputPadding: square(0) },
} as const satisfies Record<string, Setup>;

export type PresetName = keyof typeof PRESETS;

const NAMES = [...PAIRS, ...COUNTS];

/** The parameters that are larger than the picture can show. */
export const tooLarge = (setup: Setup): (PairName | CountName)[] =>
  NAMES.filter((name) => [setup[name]].flat().some((v) => v > PICTURE[name]));

const formatPair = ([a, b]: Pair): string => (a === b ? `${a}` : `${a},${b}`);

/** One number, or two with a comma, all whole and in the range; undefined for anything else. */
function parsePair(text: string, [lo, hi]: readonly [number, number]): Pair | undefined {
  if (!/^\d{1,9}(,\d{1,9})?$/.test(text)) return undefined;
  const [a, b = a] = text.split(",").map(Number);
  return [a, b].every((v) => v >= lo && v <= hi) ? [a, b] : undefined;
}

/**
 * Reads a setup from an address. Missing values take their defaults. Values that are not valid do
 * as well, and are reported.
 */
export function readSetup({ params }: Pick<Address, "params">): {
  setup: Setup;
  unused: readonly Unused[];
} {
  const { read, unused } = reader(params);
  const pair = (name: PairName | CountName): Pair => {
    const standard = [DEFAULTS[name]].flat();
    const otherwise: Pair = [standard[0], standard.at(-1) ?? standard[0]];
    const isCount = COUNTS.some((c) => c === name);
    const parse = (text: string) => {
      const found = parsePair(text, RANGES[name]);
      return isCount && found && found[0] !== found[1] ? undefined : found;
    };
    return read(name, parse, otherwise, formatPair(otherwise));
  };
  const transposed = read(
    "transposed",
    (text) => (text === "0" || text === "1" ? text === "1" : undefined),
    false,
    "0",
  );
  const pairs = Object.fromEntries(PAIRS.map((name) => [name, pair(name)]));
  const counts = Object.fromEntries(COUNTS.map((name) => [name, pair(name)[0]]));
  return { setup: { ...DEFAULTS, ...pairs, ...counts, transposed }, unused };
}

/**
 * The parameters of an address that differ from the defaults; null for the others, which removes
 * them.
 */
export function writeSetup(setup: Setup): Record<string, string | null> {
  const written: Record<string, string | null> = { transposed: setup.transposed ? "1" : null };
  for (const name of PAIRS) {
    const text = formatPair(setup[name]);
    written[name] = text === formatPair(DEFAULTS[name]) ? null : text;
  }
  for (const name of COUNTS)
    written[name] = setup[name] === DEFAULTS[name] ? null : `${setup[name]}`;
  return written;
}
