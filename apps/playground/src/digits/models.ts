// The networks of this page, which are the models of @conv/layers with ten classes, and the form of
// their inputs.

import type { Model } from "@conv/layers";
import { models } from "@conv/layers/models";
import type { View } from "./data.ts";

export const MODEL_NAMES = Object.keys(models).filter((name) => models[name]().classes === 10);

/** Whether there is a network of that name on this page. */
export const isModel = (name: string): boolean => MODEL_NAMES.includes(name);

/** A network by name; the first one where the name is unknown. */
export const modelNamed = (name: string | null | undefined) =>
  models[name && isModel(name) ? name : MODEL_NAMES[0]]();

/** The form of the inputs of a network. */
export function viewOf({ input, range = [0, 1] }: Pick<Model, "input" | "range">): View {
  const [background, foreground] = range;
  return { input, background, foreground };
}

/**
 * The default learning rate. The 1998 network has initial weights of at most 2.4/fan-in, as in the
 * paper, with which activations in F6 are a thousand times smaller than the input. With Adam it
 * leaves the plateau at 9 % after 8,000 digits at 0.001, 3,500 at 0.003 and 1,500 at 0.005 (90 %
 * after 7,680).
 */
export const startRateOf = (model: { readonly name: string }): number =>
  model.name === "lenet5_1998" ? 5e-3 : 1e-3;
