// Runs what was asked and turns errors into one line and an exit code: 0 done, 2 a mistake of the user's, 130 interrupted,
// 1 anything else.

import { CommanderError } from "commander";
import { isMistake } from "./errors.ts";
import { createProgram } from "./program.ts";
import { colorsOf } from "./terminal.ts";

// A reader that has had enough (`conv summary lenet5 | head -1`) is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});

try {
  await createProgram().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else {
    const mistake = isMistake(error);
    const text = !(error instanceof Error) ? `${error}` : mistake || error.constructor === Error ? error.message : (error.stack ?? error.message);
    process.stderr.write(`${colorsOf(process.stderr).red("error:")} ${text}\n`);
    process.exitCode = mistake ? 2 : 1;
  }
}
