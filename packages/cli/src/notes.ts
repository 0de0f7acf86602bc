// What conv train writes into a model file beside the checkpoint: how the network is being trained, and how it went so far.

import { decodeSafetensors, encodeSafetensors } from "@conv/layers";
import { saveFile } from "@conv/layers/node";
import type { CurvePoint } from "./curve.ts";
import { about } from "./errors.ts";

/** What decides the weights that come out. */
export interface Recipe {
  /** The last epoch, counted from the beginning. */
  readonly epochs: number;
  readonly batch: number;
  readonly optimizer: "adam" | "sgd";
  readonly lr: number;
  readonly seed: number;
  /** Digits to train on. */
  readonly limit: number;
}

export interface Epoch extends CurvePoint {
  readonly seconds: number;
  readonly imagesPerSecond: number;
}

export interface Notes {
  readonly recipe: Recipe;
  readonly history: readonly Epoch[];
}

const KEY = "conv";

/** Writes a checkpoint with notes, atomically. Throws UserError where the file can't be written. */
export async function saveNoted(file: string, checkpoint: Uint8Array, notes: Notes): Promise<void> {
  const { state, metadata } = decodeSafetensors(checkpoint);
  await about(file, () => saveFile(file, encodeSafetensors(state, { ...metadata, [KEY]: JSON.stringify(notes) })));
}

/** The notes in a file's metadata; null where there are none that make sense. */
export function notesOf(metadata: Readonly<Record<string, string>>): Notes | null {
  try {
    const { recipe, history }: Notes = JSON.parse(metadata[KEY]);
    const numbers = [recipe.epochs, recipe.batch, recipe.lr, recipe.seed, recipe.limit];
    for (const { epoch, loss, accuracy, test } of history) numbers.push(epoch, loss, accuracy, test.loss, test.accuracy);
    return numbers.every(Number.isFinite) && ["adam", "sgd"].includes(recipe.optimizer) ? { recipe, history } : null;
  } catch {
    return null;
  }
}
