// What conv train writes into a model file beside the checkpoint: how the network is being trained, and how it went so far.

import { decodeSafetensors, encodeSafetensors } from "@conv/layers";
import { saveFile } from "@conv/layers/node";
import type { CurvePoint } from "./curve.ts";
import { about } from "./errors.ts";
import { optimizers, schedules, type Recipe } from "./recipe.ts";

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
    const { epochs, batch, lr, warmup, weightDecay, labelSmoothing, clip, accumulate, average, seed, limit, augment, data } = recipe;
    const numbers = [epochs, batch, lr, warmup, weightDecay, labelSmoothing, clip, accumulate, average, seed, limit];
    for (const { epoch, loss, accuracy, test } of history) numbers.push(epoch, loss, accuracy, test.loss, test.accuracy);
    const texts = typeof augment === "string" && typeof data === "string";
    const known = Object.hasOwn(optimizers, recipe.optimizer) && schedules.includes(recipe.schedule);
    return numbers.every(Number.isFinite) && texts && known ? { recipe, history } : null;
  } catch {
    return null;
  }
}
