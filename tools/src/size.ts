// How many bytes a browser downloads for what a project imports: bundled, minified and gzipped.

import { gzipSync } from "node:zlib";
import { build } from "esbuild";

/** Gzipped bytes of a module bundled with what it imports, packages in `external` excepted; names resolve from `folder`. */
export async function bundledSize(source: string, folder: string, external: readonly string[] = []): Promise<number> {
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: folder },
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target: "es2022",
    platform: "browser",
    external: ["node:*", ...external],
  });
  return gzipSync(outputFiles[0].contents, { level: 9 }).length;
}
