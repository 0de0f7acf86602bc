// Reads, writes, saves and restores the tensors of a trainer.

import { message, shapeError, type Backend, type Buffer } from "@conv/tensor";
import { readFloats } from "../inference/forward.ts";
import type { Entry, Model } from "../layers/layer.ts";
import { checkNames, matchState, optimizerPrefix, stateOf, type State } from "../state/state.ts";
import { decodeCheckpoint, encodeCheckpoint, type Checkpoint } from "./checkpoint.ts";
import type { Loaded, Parts } from "./fit.ts";

export interface Saving {
  read(buffers: readonly Buffer[]): Promise<State>;
  write(buffers: readonly Buffer[], arrays: readonly Float32Array[]): void;
  checkpoint(): Promise<Uint8Array>;
  /** Decodes and checks a checkpoint. Nothing changes before `take` is called. */
  load(bytes: Uint8Array): Loaded;
}

export function createSaving(
  backend: Backend,
  model: Model,
  entries: readonly Entry[],
  { optimizer, batch, device, steps }: Parts,
): Saving {
  const { slots, parameters, slotBuffers } = device;
  const floats = (buffers: readonly Buffer[]) =>
    Promise.all(buffers.map((buffer) => readFloats(backend, buffer)));
  const read = async (buffers: readonly Buffer[]) => stateOf(entries, await floats(buffers));
  const write = (buffers: readonly Buffer[], arrays: readonly Float32Array[]) =>
    arrays.forEach((data, i) => backend.write(buffers[i], data));
  return {
    read,
    write,
    async checkpoint() {
      // All reads are enqueued before the first await, so they come right after the steps of the
      // position.
      const at = steps.settled();
      const [weights, arrays] = await Promise.all([read(parameters), floats(slotBuffers)]);
      slots.forEach(({ name, spec: { shape } }, i) =>
        weights.set(optimizerPrefix + name, { shape, data: arrays[i] }),
      );
      return encodeCheckpoint({
        model: model.name,
        optimizer: optimizer.name,
        position: await at,
        state: weights,
      });
    },
    load(bytes) {
      const saved = decodeCheckpoint(bytes);
      checkSame(saved, { model: model.name, optimizer: optimizer.name, batch });
      const weights = matchState(model.name, entries, saved.state);
      const kept = [...saved.state].flatMap(([name, value]) =>
        name.startsWith(optimizerPrefix)
          ? [[name.slice(optimizerPrefix.length), value] as const]
          : [],
      );
      checkNames(optimizer.name, slots, new Map(kept), "this state belongs to another optimizer");
      const memory = matchState(optimizer.name, slots, new Map(kept));
      const { position } = saved;
      return {
        position,
        take() {
          write(parameters, weights);
          write(slotBuffers, memory);
          steps.position = position;
        },
      };
    },
  };
}

/** Throws ShapeError for a checkpoint of another model, optimizer or batch size. */
function checkSame(
  { model, optimizer, position }: Checkpoint,
  own: { readonly model: string; readonly optimizer: string; readonly batch: number },
): void {
  const saved = { model, optimizer, batch: position.batch };
  for (const what of ["model", "optimizer", "batch"] as const)
    if (saved[what] !== own[what])
      throw shapeError(
        "checkpoint",
        `other-${what}`,
        message`the ${{ what }} of the checkpoint is ${{ saved: saved[what] }}, that of the trainer is ${{ own: own[what] }}`,
      );
}
