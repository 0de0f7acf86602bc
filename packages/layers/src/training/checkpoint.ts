// A checkpoint: parameters, optimizer state and the position in the training, as one safetensors
// file. All random numbers of a training are functions of seed, epoch and step, so it needs no
// state of a random number generator.

import { message, fileError } from "@conv/tensor";
import { decodeSafetensors, encodeSafetensors } from "../state/safetensors.ts";
import { mustBeFinite, optimizerPrefix, type State } from "../state/state.ts";

/** The position in a training, and the sums for the report of the current epoch. */
export interface Position {
  /** Seed of the order of samples, dropout and augmentation. */
  readonly seed: number;
  readonly batch: number;
  /** Number of samples in the data set; 0 before the first step. */
  readonly samples: number;
  /** Completed epochs. */
  readonly epoch: number;
  /** Completed steps of the current epoch. */
  readonly step: number;
  /**
   * Completed steps since the beginning of the training, and updates of the weights. Both are equal
   * unless gradients are accumulated.
   */
  readonly steps: number;
  readonly updates: number;
  /** For the current epoch: number of samples, Σ loss·weight and Σ weight over its batches. */
  readonly seen: number;
  readonly loss: number;
  readonly weight: number;
  /**
   * Σ over batches of the terms that layers and regularizers add to the loss, times the number of
   * samples.
   */
  readonly added: number;
  /** Number of correct predictions, and number of labels. */
  readonly right: number;
  readonly labels: number;
  /** Lowest validation loss so far (null if there is none), and number of epochs since then. */
  readonly best: number | null;
  readonly stale: number;
}

export interface Checkpoint {
  readonly model: string;
  readonly optimizer: string;
  readonly position: Position;
  readonly state: State;
}

const averagePrefix = `${optimizerPrefix}average/`;
const FORMAT = "conv-checkpoint-1";
const wholes = ["batch", "samples", "epoch", "step", "steps", "updates", "seen", "stale"] as const;

/** Encodes a checkpoint as a safetensors file. Throws ShapeError if a tensor is not finite. */
export function encodeCheckpoint({ model, optimizer, position, state }: Checkpoint): Uint8Array {
  mustBeFinite("checkpoint", state);
  return encodeSafetensors(state, {
    format: FORMAT,
    model,
    optimizer,
    position: JSON.stringify(position),
  });
}

/**
 * The tensors of a checkpoint, with weights replaced by their moving averages where they have one.
 */
export function averagedState(state: State): State {
  const averages = [...state].flatMap(([name, saved]) =>
    name.startsWith(averagePrefix) ? [[name.slice(averagePrefix.length), saved] as const] : [],
  );
  return new Map([...state, ...averages]);
}

/**
 * Decodes a checkpoint. Throws FileError if the file is not a checkpoint, for example if it has
 * only weights, and the errors of `decodeSafetensors`.
 */
export function decodeCheckpoint(bytes: Uint8Array): Checkpoint {
  const { state, metadata } = decodeSafetensors(bytes);
  if (metadata.format !== FORMAT)
    throw fileError(
      "checkpoint",
      "not-a-checkpoint",
      message`not a checkpoint: its format is ${{ format: JSON.stringify(metadata.format ?? null) }}, a checkpoint has "${{ needed: FORMAT }}"; weights alone cannot be resumed; pass them as option state`,
    );
  const { model = "", optimizer = "" } = metadata;
  return { model, optimizer, position: positionOf(metadata.position ?? "null"), state };
}

function positionOf(json: string): Position {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw fileError("checkpoint", "position", message`the position is not valid JSON`);
  }
  // Checkpoints of older versions have no weights of losses.
  const position: unknown =
    typeof value === "object" && value !== null && !("weight" in value) && "seen" in value
      ? { ...value, weight: value.seen, added: 0, labels: value.seen }
      : value;
  const fault = faultOf(position);
  if (fault || !isPosition(position))
    throw fileError(
      "checkpoint",
      "position",
      message`the position has a missing or invalid number: ${{ fault: fault || "none" }}`,
    );
  return position;
}

const isPosition = (value: unknown): value is Position =>
  typeof value === "object" && value !== null;

/** The name of the first invalid number of a position, "" if all are valid. */
function faultOf(value: unknown): string {
  if (!isPosition(value)) return "it is not an object";
  const key = wholes.find((name) => !(Number.isSafeInteger(value[name]) && value[name] >= 0));
  if (key) return key;
  const {
    seed,
    batch,
    samples,
    epoch,
    step,
    steps,
    updates,
    seen,
    loss,
    weight,
    added,
    right,
    labels,
    best,
    stale,
  } = value;
  const sound = {
    seed: Number.isSafeInteger(seed),
    batch: batch >= 1,
    step: step <= Math.ceil(samples / batch),
    steps: steps >= step + epoch,
    updates: updates <= steps,
    seen: seen <= Math.min(step * batch, samples),
    loss: Number.isFinite(loss) && (step > 0 || loss === 0),
    weight: weight >= 0 && Number.isFinite(weight),
    added: Number.isFinite(added),
    right: right >= 0 && right <= labels,
    labels: Number.isFinite(labels) && (step > 0 || labels === 0),
    best: best === null || Number.isFinite(best),
    stale: stale <= epoch,
  };
  return Object.entries(sound).find(([, fine]) => !fine)?.[0] ?? "";
}
