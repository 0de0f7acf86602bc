// How long a training will take, measured before it starts by a few steps of a separate trainer.

import type { Dataset, Trainer } from "@conv/layers";
import type { Device } from "./device.ts";

const TRIAL = 150; // ms of steps, after the first, that are timed

/** The subject of a measurement. The trainer is disposed afterwards. */
interface Subject {
  readonly trainer: Trainer;
  readonly data: Dataset;
  /** The data for measurements of accuracy. */
  readonly test: Dataset;
  readonly batch: number;
  /** Images measured for accuracy, for each image that is trained on. */
  readonly testsPerImage: number;
}

/**
 * Seconds that an image takes in training, the measurements of accuracy included; null where the
 * trial was aborted before it had a step to time. The first step is not timed: it compiles.
 */
async function secondsPerImage(
  { trainer, data, test, batch, testsPerImage }: Subject,
  trial: AbortController,
): Promise<number | null> {
  let [began, steps] = [0, 0];
  const onStep = () => {
    if (began === 0) began = performance.now();
    else if ((steps++, performance.now() - began > TRIAL)) trial.abort();
  };
  for await (const _ of trainer.fit(data, { epochs: 1, signal: trial.signal, onStep })) break;
  if (steps === 0) return null;
  const step = (performance.now() - began) / steps / batch;
  await trainer.evaluate({ ...test, count: batch }); // compiles
  const tested = performance.now();
  await trainer.evaluate({ ...test, count: batch });
  const pass = (performance.now() - tested) / batch;
  return (step + pass * testsPerImage) / 1000;
}

/** Times each CPU once. On a GPU, where compilation is slow, the training is timed instead. */
export function createTrial(subject: () => Promise<Subject>) {
  let tried: Device | null = null;
  let trial: AbortController | null = null;
  return {
    async measure(device: Device): Promise<number | null> {
      if (tried === device || device.info.name !== "cpu") return null;
      tried = device;
      const controller = (trial = new AbortController());
      const made = await subject();
      try {
        return await secondsPerImage(made, controller);
      } finally {
        made.trainer.dispose();
        trial = null;
      }
    },
    /** Ends a running measurement. */
    hurry: () => trial?.abort(),
  };
}
