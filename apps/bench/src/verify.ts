// Judges answers against the trilinear form T(x, w, y) = Σ x·w·y in float64: every output of a
// small shape, a dense sample of a large one (strata over the whole, and corners and edges on
// purpose, where tails and padding are handled).

import type { ConvGeometry } from "@conv/ops";
import { sizeOf, stridesOf } from "@conv/tensor";
import { shapesOf, type Direction } from "./layers.ts";
import { random } from "./random.ts";

/**
 * Float32 rounds to 2⁻²⁴ of a value. Errors are counted in ε·Σ|a·b| of the output they belong to.
 */
export const EPSILON = 2 ** -24;
/**
 * Largest error accepted. Plain sums stay under 10 at these sizes, Winograd F(6×6, 3×3) under 100;
 * a lost product of a 3×3 kernel over 512 channels gives 2¹¹.
 */
export const TOLERANCE = 256;
/**
 * The same where operands are rounded to float16 (2⁻¹¹ of a value) before they are multiplied, and
 * sums or results too: 8·2⁻¹¹·Σ|a·b|.
 */
export const TOLERANCE_F16 = 2 ** 16;
/** Products that a reference may cost, about 0.2 s. */
const BUDGET = 2 ** 24;

/** Outputs worth comparing: flat index, value in float64, and Σ|a·b|. */
export interface Reference {
  readonly size: number;
  readonly index: Uint32Array;
  readonly value: Float64Array;
  readonly magnitude: Float64Array;
}

/** `error` is the largest in ε·Σ|a·b|, `reason` says what is wrong with a refused answer. */
export interface Verdict {
  readonly verified: boolean;
  readonly error: number;
  readonly checked: number;
  readonly reason?: string;
}

/**
 * Offsets into the two operands whose product contributes; the terms of an output are all
 * combinations of one pair per list.
 */
type Pairs = readonly (readonly [a: number, b: number])[];

export function reference(
  direction: Direction,
  g: ConvGeometry,
  a: Float32Array,
  b: Float32Array,
  budget = BUDGET,
): Reference {
  const { result } = shapesOf(direction, g);
  const pairsAt = termPairs(direction, g);
  const index = chooseOutputs(direction, g, budget);
  const value = new Float64Array(index.length);
  const magnitude = new Float64Array(index.length);
  const strides = stridesOf(result);
  index.forEach((flat, i) => {
    const lists = pairsAt(result.map((size, axis) => Math.floor(flat / strides[axis]) % size));
    let sum = 0;
    let total = 0;
    const walk = (depth: number, ia: number, ib: number): void => {
      const last = depth === lists.length - 1;
      for (const [da, db] of lists[depth]) {
        if (!last) {
          walk(depth + 1, ia + da, ib + db);
          continue;
        }
        const term = a[ia + da] * b[ib + db];
        sum += term;
        total += Math.abs(term);
      }
    };
    walk(0, 0, 0);
    value[i] = sum;
    magnitude[i] = total;
  });
  return { size: sizeOf(result), index, value, magnitude };
}

/**
 * Refuses a wrong number of outputs, any output that is not finite, and any that is off by more
 * than `tolerance`·ε·Σ|a·b|.
 */
export function judge(expected: Reference, got: Float32Array, tolerance = TOLERANCE): Verdict {
  const refuse = (reason: string, error = Infinity): Verdict => ({
    verified: false,
    error,
    checked: expected.index.length,
    reason,
  });
  if (got.length !== expected.size)
    return refuse(`${got.length} outputs, expected ${expected.size}`);
  const odd = got.findIndex((v) => !Number.isFinite(v));
  if (odd >= 0) return refuse(`output ${odd} is ${got[odd]}`);
  let worst = 0;
  let at = 0;
  expected.index.forEach((flat, i) => {
    const off = Math.abs(got[flat] - expected.value[i]);
    const error = off === 0 ? 0 : off / (EPSILON * expected.magnitude[i]);
    if (error > worst) [worst, at] = [error, i];
  });
  const flat = expected.index[at];
  if (worst > tolerance)
    return refuse(
      `output ${flat} is ${got[flat]}, expected ${expected.value[at]}: ` +
        `off by ${worst.toFixed(0)} ε·Σ|a·b|, the limit is ${tolerance}`,
      worst,
    );
  return { verified: true, error: worst, checked: expected.index.length };
}

