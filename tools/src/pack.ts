// Builds and packs every published package, as a release would: once for all tests.

import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { bin, check, pnpm, published, root, type Package } from "./workspace.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** The tarball of each published package, by its name without the scope. */
    tarballs: Readonly<Record<string, string>>;
  }
}

/** The published packages, each after those that it depends on. */
function inOrder(): Package[] {
  const order = new Set<Package>();
  const visit = (pack: Package): void => {
    for (const other of published) if (pack.manifest.dependencies?.[other.manifest.name]) visit(other);
    order.add(pack);
  };
  published.forEach(visit);
  return [...order];
}

export default async function setup(project: TestProject): Promise<void> {
  const folder = join(root, "tools", "node_modules", ".cache", "packed");
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await Promise.all(published.map((pack) => rm(join(pack.folder, "dist"), { recursive: true, force: true })));
  // The configurations of `pnpm build`, in one process. The style test checks the types.
  await check(bin("tsc"), ["-b", "--force", "--noCheck", ...inOrder().map((pack) => join(pack.folder, "tsconfig.build.json"))]);
  await pnpm([...published.map(({ manifest }) => `--filter=${manifest.name}`), "pack", "--pack-destination", folder]);
  project.provide(
    "tarballs",
    Object.fromEntries(published.map(({ name, manifest }) => [name, join(folder, `conv-${name}-${manifest.version}.tgz`)])),
  );
}
