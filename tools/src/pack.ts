// Builds and packs every published package, as a release would: once for all tests.

import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { pnpm, published, root } from "./workspace.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** The tarball of each published package, by its name without the scope. */
    tarballs: Readonly<Record<string, string>>;
  }
}

export default async function setup(project: TestProject): Promise<void> {
  const folder = join(root, "tools", "node_modules", ".cache", "packed");
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await pnpm(["exec", "turbo", "run", "build", "--filter=./packages/*", "--output-logs=errors-only"], { env: { TURBO_TELEMETRY_DISABLED: "1" } });
  await pnpm([...published.map(({ manifest }) => `--filter=${manifest.name}`), "pack", "--pack-destination", folder]);
  project.provide(
    "tarballs",
    Object.fromEntries(published.map(({ name, manifest }) => [name, join(folder, `conv-${name}-${manifest.version}.tgz`)])),
  );
}
