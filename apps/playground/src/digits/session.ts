// One network on one device at a time: it looks at digits, learns them, is saved and loaded, and
// moves to another device with all it has learned. Training gives way to messages between steps, so
// a picture of the learning network costs one forward pass now and then.

import {
  createTrainer,
  encodeSafetensors,
  type Dataset,
  type State,
  type Trainer,
} from "@conv/layers";
import { bytesOf, type Backend, type Buffer } from "@conv/tensor";
import { digitDataset, intensities, prepare, type PackedDigits, type View } from "./data.ts";
import { whyNot, type Device, type Devices, type Opened } from "./device.ts";
import { readWeights } from "./file.ts";
import type { DeviceChoice, DeviceName, Point, Reply, Request, Weights } from "./protocol.ts";
import { lessonsOf, optimizerOf, type Recipe } from "./recipe.ts";
import type { Network } from "./stages.ts";
import { beginningOf, type Beginning } from "./weights.ts";

const BATCH = 64;
const REPORT_EVERY = 100; // ms between reports of progress
const LOOK_EVERY = 250; // ms between pictures while learning
const MEASURE_EVERY = 2048; // images between measurements of accuracy while learning
const MEASURED = 500; // held-out digits for those; all of them at the end of an epoch
const PACED = 4; // steps that are measured at least before a training tells its pace
// ms of steps, after the first, that are timed to estimate how long a training takes
const TRIAL = 150;
const LAST_WORDS = 500; // ms in which an error may turn out to be the loss of the device

interface Setting {
  readonly devices: Devices;
  readonly network: Network;
  readonly digits: PackedDigits;
  readonly view: View;
  readonly reply: (message: Reply, transfer?: Transferable[]) => void;
}

export type Session = Awaited<ReturnType<typeof createSession>>;

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

/** What a session begins with. */
export type Start = Omit<Extract<Request, { type: "start" }>, "type" | "model">;

