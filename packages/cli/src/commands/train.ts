// `conv train`: trains a network on the digits or on IDX files, tests it on those held out after each epoch, and saves after each epoch and
// on Ctrl-C. The model file is a checkpoint: it can be asked, and it can be trained on.

import { access, constants, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { augmented, confusion, createTrainer, DivergedError, subset, type Model } from "@conv/layers";
import { saveFile } from "@conv/layers/node";
import { crossEntropy } from "@conv/ops";
import { openBackend, type DeviceOptions } from "../backend.ts";
import { formatConfusion } from "../confusion.ts";
import { loadDigits } from "../digits.ts";
import { about, INTERRUPTED, UserError } from "../errors.ts";
import { loadIdx } from "../idx.ts";
import { loadModel, modelOf } from "../model.ts";
import { notesOf, saveNoted, type Epoch, type Notes } from "../notes.ts";
import { createProgress } from "../progress.ts";
import { augmentationOf, optimizerOf, recipeOf, scheduleOf, type Recipe } from "../recipe.ts";
import { rangeOf, samplesOf } from "../samples.ts";
import { colorsOf, formatPercent, formatSeconds } from "../terminal.ts";

export interface TrainOptions extends Partial<Recipe>, DeviceOptions {
  readonly out?: string;
  readonly best?: string;
  readonly patience?: number;
  readonly resume?: string;
  readonly json?: boolean;
}

export async function train(name: string, options: TrainOptions): Promise<void> {
  const model = modelOf(name);
  const { json = false, resume, best, patience } = options;
  const before = resume === undefined ? null : await resumable(resume, model);
  const recipe = recipeOf(options, before ? { file: before.file, recipe: before.notes.recipe } : undefined);
  const done = before?.notes.history.length ?? 0;
  if (before && done >= recipe.epochs)
    throw new UserError(`${before.file}: it has had ${done} of ${recipe.epochs} epochs; --epochs ${done + 1} or more goes on`);
  const out = options.out ?? resume ?? `${name}.safetensors`;
  for (const file of [out, options.best]) if (file !== undefined) await mustBeWritable(file);
  const augmentation = augmentationOf(recipe.augment, rangeOf(model).paper);

  const what = recipe.data ? { one: "class", many: "images" } : { one: "digit", many: "digits" };
  const source = recipe.data ? await loadIdx(recipe.data) : { ...loadDigits(), size: undefined };
  if (recipe.limit > source.train.length)
    throw new UserError(`--limit ${recipe.limit} is more than the ${source.train.length} ${what.many} to train on`);
  const all = samplesOf(model, source.images, source.labels, source.size);
  const plain = subset(all, source.train.subarray(0, recipe.limit || source.train.length));
  const data = augmentation ? augmented(plain, augmentation) : plain;
  const validation = subset(all, source.test);
  const labels = Array.from(source.test, (i) => source.labels[i]);
  const classes = model.classes ?? Math.max(...labels) + 1;

  const say = (text: string) => void (json || console.log(text));
  const history: Epoch[] = [...(before?.notes.history ?? [])];
  let matrix: number[][] | null = null;
  const progress = createProgress(recipe.epochs);
  const stop = new AbortController();
  const interrupt = () => stop.abort();
  process.once("SIGINT", interrupt); // a second Ctrl-C ends at once
  const { backend, announce } = await openBackend(options);
  try {
    const { seed, batch, epochs, labelSmoothing, clip, accumulate, average } = recipe;
    const updates = Math.ceil(Math.ceil(data.count / batch) / accumulate);
    const trainer = createTrainer({
      backend,
      model,
      optimizer: optimizerOf(recipe, scheduleOf(recipe, updates)),
      loss: labelSmoothing ? (output, targets) => crossEntropy(output, targets, { labelSmoothing }) : undefined,
      seed,
      batch,
      clip: clip ? { norm: clip } : undefined,
      accumulate,
      average: average || undefined,
    });
    const save = async (file = out) => saveNoted(file, await trainer.checkpoint(), { recipe, history });
    if (before) await about(before.file, () => trainer.restore(before.bytes));
    announce();
    say(HEAD);
    for await (const report of trainer.fit(data, { epochs, validation, patience, signal: stop.signal, onStep: progress.step })) {
      progress.clear();
      const { epoch, loss, accuracy, seconds, imagesPerSecond } = report;
      const { predicted, loss: heldOutLoss, accuracy: heldOut } = report.validation!;
      history.push({ epoch, loss, accuracy, test: { loss: heldOutLoss, accuracy: heldOut }, seconds, imagesPerSecond });
      matrix = confusion(classes, labels, predicted);
      say(formatEpoch(history[history.length - 1], epochs));
      await save();
      if (best !== undefined && report.improved) await save(best);
    }
    progress.clear();
    const { position } = trainer;
    const interrupted = stop.signal.aborted && position.epoch < epochs;
    if (interrupted) await save();
    const { loss = NaN, accuracy = NaN } = history.at(-1)?.test ?? {};
    const result = `${formatPercent(accuracy)} of ${validation.count.toLocaleString("en-US")} held-out ${what.many}`;
    const curve = await saveCurve(out, `${name} · ${result}`, history);
    const test = matrix && { count: validation.count, loss, accuracy, confusion: matrix };
    if (json) console.log(JSON.stringify({ model: name, file: out, curve, interrupted, recipe, epochs: history, test }, null, 2));
    if (matrix) say(`\n${formatConfusion(matrix, what.one)}\n\n${colorsOf(process.stdout).bold(result)} recognised`);
    say(`model ${out}${curve ? `, learning curve ${curve}` : ""}`);
    if (interrupted) {
      process.stderr.write(`interrupted in epoch ${position.epoch + 1} after step ${position.step}; to go on: conv train ${name} --resume ${out}\n`);
      process.exitCode = INTERRUPTED;
    }
    trainer.dispose();
  } catch (error) {
    if (!(error instanceof DivergedError)) throw error;
    const saved = history.length > done ? `; ${out} holds the model after epoch ${history.length}` : "";
    throw new Error(error.message + saved, { cause: error });
  } finally {
    process.off("SIGINT", interrupt);
    progress.clear();
    backend.dispose();
  }
}

const HEAD = `         training            held out
epoch      loss  accuracy      loss  accuracy      time  images/s`;

/** One row under `HEAD`. */
function formatEpoch({ epoch, loss, accuracy, test, seconds, imagesPerSecond }: Epoch, epochs: number): string {
  const color = colorsOf(process.stdout);
  const measured = (of: { loss: number; accuracy: number }) => [of.loss.toFixed(4).padStart(8), formatPercent(of.accuracy).padStart(8)] as const;
  const [heldOutLoss, heldOut] = measured(test);
  const speed = [formatSeconds(seconds).padStart(8), Math.round(imagesPerSecond).toLocaleString("en-US").padStart(8)];
  return [`${epoch}/${epochs}`.padStart(5), ...measured({ loss, accuracy }), heldOutLoss, color.bold(heldOut), ...speed].join("  ");
}

/** Draws the learning curve beside the model, once there is an epoch to draw. Returns the file. */
async function saveCurve(model: string, title: string, history: readonly Epoch[]): Promise<string | null> {
  if (history.length === 0) return null;
  const file = `${model.replace(/\.safetensors$/, "")}.svg`;
  const { drawCurve } = await import("../curve.ts");
  const svg = await drawCurve(title, history);
  await about(file, () => saveFile(file, new TextEncoder().encode(svg)));
  return file;
}

/** Throws UserError where a file could not be written later: better now than after the training. */
async function mustBeWritable(file: string): Promise<void> {
  const folder = dirname(file);
  await about(folder, () => access(folder, constants.W_OK));
  const there = await stat(file).catch(() => null);
  if (there?.isDirectory()) throw new UserError(`${file}: is a folder`);
}

/** A file to go on from. Throws UserError unless it is a checkpoint of this model. */
async function resumable(file: string, model: Model): Promise<{ file: string; bytes: Uint8Array; notes: Notes }> {
  const { bytes, decoded, model: saved } = await loadModel(file);
  if (saved.name !== model.name) throw new UserError(`${file}: it is of ${saved.name}, not of ${model.name}`);
  const notes = notesOf(decoded.metadata);
  if (!notes) throw new UserError(`${file}: it does not say how it was trained; conv train can go on from its own files only`);
  return { file, bytes, notes };
}
