// The networks of this page: the models of digits in @conv/layers, which have ten classes, and how each wants to see them.

import { models } from "@conv/layers/models";
import type { View } from "./data.ts";

export const MODEL_NAMES = Object.keys(models).filter((name) => models[name]().classes === 10);

/** A network by name; the first one where there is none of that name. */
export const modelNamed = (name: string | null | undefined) => (models[name ?? ""] ?? models[MODEL_NAMES[0]])();

/** The 1998 network sees a background of −0.1 and a foreground of 1.175 (section II.A of the paper), the others 0 and 1. */
export function viewOf(model: { readonly name: string; readonly input: readonly number[] }): View {
  const [background, foreground] = model.name === "lenet5_1998" ? [-0.1, 1.175] : [0, 1];
  return { input: model.input, background, foreground };
}
