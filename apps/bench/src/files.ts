// Files that the benchmark reads and writes: results as JSON, pages as HTML.

import { readFile } from "node:fs/promises";
import { checkSave, saveFile } from "@conv/layers/node";
import { Option } from "commander";

/** The value of `--json`: a file, or true for standard output. */
export type ResultFile = string | true;

export const jsonOption = (): Option =>
  new Option(
    "--json [file]",
    "all figures as JSON: into the file, or on standard output in place of tables",
  );

/** Prints text on standard output, unless the JSON goes there. */
export const printer =
  ({ json }: { readonly json?: ResultFile | undefined }) =>
  (text: string): void => {
    if (json !== true) console.log(text);
  };

/**
 * Checks, before anything is measured, that the files in the options can be written. Throws an
 * Error that names option and file.
 */
export async function checkFiles(
  files: Readonly<Record<string, ResultFile | undefined>>,
): Promise<void> {
  for (const [option, file] of Object.entries(files))
    if (typeof file === "string")
      await checkSave(file).catch((error: unknown) =>
        Promise.reject(new Error(`--${option} ${file}: ${reasonOf(error)}`)),
      );
}

/** Writes a text file atomically. */
export const saveText = (file: string, text: string): Promise<void> =>
  saveFile(file, new TextEncoder().encode(text));

/** Writes a result as JSON: to the file, or to standard output where `--json` names none. */
export async function saveResult(json: ResultFile | undefined, result: unknown): Promise<void> {
  if (!json) return;
  const text = `${JSON.stringify(result, null, 1)}\n`;
  if (json === true) process.stdout.write(text);
  else await saveText(json, text);
}

/** Reads results that `--json` wrote. Throws an Error that names the file. */
export const readResults = <R extends object>(
  files: readonly string[],
  has: keyof R & string,
): Promise<R[]> =>
  Promise.all(
    files.map(async (file) => {
      try {
        const result: R = JSON.parse(await readFile(file, "utf8"));
        if (!Array.isArray(result[has]))
          throw new Error(`it holds no ${has}; it must be a file that --json wrote`);
        return result;
      } catch (error) {
        throw new Error(`--from ${file}: ${reasonOf(error)}`, { cause: error });
      }
    }),
  );

/** The reason, without the call and the path that the system appends. */
const reasonOf = (error: unknown): string =>
  error instanceof Error
    ? error.message.replace(/^saveFile: /, "").replace(/, \w+(?: '.*')?$/s, "")
    : String(error);
