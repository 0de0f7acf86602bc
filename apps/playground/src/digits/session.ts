// One network on one device at a time: it predicts, is trained, saved and loaded, and moves to
// another device with its weights and optimizer state. Training yields to messages between steps,
// so that pictures of the network during training cost one forward pass each.

import {
  createTrainer,
  encodeSafetensors,
  type Dataset,
  type State,
  type Trainer,
} from "@conv/layers";
import { failureOf } from "../failure.ts";
import { digitDataset, intensities, prepare, type PackedDigits, type View } from "./data.ts";
import type { Device, Devices, Opened } from "./device.ts";
import { readWeights } from "./file.ts";
import { createLooker } from "./looker.ts";
import { createProgress } from "./progress.ts";
import type { DeviceName, Reply, Request, Weights } from "./protocol.ts";
import { createReach, type Reach } from "./reach.ts";
import { lessonsOf, optimizerOf, type Recipe } from "./recipe.ts";
import type { Network } from "./stages.ts";
import { createTrial } from "./trial.ts";
import { beginningOf, type Beginning } from "./weights.ts";

const BATCH = 64;
const LOOK_EVERY = 250; // ms between pictures during training
const MEASURE_EVERY = 2048; // images between measurements of accuracy during training
const MEASURED = 500; // test digits for those; all of them at the end of an epoch
const LOSS_WAIT = 500; // ms in which an error may turn out to be the loss of the device

interface Setting {
  readonly devices: Devices;
  readonly network: Network;
  readonly digits: PackedDigits;
  readonly view: View;
  readonly reply: (message: Reply, transfer?: Transferable[]) => void;
}

/** The initial settings of a session. */
export type Start = Omit<Extract<Request, { type: "start" }>, "type" | "model">;

/** `goal`: the last epoch of the training. */
type Training =
  | { readonly state: "idle" }
  | {
      readonly state: "running";
      readonly goal: number;
      readonly stop: AbortController;
      /** Resolves when the training has ended, for any reason. */
      readonly ended: Promise<void>;
    }
  /** Ended by the loss of its device. */
  | { readonly state: "interrupted"; readonly goal: number };

/** Weights, and where they come from. */
interface Held {
  readonly state: State;
  readonly weights: Weights;
}

/** Starts a session with those settings, and replies which device it uses. */
export function createSession(setting: Setting, start: Start): Promise<Session> {
  const reach = createReach(setting.devices, setting.network, (device, reason) => {
    const recover = (session: Session) => session.inTurn(() => session.recover(device, reason));
    void session.then(recover, () => {}); // a failed start is reported by the caller
  });
  const session = (async () => {
    const opened = await reach.open(start.device);
    const held = await weightsOf(setting, start.folder, start.beginning);
    return new Session(setting, start, reach, opened, held);
  })();
  return session;
}

/** Initial weights; random ones, with the reason, where pretrained ones cannot be loaded. */
async function weightsOf(
  { network: { model }, reply }: Setting,
  folder: string,
  wanted: Beginning,
): Promise<Held> {
  try {
    const state = await beginningOf(model, wanted, folder);
    return { state, weights: { from: wanted.from, images: 0 } };
  } catch (error) {
    if (wanted.from === "random") throw error;
    reply({ type: "refused", refusal: { kind: "notFetched", failure: failureOf(error) } });
    return {
      state: await beginningOf(model, { from: "random", seed: 0 }, folder),
      weights: RANDOM,
    };
  }
}

const RANDOM: Weights = { from: "random", images: 0 };

export class Session {
  readonly #setting: Setting;
  readonly #folder: string;
  readonly #reach: Reach;
  readonly #looker = createLooker((pixels) => this.#draw(pixels));
  readonly #trial = createTrial(() => this.#trialSubject());
  #device: Device;
  #trainer: Trainer;
  #weights: Weights;
  #rate: number;
  #recipe: Recipe;
  #training: Training = { state: "idle" };
  #turn: Promise<void> = Promise.resolve();
  #losses = 0; // of devices
  /** Whether the page has drawn the last picture: a slow page gets only as many as it can draw. */
  #drawn = true;
  /** The weights of the last picture, which are used if the device is lost. */
  #seen: Held | null = null;
  /** Unpacked on first use, so that the page does not wait for it. */
  #datasets: { readonly learn: Dataset; readonly test: Dataset } | null = null;

  constructor(setting: Setting, start: Start, reach: Reach, opened: Opened, held: Held) {
    this.#setting = setting;
    this.#folder = start.folder;
    this.#reach = reach;
    this.#device = opened.device;
    this.#rate = start.rate;
    this.#recipe = start.recipe;
    this.#weights = held.weights;
    this.#trainer = this.#begin(held.state);
    this.#tellDevice(opened.notGpu);
    this.#tellTraining();
  }

