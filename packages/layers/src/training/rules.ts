// Rules: settings for the parameters with matching names.

import { message, shapeError } from "@conv/tensor";
import { mustBe } from "../checks.ts";
import { describeModel, type Entry, type Model } from "../layers/layer.ts";
import type { ParameterOptions } from "./optim.ts";

/**
 * Settings of the parameters with names that `match`. Of several rules for a setting the last
 * applies.
 */
export interface ParameterRule extends ParameterOptions {
  /**
   * The path of a layer, which includes its parts, or of a tensor (`features`,
   * `features.0.weight`), or a regular expression to find in the full name.
   */
  readonly match: string | RegExp;
  /**
   * Keeps the parameters unchanged, without gradients and optimizer state. A layer whose parameters
   * are all frozen keeps its running statistics too, and normalizes with them. So does a layer
   * without parameters if the rule matches its running statistics.
   */
  readonly frozen?: boolean | undefined;
}

const matches = (name: string, match: string | RegExp): boolean =>
  typeof match === "string"
    ? name === match || name.startsWith(`${match}.`)
    : name.search(match) >= 0;

/**
 * The settings of each entry, null for entries that are not trained. Throws ShapeError for a rule
 * that matches no trainable parameter, and if no parameter is left to train. Throws RangeError for
 * numbers out of range.
 */
export function applyRules(
  name: string,
  entries: readonly Entry[],
  rules: readonly ParameterRule[] = [],
): (ParameterOptions | null)[] {
  const trainable = entries.filter((e) => e.trainable);
  if (trainable.length === 0)
    throw shapeError(
      "train",
      "nothing-to-train",
      message`${{ model: name }} has no trainable parameter`,
    );
  for (const { match, rate = 1, weightDecay = 0 } of rules) {
    if (!trainable.some((e) => matches(e.name, match)))
      throw shapeError(
        "train",
        "rule-without-match",
        message`the rule for ${{ match: String(match) }} matches no trainable parameter of ${{ model: name }}`,
      );
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
    throw shapeError(
      "train",
      "all-frozen",
      message`the rules freeze all parameters of ${{ model: name }}; leave one trainable`,
    );
  return options;
}

/** Indices of the entries that are trained. */
export const trainedOf = (
  model: Model,
  entries: readonly Entry[],
  rules?: readonly ParameterRule[],
): number[] => applyRules(model.name, entries, rules).flatMap((options, i) => (options ? [i] : []));

/**
 * Paths of the layers with buffers that the rules freeze: those whose parameters are all frozen, or
 * without parameters, whose buffers are all frozen.
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
