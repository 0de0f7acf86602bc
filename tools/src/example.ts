// Runs a module, named by its path, and tells what it throws: the main module of a process that is
// kept for many examples.

import { pathToFileURL } from "node:url";

try {
  await import(pathToFileURL(process.argv[2]).href);
} catch (error) {
  process.stderr.write(error instanceof Error ? `${error.stack}\n` : `${String(error)}\n`);
  process.exitCode = 1;
}