/** Begins with those weights on the device of that choice, and tells which that is. */
export async function createSession(
  { devices, network, digits, view, reply }: Setting,
  start: Start,
) {
  const { model } = network;
  const heldOut = digits.count - digits.trainCount;
  // Unpacked when first asked for, so that the page need not wait for it.
  let unpacked: { readonly learn: Dataset; readonly test: Dataset; readonly few: Dataset } | null =
    null;
  const datasets = () => {
    if (unpacked) return unpacked;
    const test = digitDataset(digits, view, digits.trainCount, heldOut);
    return (unpacked = {
      learn: digitDataset(digits, view, 0, digits.trainCount),
      test,
      few: { ...test, count: MEASURED },
    });
  };

  // What each device that was reached sees with. The loss of one is heard once.
  const eyes = new Map<Device, ReturnType<typeof createEye>>();
  const reach = async (wanted: DeviceChoice): Promise<Opened> => {
    try {
      const opened = await devices.open(wanted);
      const { device: reached } = opened;
      if (!eyes.has(reached)) {
        eyes.set(reached, createEye(reached.backend, network));
        void reached.lost.then((reason) =>
          inTurn(() => recover(reached, /\((.*)\)/.exec(reason)?.[1] ?? reason)),
        );
      }
      return opened;
    } catch (error) {
      if (wanted === "cpu") throw error;
      return {
        ...(await reach("cpu")),
        notGpu: await whyNot(messageOf(error).replace("gpu: ", "")),
      };
    }
  };
  const opened = await reach(start.device);

  let { device } = opened;
  let losses = 0;
  let { rate, recipe } = start;
  let pixels: Float32Array | null = null;
  let weights: Weights = { from: "random", images: 0 };
  let goal = 0; // the epoch with whose end the training stops
  let stop: AbortController | null = null;
  let brokenOff = false; // the last training ended with the loss of its device
  let ended: Promise<void> = Promise.resolve();
  let looking: Promise<void> | null = null;
  let lookAgain = false;
  // whether the page has drawn the last picture: a slow one is never sent more than it can show
  let drawn = true;
  /** The weights that were last seen: what is left of them should the device be lost. */
  let kept: { readonly state: State; readonly weights: Weights } | null = null;

  const begin = (state?: State): Trainer =>
    createTrainer({
      backend: device.backend,
      model,
      optimizer: optimizerOf(recipe, () => rate),
      state,
      batch: BATCH,
    });

  /** Weights of a beginning; random ones, with the reason told, where trained ones can't be had. */
  const weightsOf = async (wanted: Beginning): Promise<State> => {
    try {
      const state = await beginningOf(model, wanted, start.folder);
      weights = { from: wanted.from, images: 0 };
      return state;
    } catch (error) {
      if (wanted.from === "random") throw error;
      reply({ type: "refused", refusal: { kind: "notFetched", message: messageOf(error) } });
      return weightsOf({ from: "random", seed: 0 });
    }
  };
  let trainer = begin(await weightsOf(start.beginning));

  let turn: Promise<void> = Promise.resolve();
  /** Does one piece of work after the other. */
  const inTurn = (work: () => Promise<void> | void): Promise<void> =>
    (turn = turn.then(work).catch((error: unknown) => void fail(error)));

  /**
   * Tells of an error; but what goes wrong on a lost device are its last words, not news: the loss
   * itself is told, a moment before or after. Returns whether it was that.
   */
  const fail = async (reason: unknown, on = device): Promise<boolean> => {
    const lost = await Promise.race([
      on.lost,
      new Promise<null>((resolve) => setTimeout(resolve, LAST_WORDS, null)),
    ]);
    if (lost === null) reply({ type: "failed", message: messageOf(reason) });
    return lost !== null;
  };

  const lookOnce = async (shown: Float32Array): Promise<void> => {
    const [eye, at] = [eyes.get(device)!, weights];
    const x = prepare(shown, view);
    const state = await trainer.state();
    kept = { state, weights: at };
    const parameters = [...state.values()].map(({ data }) => data);
    const probes = await eye(x, parameters);
    drawn = false;
    reply(
      { type: "seen", pixels: shown, x, parameters, probes },
      [x, ...probes].map((a) => a.buffer),
    );
  };
  const look = async (): Promise<void> => {
    lookAgain = looking !== null;
    if (looking || !pixels) return;
    const on = device;
    looking = lookOnce(pixels).catch((error: unknown) => void fail(error, on));
    await looking;
    looking = null;
    if (lookAgain) await look();
  };
  /** Puts another trainer in place of this one, between two looks. */
  const exchange = async (make: () => Trainer): Promise<void> => {
    for (let under = looking; under; under = looking) await under;
    trainer.dispose();
    trainer = make();
  };

  const measure = async (data: Dataset): Promise<void> => {
    const at = weights.images;
    reply({ type: "accuracy", images: at, accuracy: (await trainer.evaluate(data)).accuracy });
  };

  /** Images until the goal. */
  const left = (): number =>
    (goal - trainer.position.epoch) * digits.trainCount -
    Math.min(digits.trainCount, trainer.position.step * BATCH);

  let tried: Device | null = null;
  let trial: AbortController | null = null;
  /**
   * Measures what an image takes in training, by a trainer of its own: a few steps after the first,
   * which compiles, and a forward pass for what is measured on the way. On a GPU, where compiling
   * takes long, the training itself is measured.
   */
  const tryOut = async (): Promise<void> => {
    if (tried === device || device.info.name !== "cpu") return;
    tried = device;
    const trying = begin(await trainer.state());
    const { signal } = (trial = new AbortController());
    let [began, steps] = [0, 0];
    try {
      const data = lessonsOf(recipe, datasets().learn, view.background);
      const onStep = () => {
        if (began === 0) began = performance.now();
        else if ((steps++, performance.now() - began > TRIAL)) trial?.abort();
      };
      for await (const _ of trying.fit(data, { epochs: 1, signal, onStep })) break;
      if (steps === 0) return;
      const step = (performance.now() - began) / steps / BATCH;
      await trying.evaluate({ ...datasets().few, count: BATCH }); // compiles
      const looked = performance.now();
      await trying.evaluate({ ...datasets().few, count: BATCH });
      const look = (performance.now() - looked) / BATCH;
      // An epoch ends with all held-out digits; before that, a few now and then.
      const looks = heldOut / digits.trainCount + MEASURED / MEASURE_EVERY;
      reply({ type: "pace", secondsPerImage: (step + look * looks) / 1000 });
    } finally {
      trying.dispose();
      trial = null;
    }
  };

  const fit = async (signal: AbortSignal): Promise<void> => {
    let points: Point[] = [];
    let [reported, looked, measured] = [performance.now(), performance.now(), weights.images];
    // speed is measured from the end of the first step on: that one compiles
    let [since, sinceImages] = [0, 0];
    const report = () => {
      const now = performance.now();
      const { images } = weights;
      if (points.length) reply({ type: "progress", points, images, left: Math.max(0, left()) });
      if (images - sinceImages >= PACED * BATCH)
        reply({ type: "pace", secondsPerImage: (now - since) / 1000 / (images - sinceImages) });
      points = [];
      reported = now;
    };
    const onStep = async ({ loss }: { loss: number }) => {
      const images = weights.images + BATCH;
      weights = { ...weights, images };
      if (since === 0) [since, sinceImages] = [performance.now(), images];
      points.push({ images, loss });
      if (performance.now() - reported > REPORT_EVERY) report();
      if (images - measured >= MEASURE_EVERY) {
        measured = images;
        await measure(datasets().few);
      }
      if (drawn && performance.now() - looked > LOOK_EVERY) {
        await look();
        looked = performance.now();
      }
    };
    for await (const _ of trainer.fit(lessonsOf(recipe, datasets().learn, view.background), {
      epochs: goal,
      signal,
      onStep,
    })) {
      report();
      await measure(datasets().test);
    }
    report();
  };

  /** Trains to the goal, in the background. */
  const run = (): void => {
    const on = device;
    stop = new AbortController();
    reply({ type: "training", running: true, weights, fresh: false });
    brokenOff = false;
    ended = fit(stop.signal)
      .catch((error: unknown) => fail(error, on))
      .then((lost) => {
        brokenOff = lost === true;
        stop = null;
        reply({ type: "training", running: false, weights, fresh: false });
        return look();
      });
  };
  const pause = async (): Promise<void> => {
    stop?.abort();
    await ended;
  };

  /** New weights, and a trainer that knows nothing of the old ones. */
  const replace = async (state: State): Promise<void> => {
    await exchange(() => begin(state));
    reply({ type: "training", running: false, weights, fresh: true });
    await look();
    if (weights.from === "file") await measure(datasets().test);
  };

  /**
   * After the loss of a device: the same once more, the CPU after the next loss, with the weights
   * that were last seen.
   */
  const recover = async (gone: Device, reason: string): Promise<void> => {
    eyes.delete(gone);
    devices.forget(gone);
    if (gone === device) {
      const running = stop !== null;
      await pause();
      const epochs = running || brokenOff ? goal - trainer.position.epoch : 0;
      const { device: next, notGpu } = await reach(losses++ ? "cpu" : gone.info.name);
      await exchange(() => {
        device = next;
        return begin(kept?.state);
      });
      if (kept) weights = kept.weights;
      goal = epochs;
      reply({ type: "training", running: false, weights, fresh: false });
      if (epochs > 0) run();
      reply({ type: "device", device: device.info, notGpu, lost: reason });
    }
    gone.backend.dispose();
    await look();
  };

  reply({ type: "device", device: device.info, notGpu: opened.notGpu, lost: null });
  reply({ type: "training", running: false, weights, fresh: false });
  return {
    inTurn,
    pause,
    shown: () => void (drawn = true),
    /** Measures the time of a training, once the first picture is seen. */
    tryOut,
    /** Ends that: there is something else to do. */
    hurry: () => trial?.abort(),
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
      goal = trainer.position.epoch + epochs;
      run();
    },
    async begin(beginning: Beginning) {
      await pause();
      await replace(await weightsOf(beginning));
    },
    rate(value: number) {
      rate = value;
    },
    /** The weights stay, the optimizer begins anew, and a training under way goes on. */
    async recipe(next: Recipe) {
      const goOn = stop !== null;
      await pause();
      recipe = next;
      const state = await trainer.state();
      goal -= trainer.position.epoch; // the new trainer counts from the beginning of the epoch
      await exchange(() => begin(state));
      if (goOn && goal > 0) run();
    },
    /** Weights, optimizer and place in the data move along, and a training under way goes on. */
    async move(to: DeviceName) {
      const { device: next, notGpu } = await reach(to);
      const goOn = stop !== null;
      if (next !== device) {
        await pause();
        const saved = await trainer.checkpoint();
        await exchange(() => {
          device = next;
          const moved = begin();
          moved.restore(saved);
          return moved;
        });
      }
      reply({ type: "device", device: device.info, notGpu, lost: null });
      await look();
      if (goOn && !stop && trainer.position.epoch < goal) run();
      else if (!stop) await tryOut();
    },
    async save() {
      const bytes = encodeSafetensors(await trainer.state(), { model: model.name });
      reply({ type: "weights", bytes }, [bytes.buffer]);
    },
    async load(name: string, bytes: Uint8Array) {
      const read = readWeights(network.traced, bytes);
      if ("kind" in read) return reply({ type: "refused", refusal: read });
      await pause();
      weights = { from: "file", images: 0 };
      await replace(read);
      reply({ type: "loaded", name });
    },
  };
}

/** Runs the network on one picture and keeps every value on the way. */
function createEye(backend: Backend, { graph }: Network) {
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
