// The networks of this page: the models of digits in @conv/layers, which have ten classes, and how
// each wants to see them.

import type { Model } from "@conv/layers";
import { models } from "@conv/layers/models";
import type { View } from "./data.ts";

export const MODEL_NAMES = Object.keys(models).filter((name) => models[name]().classes === 10);

/** Whether there is a network of that name on this page. */
export const isModel = (name: string): boolean => MODEL_NAMES.includes(name);

/** A network by name; the first one where there is none of that name. */
export const modelNamed = (name: string | null | undefined) =>
  models[name && isModel(name) ? name : MODEL_NAMES[0]]();

/** How a network sees an image. */
export function viewOf({ input, range = [0, 1] }: Pick<Model, "input" | "range">): View {
  const [background, foreground] = range;
  return { input, background, foreground };
}

/**
 * The learning rate that training begins with. The 1998 network begins with weights of at most
 * 2.4/fan-in, as in the paper, and its signals reach F6 a thousand times smaller than they began:
 * with Adam it leaves the plateau at 9 % after 8,000 digits at 0.001, 3,500 at 0.003 and 1,500 at
 * 0.005 (90 % after 7,680).
 */
export const startRateOf = (model: { readonly name: string }): number =>
  model.name === "lenet5_1998" ? 5e-3 : 1e-3;