  /** Runs one piece of work after another. */
  inTurn(work: () => Promise<void> | void): Promise<void> {
    return (this.#turn = this.#turn.then(work).catch((error: unknown) => void this.#fail(error)));
  }

  look(pixels: Float32Array): Promise<void> {
    return this.#looker.look(pixels);
  }

  shown(): void {
    this.#drawn = true;
  }

  samples(indices: readonly number[]): void {
    const { digits, reply } = this.#setting;
    const samples = indices.map((index) => {
      const at =
        digits.trainCount + (((index % this.#testCount) + this.#testCount) % this.#testCount);
      return { index, label: digits.label(at), pixels: intensities(digits.levels(at)) };
    });
    reply({ type: "samples", samples });
  }

  /** Measures the time of a training; called after the first picture. */
  async tryOut(): Promise<void> {
    const secondsPerImage = await this.#trial.measure(this.#device);
    if (secondsPerImage !== null) this.#setting.reply({ type: "pace", secondsPerImage });
  }

  /** Ends that measurement. */
  hurry(): void {
    this.#trial.hurry();
  }

  train(epochs: number): void {
    if (this.#training.state !== "running") this.#run(this.#trainer.position.epoch + epochs);
  }

  async pause(): Promise<void> {
    if (this.#training.state !== "running") return;
    this.#training.stop.abort();
    await this.#training.ended;
  }

  async begin(beginning: Beginning): Promise<void> {
    await this.pause();
    await this.#replace(await weightsOf(this.#setting, this.#folder, beginning));
  }

  rate(value: number): void {
    this.#rate = value;
  }

  /** Keeps the weights, resets the optimizer, and continues a running training. */
  async recipe(next: Recipe): Promise<void> {
    const before = this.#training;
    await this.pause();
    this.#recipe = next;
    const state = await this.#trainer.state();
    // The new trainer counts epochs from here.
    const done = this.#trainer.position.epoch;
    await this.#exchange(() => this.#begin(state));
    if (before.state === "running" && before.goal > done) this.#run(before.goal - done);
  }

  /** Moves weights, optimizer state and position in the data; a running training continues. */
  async move(to: DeviceName): Promise<void> {
    const { device, notGpu } = await this.#reach.open(to);
    const before = this.#training;
    if (device !== this.#device) {
      await this.pause();
      const saved = await this.#trainer.checkpoint();
      await this.#exchange(() => {
        this.#device = device;
        const moved = this.#begin();
        moved.restore(saved);
        return moved;
      });
    }
    this.#tellDevice(notGpu);
    await this.#looker.look();
    if (this.#training.state === "running") return;
    if (before.state === "running" && this.#trainer.position.epoch < before.goal)
      this.#run(before.goal);
    else await this.tryOut();
  }

  async save(): Promise<void> {
    const { reply, network } = this.#setting;
    const bytes = encodeSafetensors(await this.#trainer.state(), { model: network.model.name });
    reply({ type: "weights", bytes }, [bytes.buffer]);
  }

  async load(name: string, bytes: Uint8Array): Promise<void> {
    const { reply, network } = this.#setting;
    const read = readWeights(network.traced, bytes);
    if ("kind" in read) return reply({ type: "refused", refusal: read });
    await this.pause();
    await this.#replace({ state: read, weights: { from: "file", images: 0 } });
    reply({ type: "loaded", name });
  }

  /**
   * After the loss of a device: the same one is opened again, the CPU after a second loss, with the
   * weights of the last picture.
   */
  async recover(lost: Device, reason: string): Promise<void> {
    this.#reach.forget(lost);
    if (lost === this.#device) {
      const before = this.#training;
      await this.pause();
      const left = before.state === "idle" ? 0 : before.goal - this.#trainer.position.epoch;
      const { device, notGpu } = await this.#reach.open(this.#losses++ ? "cpu" : lost.info.name);
      await this.#exchange(() => {
        this.#device = device;
        return this.#begin(this.#seen?.state);
      });
      this.#weights = this.#seen?.weights ?? this.#weights;
      this.#training = { state: "idle" };
      this.#tellTraining();
      if (left > 0) this.#run(left);
      this.#tellDevice(notGpu, reason);
    }
    lost.backend.dispose();
    await this.#looker.look();
  }

  get #testCount(): number {
    const { digits } = this.#setting;
    return digits.count - digits.trainCount;
  }

  get #data(): { readonly learn: Dataset; readonly test: Dataset } {
    const { digits, view } = this.#setting;
    return (this.#datasets ??= {
      learn: digitDataset(digits, view, 0, digits.trainCount),
      test: digitDataset(digits, view, digits.trainCount, this.#testCount),
    });
  }

  get #lessons(): Dataset {
    return lessonsOf(this.#recipe, this.#data.learn, this.#setting.view.background);
  }

  #tellDevice(notGpu: Opened["notGpu"], lost: string | null = null): void {
    this.#setting.reply({ type: "device", device: this.#device.info, notGpu, lost });
  }

  #tellTraining(fresh = false): void {
    const running = this.#training.state === "running";
    this.#setting.reply({ type: "training", running, weights: this.#weights, fresh });
  }

  #begin(state?: State): Trainer {
    return createTrainer({
      backend: this.#device.backend,
      model: this.#setting.network.model,
      optimizer: optimizerOf(this.#recipe, () => this.#rate),
      state,
      batch: BATCH,
    });
  }

  /** Replaces the trainer between two looks. */
  async #exchange(make: () => Trainer): Promise<void> {
    await this.#looker.settled();
    this.#trainer.dispose();
    this.#trainer = make();
  }

