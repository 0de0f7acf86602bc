// What every shader of a product needs to know of it: which axes have several outputs, several
// taps or padding, how their coordinates are named in WGSL, and where its operands lie.

import { coordinates, plus, sumOf, times } from "../../wgsl/wgsl.ts";
import { axisNames, leaves, outputsOf, tapsOf, type Product } from "./product.ts";

export interface Walk {
  readonly product: Product;
  /** Names of the coordinates along the axes. */
  readonly names: readonly string[];
  /** Axes with several outputs, and axes with several taps. */
  readonly outer: readonly number[];
  readonly summed: readonly number[];
  /** Whether an axis reads coordinates outside x, so that loads test it. */
  readonly padded: readonly boolean[];
  readonly taps: number;
  readonly outputs: number;
  /** Index in x of what output 0 reads at tap 0. */
  readonly lead: number;
}

export function walkOf(product: Product): Walk {
  const { axes, offset } = product;
  const taps = tapsOf(product);
  return {
    product,
    names: axisNames(product),
    outer: axes.flatMap(({ grid }, i) => (grid > 1 ? [i] : [])),
    summed: axes.flatMap(({ taps: n }, i) => (n > 1 ? [i] : [])),
    padded: axes.map((axis) => taps > 0 && leaves(axis)),
    taps,
    outputs: outputsOf(product),
    lead: axes.reduce((n, axis) => n + axis.first * axis.x, offset.x),
  };
}

/** Names the coordinate along an axis. */
export type Naming = (axis: number) => string;

/** Declares the coordinates of an output along the axes with several of them. */
export const outputCoordinates = (
  { product: { axes }, outer }: Walk,
  output: string,
  name: Naming,
): string =>
  coordinates(
    output,
    outer.map((i) => axes[i].grid),
    outer.map(name),
  );

/** Declares the coordinates of a tap along the axes with several of them. */
export const tapCoordinates = (
  { product: { axes }, summed }: Walk,
  tap: string,
  name: Naming,
): string =>
  coordinates(
    tap,
    summed.map((i) => axes[i].taps),
    summed.map(name),
  );

/** Where a row begins in a; `apart`: elements between neighbors of `row`. */
export const aStart = (
  { product: { groups, rows, offset } }: Walk,
  row: string,
  apart = rows.a,
): string =>
  plus(
    sumOf([
      ["part", groups.a],
      [row, apart],
    ]),
    offset.a,
  );

/** Where an output begins in x: what it reads at tap 0. */
export const xStart = ({ product: { axes, groups }, outer, lead }: Walk, name: Naming): string =>
  plus(
    sumOf([
      ["i32(part)", groups.x],
      ...outer.map((i) => [`i32(${name(i)})`, axes[i].step * axes[i].x] as const),
    ]),
    lead,
  );

/** The coordinate of x along an axis that an output reads at tap 0. */
export function xCoordinate({ product: { axes } }: Walk, axis: number, name: Naming): string {
  const { grid, step, first } = axes[axis];
  return plus(grid > 1 ? times(`i32(${name(axis)})`, step) : "0", first);
}

/** How far a tap lies in a, and in x, behind the first. */
export const aOfTap = ({ product: { axes }, summed }: Walk, name: Naming): string =>
  sumOf(summed.map((i) => [name(i), axes[i].a] as const));
export const xOfTap = ({ product: { axes }, summed }: Walk, name: Naming): string =>
  sumOf(summed.map((i) => [`i32(${name(i)})`, axes[i].delta * axes[i].x] as const));

/** Where an output of a row lies in y. */
export const yAt = (
  { product: { axes, groups, rows, offset }, outer }: Walk,
  row: string,
  name: Naming,
  before: readonly (readonly [string, number])[] = [],
): string =>
  plus(
    sumOf([
      ...before,
      ["part", groups.y],
      [row, rows.y],
      ...outer.map((i) => [name(i), axes[i].y] as const),
    ]),
    offset.y,
  );
