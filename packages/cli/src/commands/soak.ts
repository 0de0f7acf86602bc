// `conv soak`: trains a tiny network for many steps and watches the memory of the process, which
// must not grow.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import {
  adam,
  arrayDataset,
  augmented,
  batchNorm2d,
  conv2d,
  createRandom,
  createTrainer,
  dropout,
  flatten,
  linear,
  maxPool2d,
  pipe,
  relu,
  sequential,
  shift,
} from "@conv/layers";
import { openBackend, type DeviceOptions } from "../backend.ts";
import { print } from "../output.ts";

export interface SoakOptions extends DeviceOptions {
  readonly steps: number;
  readonly json: boolean;
}

/**
 * Memory after so many steps and a garbage collection: of objects, of array buffers, of the process
 * and of the back end.
 */
interface Sample {
  readonly step: number;
  readonly heap: number;
  readonly buffers: number;
  readonly resident: number;
  readonly backend: { readonly buffers: number; readonly bytes: number; readonly programs: number };
}

const COUNT = 800;
const BATCH = 8;
const SAMPLES = 20;

const layer = sequential([
  pipe(conv2d(4, 3), relu()),
  batchNorm2d(),
  maxPool2d(2),
  flatten(),
  dropout(0.1),
  linear(2),
]);
const model = { name: "soak", input: [1, 8, 8], classes: 2, layer };

export async function soak({ steps, json, ...options }: SoakOptions): Promise<void> {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  const random = createRandom("soak");
  const x = Float32Array.from({ length: COUNT * 64 }, () => random.normal());
  const data = augmented(
    arrayDataset({ x, y: Array.from({ length: COUNT }, (_, i) => i % 2), sample: model.input }),
    shift({ by: 1 }),
  );
  const { backend, announce } = await openBackend(options);
  const samples: Sample[] = [];
  const measure = (step: number) => {
    collect();
    const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
    const { buffers, bytes, programs } = backend.memory();
    samples.push({
      step,
      heap: heapUsed,
      buffers: arrayBuffers,
      resident: rss,
      backend: { buffers, bytes, programs },
    });
    if (!json)
      print(
        row([step.toLocaleString("en-US"), ...[heapUsed, arrayBuffers, rss, bytes].map(kibibytes)]),
      );
  };
  try {
    const trainer = createTrainer({
      backend,
      model,
      optimizer: adam(),
      batch: BATCH,
      average: 0.99,
      clip: { norm: 1 },
    });
    announce();
    if (!json) print(row(["step", "objects", "buffers", "process", "back end"]));
    const started = performance.now();
    const every = Math.max(1, Math.ceil(steps / SAMPLES));
    let step = 0;
    const stop = new AbortController();
    const onStep = () => {
      if (++step % every === 0 || step === steps) measure(step);
      if (step >= steps) stop.abort();
    };
    const epochs = Math.ceil(steps / (COUNT / BATCH)) + 1;
    // A checkpoint now and then, as a long training would save.
    for await (const { epoch } of trainer.fit(data, { epochs, signal: stop.signal, onStep }))
      if (epoch % 100 === 0) await trainer.checkpoint();
    const seconds = (performance.now() - started) / 1000;
    trainer.dispose();
    // Free memory varies, so the minimum of a quarter counts. The first quarter warms up: code is
    // compiled, pools fill.
    const least = (quarter: number, of: (s: Sample) => number) =>
      Math.min(
        ...samples
          .filter((s) => s.step > (steps * (quarter - 1)) / 4 && s.step <= (steps * quarter) / 4)
          .map(of),
      );
    const grown = (of: (s: Sample) => number) => least(4, of) - least(2, of);
    const growth = {
      objects: grown((s) => s.heap + s.buffers),
      process: grown((s) => s.resident),
      backend: grown((s) => s.backend.bytes),
    };
    if (json) print(JSON.stringify({ steps, seconds, growth, samples }, null, 2));
    else
      print(
        `\n${steps.toLocaleString("en-US")} steps in ${seconds.toFixed(0)} s; growth from the second ` +
          `quarter to the last: objects and buffers ${kibibytes(growth.objects)}, ` +
          `process ${kibibytes(growth.process)}, back end ${kibibytes(growth.backend)}`,
      );
  } finally {
    backend.dispose();
  }
}

const kibibytes = (bytes: number): string =>
  `${Math.round(bytes / 1024).toLocaleString("en-US")} KiB`;
const row = (cells: readonly string[]): string =>
  cells.map((cell, i) => cell.padStart(i ? 12 : 8)).join("");
