// Training over several machines: the gradients of a batch, and an update by gradients.

import type { Batch, Target } from "../data/data.ts";
import type { Entry, Model } from "../layers/layer.ts";
import { nextPrefix, matchState, type State } from "../state/state.ts";
import type { Position } from "./checkpoint.ts";
import { notFiniteIn } from "./diagnose.ts";
import { decayOf, noiseOf, type Parts } from "./fit.ts";

/** What `gradients` gives. */
export interface Gradients {
  /** Of the batch, with what heads, layers and regularizers add. */
  readonly loss: number;
  /** What the loss is the mean over: what these gradients weigh in `average`. */
  readonly weight: number;
  /** By parameter; and, as `next/…`, what running statistics become. */
  readonly gradients: State;
}

/** `trained` are the indices of the entries that are trained. */
export function createExchange(
  model: Model,
  entries: readonly Entry[],
  trained: readonly number[],
  parts: Parts,
): {
  gradients(batch: Batch, target?: Target): Promise<Gradients>;
  apply(gradients: State): Promise<void>;
} {
  const { optimizer, average, device, loader, steps } = parts;
  const exchanged = [
    ...trained.map((i) => entries[i]),
    ...device.followed.map((i) => ({ ...entries[i], name: nextPrefix + entries[i].name })),
  ];

  /**
   * One update by gradients that fit; says whether it was finite, and is undone where it was not.
   */
  const update = async (arrays: readonly Float32Array[], before: Position): Promise<void> => {
    const running = device.update(
      [...optimizer.hyper(before.updates), ...decayOf(average, before)],
      arrays.slice(0, trained.length),
      arrays.slice(trained.length),
    );
    steps.position = { ...before, steps: before.steps + 1, updates: before.updates + 1 };
    if (await running) return;
    if (steps.position.updates > before.updates)
      steps.position = { ...steps.position, steps: before.steps, updates: before.updates };
    device.heal();
    const rate = optimizer.learningRate(before.updates);
    const what = `the update by these gradients is not finite; a lower learning rate than ${rate} may help`;
    throw notFiniteIn(what, placeOf(before), "update", "update");
  };

  return {
    async gradients(samples, target) {
      const count = loader.count(samples, target);
      const {
        loss: value,
        weight,
        gradients,
        next,
      } = await device.gradients({ ...samples, count, target, seed: noiseOf(steps.position) });
      return { loss: value, weight, gradients: stateOf(exchanged, [...gradients, ...next]) };
    },
    apply(gradients) {
      const at = steps.position;
      const arrays = matchState(model.name, exchanged, gradients, (name, value) => {
        throw notFiniteIn(
          `the gradient of ${name} holds ${value}; nothing was updated`,
          placeOf(at),
          name,
          "backward",
        );
      });
      const running = update(arrays, at);
      parts.applied = running.catch(() => {});
      return running;
    },
  };
}

const placeOf = ({ epoch, step }: Position) => ({ epoch: epoch + 1, step: step + 1 });

/** The tensors of these entries. */
export const stateOf = (
  entries: readonly Pick<Entry, "name" | "spec">[],
  arrays: readonly Float32Array[],
): State => new Map(entries.map((e, i) => [e.name, { shape: e.spec.shape, data: arrays[i] }]));
