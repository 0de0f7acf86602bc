// `conv train`: trains a network on the digits, tests it on those held out after each epoch, and saves after each epoch and
// on Ctrl-C. The model file is a checkpoint with the options and the history of the training in its metadata.

import { access, constants } from "node:fs/promises";
import { dirname, extname } from "node:path";
import { adam, createTrainer, decodeSafetensors, encodeSafetensors, sgd, subset, type Model, type Optimizer, type Trainer } from "@conv/layers";
import { saveFile } from "@conv/layers/node";
import { openBackend } from "../backend.ts";
import { confusionOf, formatConfusion } from "../confusion.ts";
import { drawCurve, type CurvePoint } from "../curve.ts";
import { loadDigits } from "../digits.ts";
import { about, INTERRUPTED, UserError } from "../errors.ts";
import { loadModel, modelOf } from "../model.ts";
import { createProgress } from "../progress.ts";
import { samplesOf } from "../samples.ts";
import { colorsOf, formatPercent, formatSeconds } from "../terminal.ts";

/** What decides the weights that come out. */
export interface Recipe {
  readonly epochs: number;
  readonly batch: number;
  readonly optimizer: "adam" | "sgd";
  readonly lr: number;
  readonly seed: number;
  readonly limit: number;
}

export interface TrainOptions extends Partial<Recipe> {
  readonly threads?: number;
  readonly out?: string;
  readonly resume?: string;
  readonly json?: boolean;
}

/** An epoch as it is kept in the model file. */
interface Epoch extends CurvePoint {
  readonly seconds: number;
  readonly imagesPerSecond: number;
}

/** What the command adds to a checkpoint's metadata. */
interface Notes {
  readonly recipe: Recipe;
  readonly history: readonly Epoch[];
}

const optimizers: Readonly<Record<Recipe["optimizer"], { readonly lr: number; readonly make: (lr: number) => Optimizer }>> = {
  adam: { lr: 0.001, make: (lr) => adam({ lr }) },
  sgd: { lr: 0.02, make: (lr) => sgd({ lr, momentum: 0.9 }) },
};

export async function train(name: string, options: TrainOptions): Promise<void> {
  const { json = false, threads, resume } = options;
  const model = modelOf(name);
  const before = resume === undefined ? null : await resumable(resume, model, options);
  const recipe = recipeOf(options, before?.notes.recipe);
  const out = options.out ?? resume ?? `${name}.safetensors`;
  await about(out, () => access(dirname(out), constants.W_OK));

  const digits = loadDigits();
  const all = samplesOf(model, digits.images, digits.labels);
  if (recipe.limit > digits.train.length) throw new UserError(`--limit ${recipe.limit} is more than the ${digits.train.length} digits to train on`);
  const data = subset(all, digits.train.subarray(0, recipe.limit));
  const validation = subset(all, digits.test);
  const history: Epoch[] = [...(before?.notes.history ?? [])];

  const say = (text: string) => void (json || console.log(text));
  const color = colorsOf(process.stdout);
  const progress = createProgress(recipe.epochs);
  const stop = new AbortController();
  const interrupt = () => stop.abort();
  process.once("SIGINT", interrupt); // a second Ctrl-C ends at once
  const backend = await openBackend(threads);
  try {
    const trainer = createTrainer({ backend, model, optimizer: optimizers[recipe.optimizer].make(recipe.lr), seed: recipe.seed, batch: recipe.batch });
    if (before) await about(before.file, () => trainer.restore(before.bytes));
    let confusion: number[][] | null = null;
    for await (const report of trainer.fit(data, { epochs: recipe.epochs, validation, signal: stop.signal, onStep: progress.step })) {
      progress.clear();
      const { predicted, ...test } = report.validation!;
      history.push({ epoch: report.epoch, loss: report.loss, accuracy: report.accuracy, test, seconds: report.seconds, imagesPerSecond: report.imagesPerSecond });
      confusion = confusionOf(model.classes!, Uint8Array.from(digits.test, (i) => digits.labels[i]), predicted);
      say(line(history[history.length - 1], recipe.epochs));
      await save(out, trainer, { recipe, history });
    }
    progress.clear();
    const interrupted = stop.signal.aborted;
    if (interrupted) await save(out, trainer, { recipe, history });
    const last = history.at(-1);
    const curve = last ? `${out.slice(0, out.length - extname(out).length)}.svg` : null;
    if (last && curve) {
      const title = `${name} · ${formatPercent(last.test.accuracy)} of ${validation.count.toLocaleString("en-US")} held-out digits`;
      const svg = await drawCurve(title, history);
      await about(curve, () => saveFile(curve, new TextEncoder().encode(svg)));
    }
    if (json) console.log(JSON.stringify({ model: name, file: out, curve, interrupted, recipe, epochs: history, confusion }, null, 2));
    else if (last && confusion) {
      say(`\n${formatConfusion(confusion)}\n`);
      say(`${color.bold(formatPercent(last.test.accuracy))} of ${validation.count.toLocaleString("en-US")} held-out digits recognised after ${last.epoch} ${last.epoch === 1 ? "epoch" : "epochs"}`);
      say(`model ${out}, learning curve ${curve}`);
    }
    if (interrupted) {
      const { epoch, step } = trainer.position;
      process.stderr.write(`interrupted in epoch ${epoch + 1} after step ${step}; to go on: conv train ${name} --resume ${out}\n`);
      process.exitCode = INTERRUPTED;
    }
    trainer.dispose();
  } finally {
    process.off("SIGINT", interrupt);
    progress.clear();
    backend.dispose();
  }
}

