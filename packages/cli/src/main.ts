// Runs the command line and turns errors into one line and an exit code: 0 done, 2 a mistake of the
// user, 128 + n ended by signal n, 1 anything else.

import { CommanderError } from "commander";
import { isMistake, lineOf } from "./errors.ts";
import { complain, watchOutput } from "./output.ts";
import { createProgram } from "./program.ts";
import { colorsOf } from "./terminal.ts";

watchOutput();
// With a limit of file sizes (`ulimit -f`), writing fails with EFBIG; without a listener, this
// signal would end the process.
if (process.platform !== "win32") process.on("SIGXFSZ", () => {});

try {
  await createProgram().parseAsync();
} catch (error) {
  if (error instanceof CommanderError)
    process.exitCode = error.exitCode === 0 ? process.exitCode : 2;
  else {
    complain(`${colorsOf(process.stderr).red("error:")} ${lineOf(error)}`);
    process.exitCode = isMistake(error) ? 2 : 1;
  }
}
