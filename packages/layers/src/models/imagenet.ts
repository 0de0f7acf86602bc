// What the networks share: their options, the shape of an image of ImageNet, first weights.

import { checkOptions } from "@conv/tensor";
import { mustCount } from "../checks.ts";
import { normal, zeros, type Init } from "../layers/init.ts";
import type { Model } from "../layers/layer.ts";

export interface ClassifierOptions {
  /** Outputs; ImageNet has 1000. */
  readonly classes?: number | undefined;
}

export interface AuxiliaryOptions extends ClassifierOptions {
  /** With the heads that help training. */
  readonly auxiliary?: boolean | undefined;
}
/** Names of {@link AuxiliaryOptions}. */
export const AUXILIARY = "classes auxiliary";

/**
 * The number of classes that is asked for. Throws RangeError for an option that is none of `names`,
 * and unless it is a whole number ≥ 1.
 */
export function classesOf(
  name: string,
  options: ClassifierOptions = {},
  byDefault = 1000,
  names = "classes",
): number {
  checkOptions(name, options, names);
  const { classes = byDefault } = options;
  mustCount(name, "classes", classes);
  return classes;
}

export const imagenet = (
  name: string,
  classes: number,
): Pick<Model, "name" | "input" | "classes"> => ({ name, input: [3, 224, 224], classes });

/** Weights normal with this deviation, biases 0. */
export const normalInit =
  (std: number): Init =>
  (shape, random, _fan, role) =>
    (role === "bias" ? zeros : normal(0, std))(shape, random);

/**
 * The nearest multiple of 8, and not less than 0.9 of it: how the mobile networks round their
 * widths.
 */
export const divisible = (width: number): number => {
  const near = Math.max(8, Math.floor((width + 4) / 8) * 8);
  return near < 0.9 * width ? near + 8 : near;
};
