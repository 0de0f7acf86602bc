// `conv train`: trains a network on the digits or on IDX files, tests it on those held out after
// each epoch, and saves after each epoch and on a signal to end. The model file is a checkpoint: it
// can be asked, and it can be trained on.

import { access, constants as modes, realpath, stat } from "node:fs/promises";
import { constants } from "node:os";
import { basename, dirname, join } from "node:path";
import { augmented, confusion, createTrainer, subset, type Model } from "@conv/layers";
import { checkSave, saveFile } from "@conv/layers/node";
import { crossEntropy } from "@conv/ops";
import { printable } from "@conv/tensor";
import { openBackend, type DeviceOptions } from "../backend.ts";
import { formatConfusion } from "../confusion.ts";
import { loadDigits } from "../digits.ts";
import { about, codeOf, UserError } from "../errors.ts";
import { loadIdx } from "../idx.ts";
import { classifierOf, loadModel } from "../model.ts";
import { notesOf, saveNoted, type Epoch, type Notes } from "../notes.ts";
import { complain, outliveReader, print } from "../output.ts";
import { createProgress } from "../progress.ts";
import { augmentationOf, optimizerOf, recipeOf, scheduleOf, type Recipe } from "../recipe.ts";
import { rangeOf, samplesOf } from "../samples.ts";
import { colorsOf, columns, formatPercent, formatSeconds } from "../terminal.ts";

export interface TrainOptions extends Partial<Recipe>, DeviceOptions {
  readonly out?: string;
  readonly best?: string;
  readonly patience?: number;
  readonly resume?: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

export async function train(name: string, options: TrainOptions): Promise<void> {
  outliveReader(); // a training is not lost because nobody reads its table any more
  const model = classifierOf(name);
  const { json = false, resume, best, patience } = options;
  const before = resume === undefined ? null : await resumable(resume, model);
  const recipe = recipeOf(
    options,
    before ? { file: before.file, recipe: before.notes.recipe } : undefined,
  );
  const done = before?.notes.history.length ?? 0;
  if (before && done >= recipe.epochs)
    throw new UserError(
      `${before.file}: it has had ${done} of ${recipe.epochs} epochs; --epochs ${done + 1} or more goes on`,
    );
  const out = options.out ?? resume ?? `${name}.safetensors`;
  const files = { "--out": out, ...(best !== undefined && { "--best": best }) };
  for (const [option, file] of Object.entries(files)) await mustBeWritable(option, file);
  await mustDiffer({
    "the model": out,
    "the learning curve": curveOf(out),
    ...(best !== undefined && { "the best model": best }),
  });
  const augmentation = augmentationOf(recipe.augment, rangeOf(model).paper);

  const what = recipe.data ? { one: "class", many: "images" } : { one: "digit", many: "digits" };
  const source = recipe.data
    ? await loadIdx(recipe.data, model)
    : { ...loadDigits(), size: undefined };
  if (recipe.limit > source.train.length)
    throw new UserError(
      `--limit ${recipe.limit} is more than the ${source.train.length} ${what.many} to train on`,
    );
  await mustNotReplace(out, options, recipe, before);
  const all = samplesOf(model, source.images, source.labels, source.size);
  const plain = subset(all, source.train.subarray(0, recipe.limit || source.train.length));
  const data = augmentation ? augmented(plain, augmentation) : plain;
  const validation = subset(all, source.test);
  const labels = Array.from(source.test, (i) => source.labels[i]);
  const classes = model.classes ?? labels.reduce((a, b) => Math.max(a, b), 0) + 1;

  const say = (text: string) => void (json || print(text));
  const history: Epoch[] = [...(before?.notes.history ?? [])];
  let matrix: number[][] | null = null;
  const own = await ownFile(out);
  const progress = createProgress(recipe.epochs);
  const ending = endBySignal();
  const { backend, on, announce } = await openBackend(options);
  try {
    const { seed, batch, epochs, labelSmoothing, clip, accumulate, average } = recipe;
    const updates = Math.ceil(Math.ceil(data.count / batch) / accumulate);
    const trainer = createTrainer({
      backend,
      model,
      optimizer: optimizerOf(recipe, scheduleOf(recipe, updates)),
      loss: labelSmoothing
        ? (output, targets) => crossEntropy(output, targets, { labelSmoothing })
        : undefined,
      seed,
      batch,
      clip: clip ? { norm: clip } : undefined,
      accumulate,
      average: average || undefined,
    });
    const saveTo = async (file: string) =>
      saveNoted(file, await trainer.checkpoint(), { recipe, history, on });
    const save = () => own.save(saveTo);
    if (before) await about(before.file, () => trainer.restore(before.bytes));
    const begun = trainer.position;
    // Whether there is room for what will be written, before hours go into it: the notes grow, the
    // curve is small.
    const { length } = await trainer.checkpoint();
    for (const file of Object.values(files))
      await about(file, () => checkSave(file, length + NOTES));
    await about(curveOf(out), () => checkSave(curveOf(out), NOTES));
    announce();
    if (before?.notes.on !== undefined && before.notes.on !== on)
      complain(
        `${before.file} was trained on the ${before.notes.on}, and goes on on the ${on}: sums are rounded in another order, so the weights differ in their last bits`,
      );
    if (
      recipe.data &&
      source.size &&
      source.size.some((side, axis) => side !== model.input[axis + 1])
    )
      complain(
        `the images are ${source.size.join("×")}; each is placed in the middle of ${model.input.slice(1).join("×")}`,
      );
    say(head());
    for await (const report of trainer.fit(data, {
      epochs,
      validation,
      patience,
      signal: ending.signal,
      onStep: progress.step,
    })) {
      progress.clear();
      const { epoch, loss, accuracy, seconds, imagesPerSecond } = report;
      const { predicted, loss: heldOutLoss, accuracy: heldOut } = report.validation!;
      if (!Number.isFinite(heldOutLoss))
        throw new Error(
          `train: the held-out loss is ${heldOutLoss} after epoch ${epoch}; a lower learning rate than ${recipe.lr} may help`,
        );
      history.push({
        epoch,
        loss,
        accuracy,
        test: { loss: heldOutLoss, accuracy: heldOut },
        seconds,
        imagesPerSecond,
      });
      matrix = confusion(classes, labels, predicted);
      await save();
      if (best !== undefined && report.improved) await saveTo(best);
      say(formatEpoch(history[history.length - 1], epochs));
    }
    progress.clear();
    const { position } = trainer;
    const interrupted = ending.name !== null && position.epoch < epochs;
    const saved = !interrupted || position.epoch > begun.epoch || position.step > begun.step;
    if (interrupted && saved) await save();
    const { loss = NaN, accuracy = NaN } = history.at(-1)?.test ?? {};
    const result = `${formatPercent(accuracy)} of ${validation.count.toLocaleString("en-US")} held-out ${what.many}`;
    const curve = saved ? await saveCurve(own.file, `${name} · ${result}`, history) : null;
    const test = matrix && { count: validation.count, loss, accuracy, confusion: matrix };
    if (json)
      print(
        JSON.stringify(
          { model: name, file: own.file, curve, interrupted, recipe, epochs: history, test },
          null,
          2,
        ),
      );
    if (matrix)
      say(
        `\n${formatConfusion(matrix, what.one)}\n\n${colorsOf(process.stdout).bold(result)} recognized`,
      );
    if (saved)
      say(`model ${printable(own.file)}${curve ? `, learning curve ${printable(curve)}` : ""}`);
    if (interrupted) {
      complain(
        saved
          ? `interrupted in epoch ${position.epoch + 1} after step ${position.step}; to go on: conv train ${name} --resume ${printable(own.file)}`
          : "interrupted before the first step; nothing was written",
      );
      process.exitCode = ending.code;
    }
    trainer.dispose();
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith("train: ")) throw error;
    const saved =
      history.length > done
        ? `; ${own.file} holds the model after epoch ${history.length}`
        : "; nothing was written";
    throw new Error(error.message + saved, { cause: error });
  } finally {
    ending.release();
    progress.clear();
    backend.dispose();
  }
}

