// The sources obey the linter (which also looks for circular imports and files that are too long), the formatter and the compiler.

import { readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "vitest";
import { bin, check, packages, root } from "../src/workspace.ts";

test("lint", async () => {
  await check(bin("oxlint"), ["--threads=1", "--deny-warnings"]);
});

test("format", async () => {
  await check(bin("oxfmt"), ["--threads=1", "--check"]);
});

interface Config {
  readonly extends: string;
  readonly compilerOptions: object;
  readonly include: readonly string[];
}

const configs = packages.map(({ name, folder }) => {
  const config = JSON.parse(readFileSync(join(folder, "tsconfig.json"), "utf8")) as Config;
  return { name, file: join(folder, "tsconfig.json"), base: join(folder, config.extends), ...config, folder };
});

/**
 * Packages of equal options are checked as one program: each imports sources of others, which the compiler would check again for every
 * package. `pnpm typecheck` checks each package alone.
 */
const groups = [...Map.groupBy(configs, ({ base, compilerOptions }) => JSON.stringify([base, compilerOptions])).values()];

describe("types", () => {
  test.each(groups.map((group) => [group.map(({ name }) => name).join(", "), group] as const))("%s", { timeout: 300_000 }, async (_, group) => {
    const [{ file, base, compilerOptions }] = group;
    if (group.length === 1) return void (await check(bin("tsc"), ["-p", file]));
    const cache = join(root, "tools", "node_modules", ".cache");
    await mkdir(cache, { recursive: true });
    const together = join(cache, "tsconfig.json");
    const include = group.flatMap(({ folder, include: own }) => own.map((path) => join(folder, path)));
    await writeFile(together, JSON.stringify({ extends: base, compilerOptions, include, exclude: [] }));
    await check(bin("tsc"), ["-p", together]);
  });
});
