#!/usr/bin/env node
// The command `conv`. Node keeps what it has compiled, where it can (22.8 and later): starting takes a quarter of the time.

import module from "node:module";

module.enableCompileCache?.();
await import("./main.ts");
