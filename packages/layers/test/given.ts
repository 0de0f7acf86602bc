// Shared by the tests of what users pass: a model, data, a trainer, and values without types.

import { createHost } from "@conv/tensor";
import { arrayDataset, createTrainer, linear, sgd } from "../src/index.ts";
import type { TrainerOptions } from "../src/index.ts";
import { only } from "./tiny.ts";

export const model = { ...only(linear(3), [2]), classes: 3 };
export const good = arrayDataset({
  x: Float32Array.from({ length: 12 }, (_, i) => Math.sin(i * i)),
  y: [0, 1, 2, 0, 1, 2],
  sample: [2],
});
export const make = (options: Partial<TrainerOptions> = {}) =>
  createTrainer({
    backend: createHost(),
    model,
    optimizer: sgd({ lr: 0.1 }),
    batch: 4,
    ...options,
  });
/** As plain JavaScript has it. */
export const untyped = <T>(value: unknown): T => value as T;
