// What the classifiers of ImageNet share: the shape of an image and the number of classes.

import { normal, zeros, type Init } from "../init.ts";
import type { Model } from "../layer.ts";

export interface ClassifierOptions {
  /** Outputs; ImageNet has 1000. */
  readonly classes?: number | undefined;
}

export const imagenet = (name: string, classes: number): Pick<Model, "name" | "input" | "classes"> => ({ name, input: [3, 224, 224], classes });

/** Weights normal with this deviation, biases 0. */
export const normalInit =
  (std: number): Init =>
  (_, role) =>
    role === "bias" ? zeros : normal(0, std);

/** The nearest multiple of 8, and not less than 0.9 of it: how the mobile networks round their widths. */
export const divisible = (width: number): number => {
  const near = Math.max(8, Math.floor((width + 4) / 8) * 8);
  return near < 0.9 * width ? near + 8 : near;
};
