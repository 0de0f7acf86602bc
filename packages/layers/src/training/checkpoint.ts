// A checkpoint: parameters, optimizer state and the place in the training, as one safetensors file.
// All randomness of a training is a function of seed, epoch and step, so these are the whole
// position of its random numbers too.

import { message, fileError } from "@conv/tensor";
import { decodeSafetensors, encodeSafetensors } from "../state/safetensors.ts";
import { mustBeFinite, optimizerPrefix, type State } from "../state/state.ts";

/** The place in a training, and what the report of the epoch under way needs. Plain numbers. */
export interface Position {
  /** What the order of samples and all noise are drawn from. */
  readonly seed: number;
  readonly batch: number;
  /** Samples in the data set; 0 before the first step. */
  readonly samples: number;
  /** Completed epochs. */
  readonly epoch: number;
  /** Completed steps of the epoch under way. */
  readonly step: number;
  /**
   * Completed steps since the beginning, and the updates of weights that they made: one each,
   * unless gradients are gathered.
   */
  readonly steps: number;
  readonly updates: number;
  /**
   * Over the epoch under way: samples seen, and Σ loss·weight, Σ weight of the losses of its
   * batches.
   */
  readonly seen: number;
  readonly loss: number;
  readonly weight: number;
  /** Σ of what layers and regularizers added to a batch, times its samples. */
  readonly added: number;
  /** Right answers, of so many labels. */
  readonly right: number;
  readonly labels: number;
  /** Lowest validation loss so far (null: none yet), and epochs since. */
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

/** Throws ShapeError where a tensor is not finite. */
export function encodeCheckpoint({ model, optimizer, position, state }: Checkpoint): Uint8Array {
  mustBeFinite("checkpoint", state);
  return encodeSafetensors(state, {
    format: FORMAT,
    model,
    optimizer,
    position: JSON.stringify(position),
  });
}

/** The weights of a checkpoint, with their moving averages in place of those that have one. */
export function averagedState(state: State): State {
  const averages = [...state].flatMap(([name, saved]) =>
    name.startsWith(averagePrefix) ? [[name.slice(averagePrefix.length), saved] as const] : [],
  );
  return new Map([...state, ...averages]);
}

/**
 * Throws ShapeError, besides the errors of safetensors, where the file holds weights without a
 * place in a training.
 */
export function decodeCheckpoint(bytes: Uint8Array): Checkpoint {
  const { state, metadata } = decodeSafetensors(bytes);
  if (metadata.format !== FORMAT)
    throw fileError(
      "checkpoint",
      "not-a-checkpoint",
      message`not a checkpoint: its format is ${{ format: JSON.stringify(metadata.format ?? null) }}, a checkpoint has "${{ needed: FORMAT }}"; weights alone can't be resumed`,
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
  // Files of before losses had weights.
  const position: unknown =
    typeof value === "object" && value !== null && !("weight" in value) && "seen" in value
      ? { ...value, weight: value.seen, added: 0, labels: value.seen }
      : value;
  const fault = faultOf(position);
  if (fault || !isPosition(position))
    throw fileError(
      "checkpoint",
      "position",
      message`the position has a missing or impossible number: ${{ fault: fault || "none" }}`,
    );
  return position;
}

const isPosition = (value: unknown): value is Position =>
  typeof value === "object" && value !== null;

/** What is wrong with a position, "" where nothing is. */
function faultOf(value: unknown): string {
  if (!isPosition(value)) return "no object";
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
