// What a suite is given, and the few things that all suites do.

import type { CaseData } from "@conv/ops/cases";
import {
  trace,
  type Backend,
  type Graph,
  type HostArray,
  type Spec,
  type Value,
} from "@conv/tensor";
import { draw, seedOf } from "../data.ts";

/**
 * The back end under test: one that lives as long as the suite, and more of them for tests that
 * break theirs.
 */
export interface Device {
  readonly name: string;
  readonly backend: Backend;
  /** Of the tests of each kind, one in so many runs: 1 for all. */
  readonly every: number;
  /** Whether all runs that a suite would otherwise thin out. */
  readonly full: boolean;
  fresh(): Promise<Backend>;
}

/**
 * One in `every` of each group, and at least one; the name of the device decides where to begin.
 */
export function share<T>(
  { name, every }: Pick<Device, "name" | "every">,
  all: readonly T[],
  groupOf: (item: T) => string,
): T[] {
  return [...Map.groupBy(all, groupOf).values()].flatMap((items) => {
    const first = (seedOf(name) >>> 0) % Math.min(every, items.length);
    return items.filter((_, i) => i % every === first);
  });
}

/** Values for the inputs of a graph: `fills` by position, normal where there is none. */
export const inputsOf = (
  specs: readonly Spec[],
  seed: string,
  fills: readonly (CaseData | undefined)[] = [],
): HostArray[] => specs.map((s, i) => draw(s, fills[i], `${seed} #${i}`));

/** Specs of a graph's inputs. */
export const specsOf = (graph: Graph): Spec[] => graph.inputs.map((v) => v.spec);

/** Traces a function of values of float32 shapes. */
export const graphOfShapes = (
  shapes: readonly (readonly number[])[],
  fn: (...xs: Value[]) => Value | readonly Value[],
): Graph =>
  trace(
    fn,
    shapes.map((shape) => ({ shape, dtype: "float32" })),
  );
