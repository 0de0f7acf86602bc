// Notes of conv train in the metadata of a model file: the options of the training and its
// history.

import { decodeSafetensors, encodeSafetensors } from "@conv/layers";
import { saveFile } from "@conv/layers/node";
import type { CurvePoint } from "./curve.ts";
import { about } from "./errors.ts";
import { notFinite } from "./model.ts";
import { isRecipe, type Recipe } from "./recipe.ts";

export interface Epoch extends CurvePoint {
  readonly seconds: number;
  readonly imagesPerSecond: number;
}

export interface Notes {
  readonly recipe: Recipe;
  readonly history: readonly Epoch[];
  /** The device that it was trained on last, in words; absent in older files. */
  readonly on?: string;
}

const KEY = "conv";

// JSON has no NaN and no infinity, which the results of an epoch may be.
const encoded = (_: string, value: unknown) =>
  typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
const decoded = (_: string, value: unknown) =>
  value === null || value === "NaN"
    ? NaN
    : value === "Infinity"
      ? Infinity
      : value === "-Infinity"
        ? -Infinity
        : value;

/**
 * Writes a checkpoint with notes, atomically. Throws UserError where the file cannot be written,
 * and Error where a weight is not finite.
 */
export async function saveNoted(file: string, checkpoint: Uint8Array, notes: Notes): Promise<void> {
  const { state, metadata } = decodeSafetensors(checkpoint);
  const broken = notFinite(state);
  if (broken) throw new Error(`train: ${broken}; ${file} was not written`);
  await about(file, () =>
    saveFile(
      file,
      encodeSafetensors(state, { ...metadata, [KEY]: JSON.stringify(notes, encoded) }),
    ),
  );
}

/** The notes in the metadata of a file; null where there are no valid ones. */
export function notesOf(metadata: Readonly<Record<string, string>>): Notes | null {
  try {
    const { recipe, history, on }: Notes = JSON.parse(metadata[KEY], decoded);
    const told = history.every(
      ({ epoch, loss, accuracy, test }, i) =>
        epoch === i + 1 && [loss, accuracy, test.loss, test.accuracy].every(isNumber),
    );
    return told && isRecipe(recipe) && (on === undefined || typeof on === "string")
      ? { recipe, history, ...(on !== undefined && { on }) }
      : null;
  } catch {
    return null;
  }
}

const isNumber = (value: unknown): boolean => typeof value === "number";