  /** New weights, with a new trainer. */
  async #replace({ state, weights }: Held): Promise<void> {
    this.#weights = weights;
    await this.#exchange(() => this.#begin(state));
    this.#training = { state: "idle" };
    this.#tellTraining(true);
    await this.#looker.look();
    if (weights.from === "file") await this.#measure(this.#data.test);
  }

  /**
   * Reports an error, unless it is a consequence of the loss of the device, which is reported
   * separately. Returns whether it is.
   */
  async #fail(reason: unknown, device = this.#device): Promise<boolean> {
    const wait = new Promise<null>((resolve) => setTimeout(resolve, LOSS_WAIT, null));
    const lost = (await Promise.race([device.lost, wait])) !== null;
    if (!lost) this.#setting.reply({ type: "failed", failure: failureOf(reason) });
    return lost;
  }

  /** Sends all values of one forward pass with the present weights. */
  async #draw(pixels: Float32Array): Promise<void> {
    const { view, reply } = this.#setting;
    const [device, weights] = [this.#device, this.#weights];
    try {
      const x = prepare(pixels, view);
      const state = await this.#trainer.state();
      this.#seen = { state, weights };
      const parameters = [...state.values()].map(({ data }) => data);
      const probes = await this.#reach.eyeOf(device)(x, parameters);
      this.#drawn = false;
      reply(
        { type: "seen", pixels, x, parameters, probes },
        [x, ...probes].map((a) => a.buffer),
      );
    } catch (error) {
      void this.#fail(error, device);
    }
  }

  async #measure(data: Dataset): Promise<void> {
    const { images } = this.#weights;
    const { accuracy } = await this.#trainer.evaluate(data);
    this.#setting.reply({ type: "accuracy", images, accuracy });
  }

  async #trialSubject() {
    const { digits } = this.#setting;
    return {
      trainer: this.#begin(await this.#trainer.state()),
      data: this.#lessons,
      test: this.#data.test,
      batch: BATCH,
      // An epoch ends with all test digits; before that, a few now and then.
      testsPerImage: this.#testCount / digits.trainCount + MEASURED / MEASURE_EVERY,
    };
  }

  /** Trains up to the goal, in the background. */
  #run(goal: number): void {
    const device = this.#device;
    const stop = new AbortController();
    const ended = Promise.resolve()
      .then(() => this.#fit(goal, stop.signal))
      .catch((error: unknown) => this.#fail(error, device))
      .then((lost) => {
        this.#training = lost === true ? { state: "interrupted", goal } : { state: "idle" };
        this.#tellTraining();
        return this.#looker.look();
      });
    this.#training = { state: "running", goal, stop, ended };
    this.#tellTraining();
  }

  async #fit(goal: number, signal: AbortSignal): Promise<void> {
    const { digits, reply } = this.#setting;
    const trainer = this.#trainer;
    const left = () =>
      (goal - trainer.position.epoch) * digits.trainCount -
      Math.min(digits.trainCount, trainer.position.step * BATCH);
    const progress = createProgress({ reply, batch: BATCH, left });
    let [looked, measured] = [performance.now(), this.#weights.images];
    const onStep = async ({ loss }: { loss: number }) => {
      const images = this.#weights.images + BATCH;
      this.#weights = { ...this.#weights, images };
      progress.step(images, loss);
      if (images - measured >= MEASURE_EVERY) {
        measured = images;
        await this.#measure({ ...this.#data.test, count: MEASURED });
      }
      if (this.#drawn && performance.now() - looked > LOOK_EVERY) {
        await this.#looker.look();
        looked = performance.now();
      }
    };
    for await (const _ of trainer.fit(this.#lessons, { epochs: goal, signal, onStep })) {
      progress.report(this.#weights.images);
      await this.#measure(this.#data.test);
    }
    progress.report(this.#weights.images);
  }
}
