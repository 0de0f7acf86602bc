// `conv train`: trains a network on the digits or on IDX files, validates it after each epoch, and
// saves after each epoch and on a signal to end. The model file is a checkpoint: it can predict,
// and its training can be resumed.

import { confusion, createTrainer, type EpochReport, type Trainer } from "@conv/layers";
import { checkSave, saveFile } from "@conv/layers/node";
import { crossEntropy } from "@conv/ops";
import { printable } from "@conv/tensor";
import { openBackend } from "../backend.ts";
import { formatConfusion } from "../confusion.ts";
import { about } from "../errors.ts";
import { saveNoted, type Epoch } from "../notes.ts";
import { complain, outliveReader, print } from "../output.ts";
import { createProgress } from "../progress.ts";
import { optimizerOf, scheduleOf } from "../recipe.ts";
import { colorsOf, formatPercent } from "../terminal.ts";
import { curveOf, ownFile } from "../train/files.ts";
import { planOf, type Plan, type TrainOptions } from "../train/plan.ts";
import { endBySignal } from "../train/signal.ts";
import { formatEpoch, head } from "../train/table.ts";

export type { TrainOptions } from "../train/plan.ts";

const NOTES = 2 ** 16; // bytes of room for the notes of some hundred epochs, or for the curve

export async function train(name: string, options: TrainOptions): Promise<void> {
  outliveReader(); // a training goes on when nobody reads its table any more
  const plan = await planOf(name, options);
  const { recipe, done, data } = plan;
  const history: Epoch[] = [...(plan.resumed?.notes.history ?? [])];
  const own = await ownFile(plan.out);
  const progress = createProgress(recipe.epochs);
  const ending = endBySignal();
  const { backend, on, announce } = await openBackend(options);
  const say = (text: string) => void (options.json || print(text));
  try {
    const trainer = trainerOf(plan, backend);
    const saveTo = async (file: string) =>
      saveNoted(file, await trainer.checkpoint(), { recipe, history, on });
    const { resumed } = plan;
    if (resumed) await about(resumed.file, () => trainer.restore(resumed.bytes));
    const begun = trainer.position;
    await mustHaveRoom(plan, trainer);
    announce();
    complainOf(plan, on);
    say(head());
    let matrix: number[][] | null = null;
    const { training, validation } = data;
    const { patience } = options;
    const { signal } = ending;
    const { epochs } = recipe;
    const { step: onStep } = progress;
    const fit = trainer.fit(training, { epochs, validation, patience, signal, onStep });
    for await (const report of fit) {
      progress.clear();
      history.push(epochOf(report, recipe.lr));
      matrix = confusion(data.classes, data.labels, report.validation!.predicted);
      await own.save(saveTo);
      if (plan.best !== undefined && report.improved) await saveTo(plan.best);
      say(formatEpoch(history[history.length - 1], epochs));
    }
    progress.clear();
    const { position } = trainer;
    const interrupted = ending.name !== null && position.epoch < epochs;
    const saved = !interrupted || position.epoch > begun.epoch || position.step > begun.step;
    if (interrupted && saved) await own.save(saveTo);
    const outcome = { file: own.file, saved, interrupted, matrix, position, history };
    await tell(plan, outcome, options.json ?? false);
    if (interrupted) process.exitCode = ending.code;
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

type Opened = Awaited<ReturnType<typeof openBackend>>;

function trainerOf({ model, recipe, data }: Plan, backend: Opened["backend"]): Trainer {
  const { seed, batch, labelSmoothing, clip, accumulate, average } = recipe;
  const steps = Math.ceil(Math.ceil(data.training.count / batch) / accumulate);
  return createTrainer({
    backend,
    model,
    optimizer: optimizerOf(recipe, scheduleOf(recipe, steps)),
    loss: labelSmoothing
      ? (output, targets) => crossEntropy(output, targets, { labelSmoothing })
      : undefined,
    seed,
    batch,
    clip: clip ? { norm: clip } : undefined,
    accumulate,
    average: average || undefined,
  });
}

/** Checks that there is room for what will be written: the notes grow, the curve is small. */
async function mustHaveRoom({ out, best }: Plan, trainer: Trainer): Promise<void> {
  const { length } = await trainer.checkpoint();
  for (const file of best === undefined ? [out] : [out, best])
    await about(file, () => checkSave(file, length + NOTES));
  await about(curveOf(out), () => checkSave(curveOf(out), NOTES));
}

/** Says what may surprise: another device than before, and images that get a margin. */
function complainOf({ model, recipe, resumed, data: { size } }: Plan, on: string): void {
  const before = resumed?.notes.on;
  if (resumed && before !== undefined && before !== on)
    complain(
      `${resumed.file} was trained on the ${before} and continues on the ${on}: sums are rounded ` +
        "in another order, so the last bits of the weights differ",
    );
  if (recipe.data && size?.some((side, axis) => side !== model.input[axis + 1]))
    complain(
      `the images are ${size.join("×")}; each is centered in ${model.input.slice(1).join("×")}`,
    );
}

/** Throws Error where the validation loss is not finite. */
function epochOf(report: EpochReport, lr: number): Epoch {
  const { epoch, loss, accuracy, seconds, imagesPerSecond } = report;
  const test = report.validation!;
  if (!Number.isFinite(test.loss))
    throw new Error(
      `train: the validation loss is ${test.loss} after epoch ${epoch}; ` +
        `try a lower learning rate than ${lr}`,
    );
  return {
    epoch,
    loss,
    accuracy,
    test: { loss: test.loss, accuracy: test.accuracy },
    seconds,
    imagesPerSecond,
  };
}

interface Outcome {
  readonly file: string;
  readonly saved: boolean;
  readonly interrupted: boolean;
  readonly matrix: number[][] | null;
  readonly position: Trainer["position"];
  readonly history: readonly Epoch[];
}

/** Draws the learning curve, and prints how the training ended. */
async function tell({ model: { name }, recipe, data }: Plan, outcome: Outcome, json: boolean) {
  const { file, saved, interrupted, matrix, position, history } = outcome;
  const { loss = NaN, accuracy = NaN } = history.at(-1)?.test ?? {};
  const count = data.validation.count.toLocaleString("en-US");
  const result = `validation accuracy ${formatPercent(accuracy)} on ${count} ${data.many}`;
  const curve = saved ? await saveCurve(file, `${name} · ${result}`, history) : null;
  const color = colorsOf(process.stdout);
  if (json) {
    const test = matrix && { count: data.validation.count, loss, accuracy, confusion: matrix };
    const told = { model: name, file, curve, interrupted, recipe, epochs: history, test };
    print(JSON.stringify(told, null, 2));
  } else {
    if (matrix) print(`\n${formatConfusion(matrix, data.one)}\n\n${color.bold(result)}`);
    if (saved)
      print(`model ${printable(file)}${curve ? `, learning curve ${printable(curve)}` : ""}`);
  }
  if (interrupted)
    complain(
      saved
        ? `interrupted in epoch ${position.epoch + 1} after step ${position.step}; to continue: ` +
            `conv train ${name} --resume ${printable(file)}`
        : "interrupted before the first step; nothing was written",
    );
}

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
