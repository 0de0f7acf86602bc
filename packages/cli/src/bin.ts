#!/usr/bin/env node
// The command `conv`. An older Node gets a message before anything is loaded that it cannot read.
// Node 22.8 and later cache the compiled code, which makes the start four times faster.

import module from "node:module";

// Threads, and the libraries of this command, need a Node that has this function.
if (!process.getBuiltinModule) {
  process.stderr.write(
    `error: conv needs Node 20.16, or 22.3 or later; this is ${process.versions.node}\n`,
  );
  process.exitCode = 2;
} else {
  if (module.enableCompileCache) module.enableCompileCache();
  await import("./main.ts");
}
