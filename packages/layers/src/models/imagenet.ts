// Code that the networks share: options, the input shape for ImageNet, initializers.

import { checkOptions } from "@conv/tensor";
import { mustCount } from "../checks.ts";
import { normal, zeros, type Init } from "../layers/init.ts";
import type { Model } from "../layers/layer.ts";

export interface ClassifierOptions {
  /** Number of classes. Default: that of the data set of the paper, 1000 for ImageNet. */
  readonly classes?: number | undefined;
}

export interface AuxiliaryOptions extends ClassifierOptions {
  /** Whether to add the auxiliary heads, which are used in training. */
  readonly auxiliary?: boolean | undefined;
}
/** Names of {@link AuxiliaryOptions}. */
export const AUXILIARY = "classes auxiliary";

/**
 * The number of classes in the options. Throws RangeError for an option that is not in `names`, and
 * unless the number is whole and ≥ 1.
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

/** Normal distribution with mean 0 and this standard deviation for weights, 0 for biases. */
export const normalInit =
  (std: number): Init =>
  (shape, random, _fan, role) =>
    (role === "bias" ? zeros : normal(0, std))(shape, random);

/**
 * Rounds a number of channels to the nearest multiple of 8 that is at least 0.9 of it, as the
 * MobileNets do.
 */
export const divisible = (width: number): number => {
  const near = Math.max(8, Math.floor((width + 4) / 8) * 8);
  return near < 0.9 * width ? near + 8 : near;
};
