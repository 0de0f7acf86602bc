// What is special about some parameters of a training: a list of rules, each for the parameters
// whose names it matches.

import { shapeError } from "@conv/tensor";
import { mustBe } from "../checks.ts";
import { describeModel, type Entry, type Model } from "../layers/layer.ts";
import type { ParameterOptions } from "./optim.ts";

/**
 * What holds for the parameters that `match`; of several rules that set the same, the last holds.
 */
export interface ParameterRule extends ParameterOptions {
  /**
   * A part of the network and all that is in it (`features` or `features.0.weight`), or a pattern
   * somewhere in the full name.
   */
  readonly match: string | RegExp;
  /**
   * Keeps the values as they are: no gradient is computed for them and no state is kept. A layer
   * with running statistics all of whose parameters are frozen keeps those too, and uses them; one
   * without parameters does where the rule matches the statistics.
   */
  readonly frozen?: boolean | undefined;
}

const matches = (name: string, match: string | RegExp): boolean =>
  typeof match === "string"
    ? name === match || name.startsWith(`${match}.`)
    : name.search(match) >= 0;

/**
 * For each entry what is special about it, or null where it is not trained. Throws ShapeError for a
 * rule that matches no trainable parameter and where nothing is left to train, RangeError for
 * numbers out of range.
 */
export function applyRules(
  name: string,
  entries: readonly Entry[],
  rules: readonly ParameterRule[] = [],
): (ParameterOptions | null)[] {
  const trainable = entries.filter((e) => e.trainable);
  if (trainable.length === 0) throw shapeError("train", `${name} has no trainable parameter`);
  for (const { match, rate = 1, weightDecay = 0 } of rules) {
    if (!trainable.some((e) => matches(e.name, match)))
      throw shapeError("train", `the rule for ${match} matches no trainable parameter of ${name}`);
    mustBe("a finite number ≥ 0", `train: the rule for ${match}`, {
      rate,
      "weight decay": weightDecay,
    });
  }
  const options = entries.map((entry) => {
    if (!entry.trainable) return null;
    const { frozen, rate, weightDecay }: Partial<ParameterRule> = Object.assign(
      {},
      ...rules.filter(({ match }) => matches(entry.name, match)),
    );
    return frozen ? null : { rate, weightDecay };
  });
  if (options.every((o) => o === null))
    throw shapeError("train", `the rules freeze every parameter of ${name}`);
  return options;
}

/**
 * Paths of the layers with buffers whose every parameter, or where there is none every buffer, is
 * frozen by the rules.
 */
export function frozenLayers(
  model: Model,
  rules: readonly ParameterRule[] = [],
): ReadonlySet<string> {
  if (!rules.some((rule) => rule.frozen)) return new Set();
  const layers = new Map<string, Entry[]>();
  for (const entry of describeModel(model).entries) {
    const path = entry.name.slice(0, Math.max(0, entry.name.lastIndexOf(".")));
    layers.set(path, [...(layers.get(path) ?? []), entry]);
  }
  const isFrozen = ({ name }: Entry) =>
    rules.filter(({ match, frozen }) => frozen !== undefined && matches(name, match)).at(-1)
      ?.frozen === true;
  const still = [...layers].filter(([, entries]) => {
    const parameters = entries.filter((e) => e.kind === "parameter");
    return (
      parameters.length < entries.length &&
      (parameters.length > 0 ? parameters : entries).every(isFrozen)
    );
  });
  return new Set(still.map(([path]) => path));
}