/**
 * For an output's coordinates (outer axes, then spatial ones), the lists of offsets whose products
 * make it.
 */
function termPairs(direction: Direction, g: ConvGeometry): (at: readonly number[]) => Pairs[] {
  const { operands } = shapesOf(direction, g);
  const [as, bs] = [stridesOf(operands[0]), stridesOf(operands[1])];
  const [icg, ocg] = [g.ic / g.groups, g.oc / g.groups];
  const upTo = (count: number, pair: (i: number) => readonly [number, number]): Pairs =>
    Array.from({ length: count }, (_, i) => pair(i));
  // Roles of the outer axes: y is (n, oc), x is (n, ic), w is (oc, ic within the group).
  const outer = ([p, q]: readonly [number, number]): Pairs => {
    if (direction === "forward")
      return upTo(icg, (c) => [
        p * as[0] + (Math.floor(q / ocg) * icg + c) * as[1],
        q * bs[0] + c * bs[1],
      ]);
    const group = direction === "gradInput" ? Math.floor(q / icg) : Math.floor(p / ocg);
    if (direction === "gradInput")
      return upTo(ocg, (c) => [
        p * as[0] + (group * ocg + c) * as[1],
        (group * ocg + c) * bs[0] + (q % icg) * bs[1],
      ]);
    return upTo(g.n, (n) => [n * as[0] + p * as[1], n * bs[0] + (group * icg + q) * bs[1]]);
  };
  const spatial = (axis: number, at: number): Pairs => {
    const [stride, dilation, pad] = [g.stride[axis], g.dilation[axis], g.padLo[axis]];
    const [output, input, kernel] = [g.output[axis], g.input[axis], g.kernel[axis]];
    const [sa, sb] = [as[axis + 2], bs[axis + 2]];
    const found: (readonly [number, number])[] = [];
    // Output o at tap k reads input i = o·stride − pad + k·dilation; two of the three are walked,
    // the third is `at`.
    if (direction === "gradWeight") {
      for (let o = 0, i = at * dilation - pad; o < output; o++, i += stride)
        if (i >= 0 && i < input) found.push([o * sa, i * sb]);
    } else
      for (let k = 0; k < kernel; k++) {
        const i = at * stride - pad + k * dilation;
        const o = (at + pad - k * dilation) / stride;
        if (
          direction === "forward"
            ? i >= 0 && i < input
            : Number.isInteger(o) && o >= 0 && o < output
        )
          found.push([(direction === "forward" ? i : o) * sa, k * sb]);
      }
    return found;
  };
  return ([p = 0, q = 0, ...rest]) => [outer([p, q]), ...rest.map((at, axis) => spatial(axis, at))];
}

/**
 * All outputs where the budget allows; else every corner in space, half of the rest in strata over
 * the whole, half with one axis at an end.
 */
function chooseOutputs(direction: Direction, g: ConvGeometry, budget: number): Uint32Array {
  const { result } = shapesOf(direction, g);
  const size = sizeOf(result);
  const [icg, ocg] = [g.ic / g.groups, g.oc / g.groups];
  const channels = direction === "forward" ? icg : direction === "gradInput" ? ocg : g.n;
  const terms = channels * sizeOf(direction === "gradWeight" ? g.output : g.kernel);
  const count = Math.max(512, Math.floor(budget / Math.max(1, terms)));
  if (count >= size) return Uint32Array.from({ length: size }, (_, i) => i);
  const next = random(size);
  const strides = stridesOf(result);
  const chosen = new Set<number>();
  const draw = (sizes: number) => Math.floor(next() * sizes);
  for (let corner = 0; corner < 2 ** result.length; corner++)
    chosen.add(
      result.reduce(
        (flat, length, axis) => flat + ((corner >> axis) & 1 ? length - 1 : 0) * strides[axis],
        0,
      ),
    );
  for (let i = 0; i < count / 2; i++) {
    const pinned = draw(result.length);
    chosen.add(
      result.reduce(
        (flat, length, axis) =>
          flat + (axis === pinned ? (i & 1) * (length - 1) : draw(length)) * strides[axis],
        0,
      ),
    );
    chosen.add(Math.floor(((i + next()) * size) / Math.ceil(count / 2)));
  }
  return Uint32Array.from(chosen).filter((flat) => flat < size);
}
