// A network that is trained for a few steps and then used for inference.

import {
  adam,
  arrayDataset,
  conv2d,
  createPredictor,
  createTrainer,
  flatten,
  linear,
  maxPool2d,
  relu,
  sequential,
  type Model,
} from "@conv/layers";
import { lenet5 } from "@conv/layers/models";
import type { Backend } from "@conv/tensor";

const model: Model = {
  name: "small",
  input: [1, 8, 8],
  classes: 2,
  layer: sequential([conv2d(4, 3, { padding: 1 }), relu(), maxPool2d(2), flatten(), linear(2)]),
};

/** Bright above or bright below. */
const data = arrayDataset({
  x: Uint8Array.from(
    { length: 32 * 64 },
    (_, i) => ((i * 37) % 101) + (i % 64 < 32 === (i >> 6) % 2 > 0 ? 100 : 0),
  ),
  y: Array.from({ length: 32 }, (_, i) => i % 2),
  sample: [1, 8, 8],
  scale: 1 / 255,
});

export async function main(backend: Backend): Promise<number[]> {
  const trainer = createTrainer({
    backend,
    model,
    optimizer: adam({ lr: 0.01 }),
    seed: 1,
    batch: 8,
  });
  const losses: number[] = [];
  for await (const { loss } of trainer.fit(data, { epochs: 3 })) losses.push(loss);
  const predictor = createPredictor(backend, model, await trainer.state());
  const logits = await predictor.predict(data.batch([0, 1, 2]).x);
  return [...losses, ...logits, lenet5().input.length];
}
