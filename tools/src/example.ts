// Runs the module at a path and prints the error that it throws. The main module of a process that
// runs many examples.

import { pathToFileURL } from "node:url";

try {
  await import(pathToFileURL(process.argv[2]).href);
} catch (error) {
  process.stderr.write(error instanceof Error ? `${error.stack}\n` : `${String(error)}\n`);
  process.exitCode = 1;
}
