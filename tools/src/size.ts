// How many bytes a browser downloads for an import: bundled and minified by Vite, then gzipped.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "vite";

let entries = 0;

/**
 * Gzipped size in bytes of a module of the project, bundled with its imports except the packages in
 * `external` and the modules of Node.
 */
export async function bundledSize(
  source: string,
  folder: string,
  external: readonly string[] = [],
): Promise<number> {
  const input = join(folder, `entry${entries++}.js`);
  await writeFile(input, source);
  const isExternal = (id: string) =>
    id.startsWith("node:") || external.some((name) => id === name || id.startsWith(`${name}/`));
  const result = await build({
    root: folder,
    configFile: false,
    logLevel: "error",
    build: {
      write: false,
      modulePreload: false,
      rolldownOptions: { input, external: isExternal, preserveEntrySignatures: "strict" },
    },
  });
  const files = [result].flat().flatMap((bundle) => ("output" in bundle ? bundle.output : []));
  return files.reduce(
    (sum, file) =>
      sum + gzipSync(file.type === "chunk" ? file.code : file.source, { level: 9 }).length,
    0,
  );
}