const NOTES = 2 ** 16; // bytes of room for the notes of some hundred epochs, or for the curve

/**
 * Aborts on the first signal that asks to end; a second one ends at once. `code` is as shells count
 * it, 128 + n.
 */
function endBySignal() {
  const stop = new AbortController();
  const ending = {
    signal: stop.signal,
    name: null as string | null,
    code: 0,
    release: () => names.forEach((name) => process.off(name, end)),
  };
  const names = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const end = (name: NodeJS.Signals) => {
    ending.release();
    ending.name = name;
    ending.code = 128 + constants.signals[name];
    stop.abort();
  };
  names.forEach((name) => process.on(name, end));
  return ending;
}

/** The heads over the rows of `formatEpoch`: what a narrow terminal has no room for is left out. */
const head = (): string =>
  [
    "         training            held out",
    `epoch      loss  accuracy      loss  accuracy${columns() < WIDE ? "" : "      time  images/s"}`,
  ].join("\n");

const WIDE = 66; // columns of a row with its time and its speed

/** One row under `head`. */
function formatEpoch(
  { epoch, loss, accuracy, test, seconds, imagesPerSecond }: Epoch,
  epochs: number,
): string {
  const color = colorsOf(process.stdout);
  const measured = (of: { loss: number; accuracy: number }) =>
    [of.loss.toFixed(4).padStart(8), formatPercent(of.accuracy).padStart(8)] as const;
  const [heldOutLoss, heldOut] = measured(test);
  const speed =
    columns() < WIDE
      ? []
      : [
          formatSeconds(seconds).padStart(8),
          Math.round(imagesPerSecond).toLocaleString("en-US").padStart(8),
        ];
  return [
    `${epoch}/${epochs}`.padStart(5),
    ...measured({ loss, accuracy }),
    heldOutLoss,
    color.bold(heldOut),
    ...speed,
  ].join("  ");
}

