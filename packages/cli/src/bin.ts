#!/usr/bin/env node
// The command `conv`. An older Node is told so before anything is loaded that it can't read. Node
// keeps what it has compiled, where it can (22.8 and later): starting takes a quarter of the time.

import module from "node:module";

// Threads, and the libraries of this command, need what this function came with.
if (!process.getBuiltinModule) {
  process.stderr.write(
    `error: conv needs Node 20.16, or 22.3 or later; this is ${process.versions.node}\n`,
  );
  process.exitCode = 2;
} else {
  if (module.enableCompileCache) module.enableCompileCache();
  await import("./main.ts");
}
