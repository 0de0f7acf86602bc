// The network, off the page's thread: it looks at digits, learns them, saves and loads. Training gives way to messages
// between steps, so a picture of the learning network costs one forward pass now and then.

import { createCpu } from "@conv/kernels-cpu";
import { createTrainer, decodeSafetensors, encodeSafetensors, matchState, type Dataset, type State, type Trainer } from "@conv/layers";
import { bytesOf, type Backend, type Buffer } from "@conv/tensor";
import { digitDataset, fetchDigits, intensities, prepare, type PackedDigits, type View } from "./data.ts";
import { modelNamed, viewOf } from "./models.ts";
import type { Point, Reply, Request } from "./protocol.ts";
import { lessonsOf, optimizerOf, START_RECIPE } from "./recipe.ts";
import { readNetwork, type Network } from "./stages.ts";

const BATCH = 64;
const REPORT_EVERY = 100; // ms between reports of progress
const LOOK_EVERY = 250; // ms between pictures while learning
const MEASURE_EVERY = 2048; // images between measurements of accuracy while learning
const MEASURED = 500; // held-out digits for those; all of them at the end of an epoch

const reply = (message: Reply, transfer: Transferable[] = []): void => postMessage(message, { transfer });
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Runs the network on one picture and keeps every value on the way. */
function createEye(backend: Backend, network: Network) {
  const { graph } = network;
  const program = backend.compile(graph);
  const inputs = graph.inputs.map((v) => backend.alloc(bytesOf(v.spec)));
  const outputs = graph.outputs.map((v) => backend.alloc(bytesOf(v.spec)));
  const read = async (buffer: Buffer) => new Float32Array(await backend.read(buffer));
  return async (x: Float32Array, parameters: readonly Float32Array[]): Promise<Float32Array[]> => {
    [x, ...parameters].forEach((data, i) => backend.write(inputs[i], data));
    program.run(inputs, outputs);
    return Promise.all(outputs.map(read));
  };
}

