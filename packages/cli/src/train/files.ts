// The files that a training reads and writes: checked before it starts, so that nothing is lost
// after hours of work.

import { access, constants as modes, realpath, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Model } from "@conv/layers";
import { checkSave } from "@conv/layers/node";
import { printable } from "@conv/tensor";
import { about, codeOf, UserError } from "../errors.ts";
import { loadModel } from "../model.ts";
import { notesOf, type Notes } from "../notes.ts";
import { complain } from "../output.ts";
import type { Recipe } from "../recipe.ts";

/** A file that a training continues from. */
export interface Resumed {
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly notes: Notes;
}

/** Reads a file to continue from. Throws UserError unless it is a checkpoint of this model. */
export async function readResumed(file: string, model: Model): Promise<Resumed> {
  const { bytes, decoded, model: saved } = await loadModel(file);
  if (saved.name !== model.name)
    throw new UserError(`${file}: holds ${saved.name}, not ${model.name}`);
  const notes = notesOf(decoded.metadata);
  if (!notes)
    throw new UserError(
      `${file}: does not say how it was trained; conv train resumes only files that it wrote`,
    );
  return { file, bytes, notes };
}

/** The learning curve of a model file. */
export const curveOf = (model: string): string => `${model.replace(/\.safetensors$/, "")}.svg`;

/** Throws UserError where a file could not be written after the training. */
export async function mustBeWritable(option: string, file: string): Promise<void> {
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

interface Replacing {
  readonly out: string;
  readonly recipe: Recipe;
  readonly resumed: Resumed | null;
  /** Whether the file was named by --out. */
  readonly named: boolean;
  readonly force: boolean;
}

/**
 * A model is replaced only by --force, by --out, or by resuming the training that wrote it. Throws
 * UserError where the file exists already, or where another learning rate or other data would
 * replace the resumed model.
 */
export async function mustNotReplace(plan: Replacing): Promise<void> {
  const { out, recipe, resumed, named, force } = plan;
  if (force || named) return;
  if (resumed) {
    const { file, notes } = resumed;
    const changed = (["lr", "data"] as const).find((key) => recipe[key] !== notes.recipe[key]);
    if (!changed) return;
    throw new UserError(
      `${file}: another --${changed} could make the model worse; --out <file> writes it to ` +
        "another file, --force replaces this one",
    );
  }
  if (await stat(out).catch(unlessAbsent))
    throw new UserError(
      `${out}: exists already; --resume ${out} continues it, --out <file> writes to another ` +
        "file, --force replaces it",
    );
  const curve = curveOf(out);
  if (await stat(curve).catch(unlessAbsent))
    throw new UserError(
      `${curve}: exists already, and the learning curve would replace it; --out <file> writes to ` +
        "other files, --force replaces it",
    );
}

/** Throws UserError where two of the files that will be written are one, by name or by links. */
export async function mustDiffer(files: Readonly<Record<string, string>>): Promise<void> {
  const seen = new Map<string, string>();
  for (const [what, file] of Object.entries(files)) {
    const folder = await realpath(dirname(file));
    const path = await realpath(file).catch(() => join(folder, basename(file)));
    const other = seen.get(path);
    if (other)
      throw new UserError(
        `${file}: would hold ${other} and ${what}; give --out and --best different names`,
      );
    seen.set(path, what);
  }
}

/**
 * The model file of this training. If another process writes it in the meantime, the model goes to
 * a file with a number in its name, and a line says so: neither model is lost.
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
          `${printable(own.file)}: another process has written it; this model is saved to ` +
            printable(numbered(n)),
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
