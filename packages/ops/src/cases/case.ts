// What a case is: an op with parameters and inputs worth testing, and the numbers to fill the
// inputs with.

import {
  isFloating,
  roundTo,
  sizeOf,
  type Node,
  type Op,
  type Spec,
  type Value,
} from "@conv/tensor";

/**
 * Numbers for the inputs. Float inputs: `normal` (about standard normal), `positive` (0.5 to 2),
 * `wide` (−80 to 80), `distinct` (different by 1/8 at least and never 0, shuffled), `ties` (whole
 * numbers −2 to 2). Int32 inputs: `labels:n` (−1 to n, so that both ends are out of range; float
 * inputs beside them are `normal`), else any 32 bits.
 */
export type CaseData = "normal" | "positive" | "wide" | "distinct" | "ties" | `labels:${number}`;

export interface OpCase<P = unknown> {
  /** Unique among all cases. */
  readonly name: string;
  readonly op: Op<P>;
  readonly params: P;
  readonly inputs: readonly Spec[];
  /** `normal` unless given. */
  readonly data?: CaseData | undefined;
  /** false where central differences say nothing: no float input, or ties. */
  readonly gradient?: boolean | undefined;
}

type Extra = Pick<OpCase, "data" | "gradient">;

/** A case with an op and its parameters. */
export const opCase = <P>(
  name: string,
  op: Op<P>,
  params: P,
  inputs: readonly Spec[],
  extra: Extra = {},
): OpCase => ({
  name: `${op.name} ${name}`,
  op: op as Op<unknown>,
  params,
  inputs,
  ...extra,
});

/** A case from the node that made a traced value: `traced("3×3", conv(x, w))`. */
export function traced(name: string, { node }: Value, extra: Extra = {}): OpCase {
  const { op, params, inputs } = node as Node;
  return opCase(
    name,
    op,
    params,
    inputs.map((v) => v.spec),
    extra,
  );
}

/** Inputs for a case, or for any specs, the same for the same seed. */
export function caseInputs(
  { inputs, data = "normal" }: Pick<OpCase, "inputs" | "data">,
  seed = 1,
): (Float32Array | Int32Array)[] {
  let state = Math.imul(seed, 0x9e3779b9) >>> 0;
  // mulberry32
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  const total = inputs.reduce((sum, s) => sum + sizeOf(s.shape), 0);
  // Multiplying by a step without common factor visits every rank once: distinct also between
  // inputs.
  let rank = Math.floor(uniform() * total);
  const step = [7919, 7927, 7933].find((p) => total % p !== 0) ?? 1;
  const draw: Record<Exclude<CaseData, `labels:${number}`>, () => number> = {
    normal,
    positive: () => 0.5 + 1.5 * uniform(),
    wide: () => 160 * uniform() - 80,
    distinct: () => ((rank = (rank + step) % total) - (total >> 1)) / 8 + 1 / 16,
    ties: () => Math.floor(uniform() * 5) - 2,
  };
  return inputs.map((s) => {
    const size = sizeOf(s.shape);
    const next = draw[data as keyof typeof draw] ?? normal;
    if (isFloating(s.dtype))
      return Float32Array.from({ length: size }, () => roundTo(s.dtype, next()));
    const classes = data.startsWith("labels:") ? Number(data.slice(7)) : null;
    const whole = () => {
      if (data === "ties") return draw.ties();
      return classes === null ? uniform() * 2 ** 32 : Math.floor(uniform() * (classes + 2)) - 1;
    };
    return Int32Array.from({ length: size }, () => roundTo(s.dtype, Math.floor(whole())));
  });
}
