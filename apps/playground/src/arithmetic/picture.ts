// The picture of the arithmetic page, computed from the geometry of @conv/ops. A convolution reads
// windows of its input; a transposed one writes windows of its output. So one side has windows, and
// the other has one cell for each window.

import {
  convGeometry,
  convOp,
  convTransposeGeometry,
  eachTerm,
  mustDivide,
  wShape,
  xShape,
  yShape,
  type ConvGeometry,
} from "@conv/ops";
import { sizeOf, spec } from "@conv/tensor";
import { PICTURE_CELLS, tooLarge, type Pair, type Setup } from "./setup.ts";

/**
 * One product: `wide` is a cell of the side with windows (counted with its padding), `narrow` one
 * of the other side.
 */
export interface Term {
  readonly wide: number;
  readonly w: number;
  readonly narrow: number;
}

/** One side of the picture: its planes, their size with padding, and a value for each cell. */
export interface Side {
  readonly channels: number;
  readonly size: Pair;
  /** Cells of padding before and after, included in `size`. */
  readonly padLo: Pair;
  readonly padHi: Pair;
  readonly values: Float32Array;
  readonly isOutput: boolean;
}

export interface Picture {
  readonly geometry: ConvGeometry;
  readonly wide: Side;
  readonly narrow: Side;
  /** Which of the two is the input. */
  readonly inputIs: "wide" | "narrow";
  readonly weights: Float32Array;
  readonly byWide: readonly (readonly Term[])[];
  readonly byNarrow: readonly (readonly Term[])[];
}

/** The geometry of a setup; throws ShapeError where it has none. */
export function geometryOf(s: Setup): ConvGeometry {
  const padding = [
    [s.padLo[0], s.padHi[0]],
    [s.padLo[1], s.padHi[1]],
  ] as const;
  const { stride, dilation, groups, kernel } = s;
  const x = spec([1, s.ic, ...s.input]);
  // Where groups do not divide the channels, the geometry throws before it reads these.
  const per = (channels: number) => Math.max(1, Math.floor(channels / groups));
  if (!s.transposed)
    return convGeometry(x, spec([s.oc, per(s.ic), ...kernel]), {
      stride,
      dilation,
      groups,
      padding,
    });
  mustDivide("convTranspose", "output channels", s.oc, groups);
  return convTransposeGeometry(x, spec([s.ic, per(s.oc), ...kernel]), {
    stride,
    dilation,
    groups,
    padding,
    outputPadding: s.outputPadding,
  });
}

/**
 * Small whole numbers, always the same. Inputs have no zeros, so that zeros are padding.
 */
function numbersFor(size: number, lo: number, hi: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return lo + Math.floor((state / 2 ** 32) * (hi - lo + 1));
  });
}

/** The shapes and costs of a setup, which need no picture. */
export interface Figures {
  readonly geometry: ConvGeometry;
  /** Shapes of input, weight and output, in the order of the call. */
  readonly x: readonly number[];
  readonly w: readonly number[];
  readonly y: readonly number[];
  readonly weights: number;
  /** Multiply-accumulates, those with padding included. */
  readonly macs: number;
  /** Whether the picture can show it. */
  readonly drawable: boolean;
}

/** The numbers of a setup; throws ShapeError where it has no geometry. */
export function figuresOf(setup: Setup): Figures {
  const geometry = geometryOf(setup);
  const [wide, w, narrow] = [xShape(geometry), wShape(geometry), yShape(geometry)];
  const padded = geometry.input.map((v, a) => v + geometry.padLo[a] + geometry.padHi[a]);
  return {
    geometry,
    w,
    ...(setup.transposed ? { x: narrow, y: wide } : { x: wide, y: narrow }),
    weights: sizeOf(w),
    macs: convOp.cost([spec(wide), spec(w)], geometry).macs,
    drawable:
      tooLarge(setup).length === 0 &&
      geometry.ic * sizeOf(padded) + sizeOf(narrow) <= PICTURE_CELLS,
  };
}

const pair = (list: readonly number[]): Pair => [list[0], list[1]];

/** The picture of a setup; throws ShapeError where it has no geometry. */
export function pictureOf(setup: Setup): Picture {
  const geometry = geometryOf(setup);
  // The same convolution with its padding as cells, whose values are zero.
  const padded: ConvGeometry = {
    ...geometry,
    input: geometry.input.map((v, a) => v + geometry.padLo[a] + geometry.padHi[a]),
    padLo: [0, 0],
    padHi: [0, 0],
  };
  const [narrowSize, wideSize] = [sizeOf(yShape(padded)), sizeOf(xShape(padded))];
  const byWide: Term[][] = Array.from({ length: wideSize }, () => []);
  const byNarrow: Term[][] = Array.from({ length: narrowSize }, () => []);
  eachTerm(padded, (wide, w, narrow) => {
    const term = { wide, w, narrow };
    byWide[wide].push(term);
    byNarrow[narrow].push(term);
  });
  const weights = numbersFor(sizeOf(wShape(geometry)), -1, 2, 20);
  const none: Pair = [0, 0];
  const wide: Side = {
    channels: geometry.ic,
    size: pair(padded.input),
    padLo: pair(geometry.padLo),
    padHi: pair(geometry.padHi),
    values: new Float32Array(wideSize),
    isOutput: setup.transposed,
  };
  const narrow: Side = {
    channels: geometry.oc,
    size: pair(geometry.output),
    padLo: none,
    padHi: none,
    values: new Float32Array(narrowSize),
    isOutput: !setup.transposed,
  };
  if (setup.transposed) {
    narrow.values.set(numbersFor(narrowSize, 1, 4, 7));
    byWide.forEach(
      (terms, i) =>
        (wide.values[i] = terms.reduce(
          (sum, t) => sum + narrow.values[t.narrow] * weights[t.w],
          0,
        )),
    );
  } else {
    const data = numbersFor(sizeOf(xShape(geometry)), 1, 4, 7);
    let next = 0;
    for (let i = 0; i < wideSize; i++) if (!isPadding(wide, i)) wide.values[i] = data[next++];
    byNarrow.forEach(
      (terms, i) =>
        (narrow.values[i] = terms.reduce((sum, t) => sum + wide.values[t.wide] * weights[t.w], 0)),
    );
  }
  return {
    geometry,
    wide,
    narrow,
    inputIs: setup.transposed ? "narrow" : "wide",
    weights,
    byWide,
    byNarrow,
  };
}

/** Channel, row and column of a cell, counted with padding. */
export function placeOf(side: Side, cell: number): readonly [number, number, number] {
  const [h, w] = side.size;
  return [Math.floor(cell / (h * w)), Math.floor(cell / w) % h, cell % w];
}

export function isPadding(side: Side, cell: number): boolean {
  const [, row, column] = placeOf(side, cell);
  return (
    row < side.padLo[0] ||
    column < side.padLo[1] ||
    row >= side.size[0] - side.padHi[0] ||
    column >= side.size[1] - side.padHi[1]
  );
}

/** `0, 2, 3`: channel, row and column as the tensor counts them, without padding. */
export function nameOf(side: Side, cell: number): string {
  const [c, row, column] = placeOf(side, cell);
  return [c, row - side.padLo[0], column - side.padLo[1]].join(", ");
}
