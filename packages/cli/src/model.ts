// Networks by name, with a suggestion for unknown names, and model files.

import { traceModel, type Decoded, type Model, type State } from "@conv/layers";
import { models } from "@conv/layers/models";
import { loadSafetensors } from "@conv/layers/node";
import { nearest, printable } from "@conv/tensor";
import { about, UserError } from "./errors.ts";

/** The names of all networks. */
export const modelNames = Object.keys(models);

const listed = (names: readonly string[]): string =>
  new Intl.ListFormat("en", { type: "conjunction" }).format(names);

/** The network of that name; throws UserError that suggests the nearest. */
export function modelOf(name: string): Model {
  if (Object.hasOwn(models, name)) return models[name]();
  const { name: near, edits } = nearest(name, modelNames);
  const known = `there are ${listed(modelNames)}`;
  const hint = edits <= near.length / 2 ? `did you mean ${near}? T${known.slice(1)}` : known;
  throw new UserError(`unknown model "${printable(name, 40)}"; ${hint}`);
}

/**
 * Whether a network takes one gray image and has one output for each class, as `conv train` and
 * `conv predict` need.
 */
const classifies = (model: Model): boolean =>
  model.input.length === 3 && model.input[0] === 1 && traceModel(model).output.shape.length === 2;

/** The names of the networks that can be trained on gray images. */
export const classifierNames = (): string[] =>
  modelNames.filter((name) => classifies(models[name]()));

/**
 * The network of that name, for gray images and classes; throws UserError that lists those that
 * exist.
 */
export function classifierOf(name: string): Model {
  const model = modelOf(name);
  if (classifies(model)) return model;
  const { output } = traceModel(model);
  throw new UserError(
    `${name} takes ${model.input.join("×")} and returns ${output.shape.slice(1).join("×")}; ` +
      `the networks for gray images and classes are ${listed(classifierNames())}`,
  );
}

const LARGEST_MODEL = 2 ** 30; // bytes; VGG-19, the largest network here, takes half of it

/**
 * A model file of `conv train`: its bytes, their content, and the network that its metadata names.
 * Throws UserError.
 */
export async function loadModel(
  file: string,
): Promise<{ bytes: Uint8Array; decoded: Decoded; model: Model }> {
  return about(file, async () => {
    const { bytes, ...decoded } = await loadSafetensors(file, { maxBytes: LARGEST_MODEL });
    const { model } = decoded.metadata;
    if (model === undefined)
      throw new UserError("its metadata names no model, as files of conv train do");
    const broken = notFinite(decoded.state);
    if (broken) throw new UserError(`${broken}; its training diverged`);
    return { bytes, decoded, model: classifierOf(model) };
  });
}

/** Says which tensor holds a value that is not finite; null where none does. */
export function notFinite(state: State): string | null {
  for (const [name, { data }] of state)
    for (let i = 0; i < data.length; i++)
      if (!Number.isFinite(data[i]))
        return `${printable(name, 80)} contains ${data[i]} at index ${i}`;
  return null;
}
