// How every published package is built: ESM and types, one file for each entry point, other packages left out. Not minified:
// the bundlers of those who use it do that, and see by the comments in it what has no effect and may be left out.

import { defineConfig } from "tsup";

export const library = (entry: string[]) =>
  defineConfig({
    entry,
    format: "esm",
    target: "es2022",
    // Types of `using`, which projects that target the browsers of today do not list by themselves.
    dts: { banner: '/// <reference lib="esnext.disposable" />' },
    clean: true,
    // Bundlers for browsers know by `node:` what is not for them.
    removeNodeProtocol: false,
  });