const curveOf = (model: string): string => `${model.replace(/\.safetensors$/, "")}.svg`;

/** Draws the learning curve beside the model, once there is an epoch to draw. Returns the file. */
async function saveCurve(
  model: string,
  title: string,
  history: readonly Epoch[],
): Promise<string | null> {
  if (history.length === 0) return null;
  const file = curveOf(model);
  const { drawCurve } = await import("../curve.ts");
  const svg = await drawCurve(title, history);
  await about(file, () => saveFile(file, new TextEncoder().encode(svg)));
  return file;
}

/** Throws UserError where a file could not be written later: better now than after the training. */
async function mustBeWritable(option: string, file: string): Promise<void> {
  if (file === "") throw new UserError(`${option}: the name is empty`);
  const folder = dirname(file);
  await about(folder, () => access(folder, modes.W_OK));
  const there = await about(file, () => stat(file).catch(unlessAbsent));
  if (there?.isDirectory()) throw new UserError(`${file}: is a folder`);
  await about(file, () => checkSave(file));
}

function unlessAbsent(error: unknown): null {
  if (codeOf(error) === "ENOENT") return null;
  throw error;
}

/**
 * A model is not replaced unless that was asked for: by --force, by --out, or by going on with the
 * very training that made it. Throws UserError where the file that has the network's name is there
 * already, or where another learning rate or other data would replace what they went on from.
 */
async function mustNotReplace(
  out: string,
  { out: named, resume, force }: TrainOptions,
  recipe: Recipe,
  before: { readonly notes: Notes } | null,
): Promise<void> {
  if (force || named !== undefined) return;
  if (before && resume !== undefined) {
    const changed = (["lr", "data"] as const).find(
      (key) => recipe[key] !== before.notes.recipe[key],
    );
    if (!changed) return;
    throw new UserError(
      `${resume}: with another --${changed} the model could get worse; --out <file> writes it to another file, --force replaces this one`,
    );
  }
  if (await stat(out).catch(unlessAbsent))
    throw new UserError(
      `${out}: is there already; --resume ${out} goes on with it, --out <file> writes to another file, --force replaces it`,
    );
  const curve = curveOf(out);
  if (await stat(curve).catch(unlessAbsent))
    throw new UserError(
      `${curve}: is there already, and the learning curve would replace it; --out <file> writes to other files, --force replaces it`,
    );
}

/** Throws UserError where two of the files that will be written are one, by name or by links. */
async function mustDiffer(files: Readonly<Record<string, string>>): Promise<void> {
  const seen = new Map<string, string>();
  for (const [what, file] of Object.entries(files)) {
    const folder = await realpath(dirname(file));
    const path = await realpath(file).catch(() => join(folder, basename(file)));
    const other = seen.get(path);
    if (other)
      throw new UserError(
        `${file}: would hold ${other} and ${what}; --out and --best need names of their own`,
      );
    seen.set(path, what);
  }
}

/**
 * The file of this training. Where another process has written it since it was looked at last, the
 * model goes to a file with a number in its name, and a line says so: neither model is lost.
 */
export async function ownFile(out: string) {
  const stampOf = (file: string) =>
    stat(file).then(({ ino, mtimeMs, size }) => `${ino} ${mtimeMs} ${size}`, unlessAbsent);
  const own = {
    file: out,
    async save(write: (file: string) => Promise<void>): Promise<void> {
      if ((await stampOf(own.file)) !== stamp) {
        const numbered = (n: number) => out.replace(/(\.safetensors)?$/, `-${n}$1`);
        let n = 2;
        while (await stampOf(numbered(n))) n++;
        complain(
          `${printable(own.file)}: another process has written it; this model is saved to ${printable(numbered(n))}`,
        );
        own.file = numbered(n);
      }
      await write(own.file);
      stamp = await stampOf(own.file);
    },
  };
  let stamp = await stampOf(out);
  return own;
}

/** A file to go on from. Throws UserError unless it is a checkpoint of this model. */
async function resumable(
  file: string,
  model: Model,
): Promise<{ file: string; bytes: Uint8Array; notes: Notes }> {
  const { bytes, decoded, model: saved } = await loadModel(file);
  if (saved.name !== model.name)
    throw new UserError(`${file}: it is of ${saved.name}, not of ${model.name}`);
  const notes = notesOf(decoded.metadata);
  if (!notes)
    throw new UserError(
      `${file}: it does not say how it was trained; conv train can go on from its own files only`,
    );
  return { file, bytes, notes };
}
