// Training on several machines, here processes: each trains on its part of the digits, then all
// continue from the mean of their weights (McMahan et al., "Communication-efficient learning of
// deep networks from decentralized data", 2017). Any transport can carry the bytes.

import { fork } from "node:child_process";
import { once } from "node:events";
import { loadDigits } from "@conv/cli/digits";
import { createCpu } from "@conv/kernels-cpu";
import {
  adam,
  arrayDataset,
  average,
  createTrainer,
  decodeSafetensors,
  encodeSafetensors,
  subset,
} from "@conv/layers";
import { lenet5 } from "@conv/layers/models";

const WORKERS = 3;
const ROUNDS = 3;
const DIGITS = 1500; // training samples of all workers together

const { images, labels, train, test } = loadDigits();
const digits = arrayDataset({ x: images, y: labels, sample: [1, 28, 28], scale: 1 / 255 });
const backend = await createCpu({ threads: 1 });
// The seed is the same everywhere, so all start from the same weights.
const trainer = createTrainer({
  backend,
  model: lenet5(),
  optimizer: adam({ lr: 2e-3 }),
  batch: 32,
  seed: 1,
});

if (process.send) {
  const share = Number(process.argv[2]);
  const own = subset(
    digits,
    train.slice(0, DIGITS).filter((_, i) => i % WORKERS === share),
  );
  const send = process.send.bind(process);
  for (let round = 1; round <= ROUNDS; round++) {
    for await (const _ of trainer.fit(own, { epochs: round }));
    send(encodeSafetensors(await trainer.state()));
    const [mean]: Uint8Array[] = await once(process, "message");
    trainer.setState(decodeSafetensors(mean).state);
  }
  process.disconnect();
} else {
  const workers = Array.from({ length: WORKERS }, (_, share) =>
    fork(import.meta.filename, [`${share}`], { serialization: "advanced" }),
  );
  const ended = workers.map((worker) => once(worker, "exit"));
  for (let round = 1; round <= ROUNDS; round++) {
    const sent: Uint8Array[][] = await Promise.all(
      workers.map((worker) => once(worker, "message")),
    );
    const mean = average(sent.map(([bytes]) => decodeSafetensors(bytes).state));
    for (const worker of workers) worker.send(encodeSafetensors(mean));
    trainer.setState(mean);
    const { accuracy } = await trainer.evaluate(subset(digits, test));
    console.log(`round ${round}: the mean of ${WORKERS} reads ${(100 * accuracy).toFixed(1)} %`);
  }
  await Promise.all(ended);
}
trainer.dispose();
backend.dispose();
