// Builds and packs every published package, as a release does.

import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { bin, check, pnpm, published, root, type Package } from "./workspace.ts";

/** The published packages, each after its dependencies. */
function inOrder(): Package[] {
  const order = new Set<Package>();
  const visit = (pack: Package): void => {
    for (const other of published)
      if (pack.manifest.dependencies?.[other.manifest.name]) visit(other);
    order.add(pack);
  };
  published.forEach(visit);
  return [...order];
}

/** Returns the path of each package's tarball, by package name without the scope. */
export async function pack(): Promise<Readonly<Record<string, string>>> {
  const folder = join(root, "tools", "node_modules", ".cache", "packed");
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await Promise.all(
    published.map(({ folder: of }) => rm(join(of, "dist"), { recursive: true, force: true })),
  );
  // The same configurations as `pnpm build`, in one process. The style test checks the types.
  await check(bin("tsc"), [
    "-b",
    "--force",
    "--noCheck",
    ...inOrder().map((of) => join(of.folder, "tsconfig.build.json")),
  ]);
  await pnpm([
    ...published.map(({ manifest }) => `--filter=${manifest.name}`),
    "pack",
    "--pack-destination",
    folder,
  ]);
  return Object.fromEntries(
    published.map(({ name, manifest }) => [
      name,
      join(folder, `conv-${name}-${manifest.version}.tgz`),
    ]),
  );
}
