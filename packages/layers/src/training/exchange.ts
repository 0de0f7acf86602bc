// Training on several machines: gradients of a batch, and an update by given gradients.

import { message } from "@conv/tensor";
import type { Batch, Target } from "../data/data.ts";
import type { Entry, Model } from "../layers/layer.ts";
import { matchState, nextPrefix, stateOf, type State } from "../state/state.ts";
import type { Position } from "./checkpoint.ts";
import { givenNotFinite } from "./diagnose.ts";
import { decayOf, noiseOf, type Parts } from "./fit.ts";

/** The result of `gradients`. */
export interface Gradients {
  /** The loss of the batch, with the terms of auxiliary heads, layers and regularizers. */
  readonly loss: number;
  /** The weight of the mean loss, to use as the weight of these gradients in `average`. */
  readonly weight: number;
  /** Gradients by name of the parameter, and new values of running statistics as `next/…`. */
  readonly gradients: State;
}

/** `trained` are the indices of the trained entries. */
export function createExchange(
  model: Model,
  entries: readonly Entry[],
  trained: readonly number[],
  { optimizer, average, device, loader, steps, activity }: Parts,
): {
  gradients(batch: Batch, target?: Target): Promise<Gradients>;
  apply(gradients: State): Promise<void>;
} {
  const exchanged = [
    ...trained.map((i) => entries[i]),
    ...device.followed.map((i) => ({ ...entries[i], name: nextPrefix + entries[i].name })),
  ];

  /** One update by gradients that fit; if it is not finite, nothing changes. */
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
    device.resetHealth();
    throw givenNotFinite(
      "update-not-finite",
      message`the update by these gradients is not finite; a lower learning rate than ${{ learningRate: optimizer.learningRate(before.updates) }} may help`,
      placeOf(before),
      "update",
      "update",
    );
  };

  return {
    async gradients(samples, target) {
      activity.check();
      const count = loader.count(samples, target);
      const pass = { ...samples, count, target, seed: noiseOf(steps.position) };
      const { loss, weight, gradients, next } = await device.gradients(pass);
      return { loss, weight, gradients: stateOf(exchanged, [...gradients, ...next]) };
    },
    apply(gradients) {
      activity.checkIdle("apply");
      const at = steps.position;
      const arrays = matchState(model.name, exchanged, gradients, (tensor, value) => {
        throw givenNotFinite(
          "gradient-not-finite",
          message`the gradient of ${{ tensor }} contains ${{ value }}; nothing was updated`,
          placeOf(at),
          tensor,
          "backward",
        );
      });
      const running = update(arrays, at);
      activity.updating(running.catch(() => {}));
      return running;
    },
  };
}

const placeOf = ({ epoch, step }: Position) => ({ epoch: epoch + 1, step: step + 1 });
