// Builds and packs every published package, as a release would.

import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { pnpm, published } from "./workspace.ts";

/** Packs into an emptied folder; returns the tarball of each published package, by its name without the scope. */
export async function packAll(folder: string): Promise<Record<string, string>> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await pnpm(["exec", "turbo", "run", "build", "--filter=./packages/*", "--output-logs=errors-only"], { env: { TURBO_TELEMETRY_DISABLED: "1" } });
  await pnpm([...published.map(({ manifest }) => `--filter=${manifest.name}`), "pack", "--pack-destination", folder]);
  return Object.fromEntries(published.map(({ name, manifest }) => [name, join(folder, `conv-${name}-${manifest.version}.tgz`)]));
}
