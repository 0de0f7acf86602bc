// Networks by name, with a suggestion for names that are not known, and the files their weights are in.

import { decodeSafetensors, type Decoded, type Model } from "@conv/layers";
import { models } from "@conv/layers/models";
import { loadFile } from "@conv/layers/node";
import leven from "leven";
import { about, UserError } from "./errors.ts";

/** The names of all networks. */
export const modelNames = Object.keys(models);

/** The network of that name; throws UserError that suggests the nearest. */
export function modelOf(name: string): Model {
  if (Object.hasOwn(models, name)) return models[name]();
  const near = modelNames.toSorted((a, b) => leven(name, a) - leven(name, b))[0];
  const known = `there are ${new Intl.ListFormat("en", { type: "conjunction" }).format(modelNames)}`;
  const hint = leven(name, near) <= near.length / 2 ? `did you mean ${near}? T${known.slice(1)}` : known;
  throw new UserError(`unknown model ${JSON.stringify(name)}; ${hint}`);
}

const LARGEST_MODEL = 2 ** 30; // bytes; VGG-19, the largest network known, takes half of it

/** A model file of `conv train`: its bytes, what is in them, and the network that its metadata names. Throws UserError. */
export async function loadModel(file: string): Promise<{ bytes: Uint8Array; decoded: Decoded; model: Model }> {
  return about(file, async () => {
    const bytes = await loadFile(file, { maxBytes: LARGEST_MODEL });
    const decoded = decodeSafetensors(bytes);
    const { model } = decoded.metadata;
    if (model === undefined) throw new UserError("its metadata names no model; files of conv train do");
    return { bytes, decoded, model: modelOf(model) };
  });
}
