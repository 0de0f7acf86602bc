// Sparse matrices along an axis worth testing: every place of the axis, runs, repeats, gaps, rows
// with one tap and with many.

import { input, spec, type Value } from "@conv/tensor";
import { traced, type OpCase } from "./cases/case.ts";
import {
  applied,
  errorsIn,
  finite,
  mapped,
  rule,
  sumError,
  type Rule,
  type Rules,
} from "./cases/rounding.ts";
import { flip, resample, select, type Tap, resampleOp, type ResampleParams } from "./resample.ts";

const x = (...shape: number[]): Value => input(spec(shape));
const range = (n: number) => [...Array.from({ length: n }).keys()];

/** Interpolation that doubles n elements. */
const doubled = (n: number): Tap[][] =>
  range(2 * n).map((j) => {
    const at = Math.max(0, (j + 0.5) / 2 - 0.5);
    const i = Math.floor(at);
    return at > i && i + 1 < n ? [[i, 1 - (at - i)], [i + 1, at - i]] : [[i, 1]]; // prettier-ignore
  });

export const cases: readonly OpCase[] = [
  traced("some of the last axis", select(x(2, 3, 7), [4, 0, 0, 6, 2])),
  traced("some of the first axis", select(x(5, 3), [4, 0, 0], 0)),
  traced("channels shuffled", select(x(2, 6, 3, 5), [0, 3, 1, 4, 2, 5], 1)),
  traced("channels shuffled, one position", select(x(3, 6), [0, 3, 1, 4, 2, 5], 1)),
  traced("rows of pairs", select(x(2, 9, 2), [8, 7, 6, 0, 1, 2, 3, 4, 4, 4], 1)),
  traced("flipped", flip(x(2, 3, 5, 9), [2, 3])),
  traced("flipped, one row", flip(x(37), [0])),
  traced("reflected around", select(x(2, 3, 4, 33), [2, 1, ...range(33), 31, 30, 29])),
  traced("reflected below and above", select(x(2, 3, 9, 7), [2, 1, ...range(9), 7], 2)),
  traced("around a circle", select(x(1, 2, 5, 8), [6, 7, ...range(8), 0, 1])),
  traced("each twice", select(x(2, 3, 4, 5), range(10).map((i) => i >> 1))), // prettier-ignore
  // prettier-ignore
  traced("each twice, rows", select(x(2, 3, 5, 4), range(10).map((i) => i >> 1), 2)),
  traced("every third", select(x(2, 31), range(10).map((i) => 3 * i))), // prettier-ignore
  traced("of one", select(x(3, 1, 5), [0, 0, 0], 1)),
  traced("in order (a slice)", select(x(4, 9), [3, 4, 5])),
  traced("none", select(x(2, 5), [])),
  traced("of an empty batch", select(x(0, 5), [4, 1, 1])),
  traced("interpolated", resample(x(2, 3, 5, 7), doubled(7))),
  traced("interpolated rows", resample(x(2, 3, 7, 5), doubled(7), 2)),
  traced("interpolated rows, long", resample(x(1, 2, 5, 40), doubled(5), 2)),
  // prettier-ignore
  traced("ragged", resample(x(3, 4), [[], [[1, 2], [1, -1], [0, 0.5]], [[3, -3]], [], [[0, 1], [1, 1], [2, 1], [3, 1]]])),
  // prettier-ignore
  traced("ragged rows", resample(x(3, 4, 6), [[], [[1, 2], [1, -1], [0, 0.5]], [[3, -3]], [], [[0, 1], [1, 1], [2, 1], [3, 1]]], 1)),
  traced("nothing but zeros", resample(x(3, 4), [[], []])),
];

/** A sum with weights of any sign; where nothing but 1 weighs one element, it is moved. */
const mixError: Rule<ResampleParams> = (node, [x]) => {
  const { rows, ...params } = node.params;
  const positive = {
    ...node,
    params: { ...params, rows: rows.map((row) => row.map(([i, w]): Tap => [i, Math.abs(w)])) },
  };
  if (rows.every((row) => row.length === 0 || (row.length === 1 && row[0][1] === 1)))
    return x.error && applied(node, [x.error]);
  const error = errorsIn(x);
  const carried = error && applied(positive, [error]);
  return mapped(
    applied(positive, [finite(x.value)]),
    (m, i) => sumError(m) + (carried?.data[i] ?? 0),
  );
};

export const rules: Rules = [rule(resampleOp, mixError)];
