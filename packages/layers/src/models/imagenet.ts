// What the classifiers of ImageNet share: the shape of an image and the number of classes.

import type { Model } from "../layer.ts";

export interface ClassifierOptions {
  /** Outputs; ImageNet has 1000. */
  readonly classes?: number;
}

export const imagenet = (name: string, classes: number): Pick<Model, "name" | "input" | "classes"> => ({ name, input: [3, 224, 224], classes });
