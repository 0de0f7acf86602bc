// How every published package is built: ESM and types, one file for each entry point, other packages left out.

import { defineConfig } from "tsup";

export const library = (entry: string[]) =>
  defineConfig({
    entry,
    format: "esm",
    target: "es2022",
    dts: true,
    minify: true,
    clean: true,
    // Bundlers for browsers know by `node:` what is not for them.
    removeNodeProtocol: false,
  });
