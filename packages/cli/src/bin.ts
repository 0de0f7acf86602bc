#!/usr/bin/env node
// The command `conv`. An older Node is told so before anything is loaded that it can't read. Node keeps what it has compiled,
// where it can (22.8 and later): starting takes a quarter of the time.

import module from "node:module";

const NEEDED = 9; // of 20, as the decoder of pictures needs
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < NEEDED)) {
  process.stderr.write(`error: conv needs Node 20.${NEEDED} or later, this is ${process.versions.node}\n`);
  process.exitCode = 2;
} else {
  if (module.enableCompileCache) module.enableCompileCache();
  await import("./main.ts");
}