function createSession(backend: Backend, network: Network, digits: PackedDigits, view: View) {
  const { model } = network;
  const eye = createEye(backend, network);
  const heldOut = digits.count - digits.trainCount;
  // Unpacked when first asked for, so that the page need not wait for it.
  let unpacked: { readonly learn: Dataset; readonly test: Dataset; readonly few: Dataset } | null = null;
  const datasets = () => {
    if (unpacked) return unpacked;
    const test = digitDataset(digits, view, digits.trainCount, heldOut);
    return (unpacked = { learn: digitDataset(digits, view, 0, digits.trainCount), test, few: { ...test, count: MEASURED } });
  };
  let rate = 1e-3;
  let recipe = START_RECIPE;
  let seed = 0;
  let pixels: Float32Array | null = null;
  let images: number | null = 0;
  let stop: AbortController | null = null;
  let ended: Promise<void> = Promise.resolve();
  let looking = false;
  let lookAgain = false;

  const begin = (state?: State): Trainer => createTrainer({ backend, model, optimizer: optimizerOf(recipe, () => rate), state, seed, batch: BATCH });
  let trainer = begin();

  const look = async (): Promise<void> => {
    if (!pixels) return;
    lookAgain = looking;
    if (looking) return;
    looking = true;
    try {
      const shown = pixels;
      const x = prepare(shown, view);
      const parameters = [...(await trainer.state()).values()].map((saved) => saved.data);
      const probes = await eye(x, parameters);
      reply(
        { type: "seen", pixels: shown, x, parameters, probes },
        [x, ...parameters, ...probes].map((a) => a.buffer),
      );
    } finally {
      looking = false;
    }
    if (lookAgain) await look();
  };

  const measure = async (data: Dataset): Promise<void> => {
    const at = images ?? 0;
    reply({ type: "accuracy", images: at, accuracy: (await trainer.evaluate(data)).accuracy });
  };

  const fit = async (epochs: number, signal: AbortSignal): Promise<void> => {
    let points: Point[] = [];
    let [reported, looked, measured] = [performance.now(), performance.now(), images ?? 0];
    const [since, sinceImages] = [performance.now(), images ?? 0];
    const report = () => {
      const now = performance.now();
      if (points.length) reply({ type: "progress", points, imagesPerSecond: ((images ?? 0) - sinceImages) / ((now - since) / 1000) });
      points = [];
      reported = now;
    };
    const onStep = async ({ loss }: { loss: number }) => {
      images = (images ?? 0) + BATCH;
      points.push({ images, loss });
      if (performance.now() - reported > REPORT_EVERY) report();
      if (images - measured >= MEASURE_EVERY) {
        measured = images;
        await measure(datasets().few);
      }
      if (performance.now() - looked > LOOK_EVERY) {
        await look();
        looked = performance.now();
      }
    };
    const last = trainer.position.epoch + epochs;
    for await (const _ of trainer.fit(lessonsOf(recipe, datasets().learn, view.background), { epochs: last, signal, onStep })) {
      report();
      await measure(datasets().test);
    }
    report();
  };

  const pause = async (): Promise<void> => {
    stop?.abort();
    await ended;
  };

  /** New weights, and a trainer that knows nothing of the old ones. */
  const replace = async (state: State | undefined, count: number | null): Promise<void> => {
    await pause();
    trainer.dispose();
    trainer = begin(state);
    images = count;
    reply({ type: "training", running: false, images, fresh: true });
    await look();
    if (state) await measure(datasets().test);
  };

  return {
    look(next: Float32Array) {
      pixels = next;
      return look();
    },
    samples(indices: readonly number[]) {
      const samples = indices.map((index) => {
        const at = digits.trainCount + (((index % heldOut) + heldOut) % heldOut);
        return { index, label: digits.label(at), pixels: intensities(digits.levels(at)) };
      });
      reply({ type: "samples", samples });
    },
    train(epochs: number) {
      if (stop) return;
      stop = new AbortController();
      images ??= 0;
      reply({ type: "training", running: true, images, fresh: false });
      ended = fit(epochs, stop.signal)
        .catch((error: unknown) => reply({ type: "failed", message: messageOf(error) }))
        .then(async () => {
          stop = null;
          reply({ type: "training", running: false, images, fresh: false });
          await look();
        });
    },
    pause,
    reset() {
      seed++;
      return replace(undefined, 0);
    },
    rate(value: number) {
      rate = value;
    },
    /** The weights stay, and the optimizer begins anew. */
    async recipe(next: typeof recipe) {
      await pause();
      recipe = next;
      const state = await trainer.state();
      trainer.dispose();
      trainer = begin(state);
    },
    async save() {
      const bytes = encodeSafetensors(await trainer.state(), { model: model.name });
      reply({ type: "weights", bytes }, [bytes.buffer]);
    },
    async load(name: string, bytes: Uint8Array) {
      let state: State;
      try {
        ({ state } = decodeSafetensors(bytes));
        matchState(model.name, network.traced.entries, state);
      } catch (error) {
        return reply({ type: "refused", message: messageOf(error) });
      }
      await replace(state, null);
      reply({ type: "loaded", name });
    },
  };
}

type Session = ReturnType<typeof createSession>;
let session: Promise<Session> | null = null;

async function start({ model: name, digits: url }: Extract<Request, { type: "start" }>): Promise<Session> {
  const model = modelNamed(name);
  // Plain sums: what the page explains term by term is what was computed.
  const [digits, backend] = await Promise.all([fetchDigits(url), createCpu({ roundoff: 0 })]);
  const made = createSession(backend, readNetwork(model), digits, viewOf(model));
  reply({ type: "ready", threads: backend.caps.threads, heldOut: digits.count - digits.trainCount, trainCount: digits.trainCount });
  return made;
}

function handle(request: Exclude<Request, { type: "start" }>, s: Session): Promise<void> | void {
  switch (request.type) {
    case "look":
      return s.look(request.pixels);
    case "samples":
      return s.samples(request.indices);
    case "train":
      return s.train(request.epochs);
    case "pause":
      return s.pause();
    case "reset":
      return s.reset();
    case "rate":
      return s.rate(request.value);
    case "recipe":
      return s.recipe(request.recipe);
    case "save":
      return s.save();
    case "load":
      return s.load(request.name, request.bytes);
  }
}

addEventListener("message", async ({ data }: MessageEvent<Request>) => {
  try {
    if (data.type === "start") session = start(data);
    else if (session) await handle(data, await session);
  } catch (error) {
    reply({ type: "failed", message: messageOf(error) });
  }
});