const line = ({ epoch, loss, accuracy, test, seconds, imagesPerSecond }: Epoch, epochs: number): string =>
  `epoch ${`${epoch}`.padStart(`${epochs}`.length)}/${epochs}  loss ${loss.toFixed(4)}  accuracy ${formatPercent(accuracy)}  │ held out: ` +
  `loss ${test.loss.toFixed(4)}  accuracy ${formatPercent(test.accuracy)}  │ ${formatSeconds(seconds)}, ${Math.round(imagesPerSecond).toLocaleString("en-US")} images/s`;

/** Saves a checkpoint with the command's notes, atomically. */
async function save(out: string, trainer: Trainer, notes: Notes): Promise<void> {
  const { state, metadata } = decodeSafetensors(await trainer.checkpoint());
  await about(out, () => saveFile(out, encodeSafetensors(state, { ...metadata, conv: JSON.stringify(notes) })));
}

/** The options given, then those of the training that is resumed, then the defaults. */
function recipeOf(given: TrainOptions, before?: Recipe): Recipe {
  const optimizer = given.optimizer ?? before?.optimizer ?? "adam";
  return {
    epochs: given.epochs ?? before?.epochs ?? 10,
    batch: given.batch ?? before?.batch ?? 64,
    optimizer,
    lr: given.lr ?? before?.lr ?? optimizers[optimizer].lr,
    seed: given.seed ?? before?.seed ?? 0,
    limit: given.limit ?? before?.limit ?? 8000,
  };
}

/** A file to go on from. Throws UserError unless it is a checkpoint of this model, and the options given are those it was begun with. */
async function resumable(file: string, model: Model, given: TrainOptions): Promise<{ file: string; bytes: Uint8Array; notes: Notes }> {
  const { bytes, decoded, model: saved } = await loadModel(file);
  if (saved.name !== model.name) throw new UserError(`${file}: it is a ${saved.name}, not a ${model.name}`);
  const notes = notesOf(decoded.metadata.conv);
  if (!notes) throw new UserError(`${file}: it does not say how it was trained; only files of conv train can be resumed`);
  for (const key of ["batch", "optimizer", "seed", "limit"] as const) {
    const [want, had] = [given[key], notes.recipe[key]];
    if (want !== undefined && want !== had) throw new UserError(`${file}: it was begun with --${key} ${had}, and can't go on with ${want}`);
  }
  const done = notes.history.length;
  const epochs = given.epochs ?? notes.recipe.epochs;
  if (done >= epochs) throw new UserError(`${file}: it has had its ${epochs} ${epochs === 1 ? "epoch" : "epochs"}; --epochs ${done + 1} or more goes on`);
  return { file, bytes, notes };
}

/** Reads back what `save` wrote; null where it is something else. */
function notesOf(json: string | undefined): Notes | null {
  try {
    const { recipe, history }: Notes = JSON.parse(json ?? "");
    const numbers = [recipe.epochs, recipe.batch, recipe.lr, recipe.seed, recipe.limit, ...history.flatMap((e) => [e.epoch, e.loss, e.accuracy, e.test.loss, e.test.accuracy])];
    return numbers.every(Number.isFinite) && Object.hasOwn(optimizers, recipe.optimizer) ? { recipe, history } : null;
  } catch {
    return null;
  }
}
