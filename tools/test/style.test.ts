// The sources pass the linter (which also finds import cycles and long files), the formatter and
// the compiler.

import { readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { bin, check, packages, run } from "../src/workspace.ts";

test("lint", async () => {
  await check(bin("oxlint"), ["--threads=1", "--deny-warnings"]);
});

test("format", async () => {
  await check(bin("oxfmt"), ["--threads=1", "--check"]);
});

const configs = packages.map(({ name, folder }) => {
  const {
    extends: base,
    compilerOptions,
    include,
  } = JSON.parse(readFileSync(join(folder, "tsconfig.json"), "utf8"));
  return {
    name,
    folder,
    options: { extends: join(folder, base), compilerOptions },
    include: include.map((path: string) => join(folder, path)),
  };
});

/**
 * Packages with equal options are checked as one program, since a package imports the sources of
 * others, which would be checked again for each package. `pnpm typecheck` checks them one by one.
 */
const groups = [...Map.groupBy(configs, ({ options }) => JSON.stringify(options)).values()];

describe("types", () => {
  test.each(groups.map((group) => [group.map(({ name }) => name).join(", "), group] as const))(
    "%s",
    { timeout: 300_000 },
    async (_, group) => {
      const [{ folder, options }] = group;
      // where the types that the first package depends on are found
      const config = join(folder, "node_modules", ".tsconfig.json");
      writeFileSync(
        config,
        JSON.stringify({ ...options, include: group.flatMap(({ include }) => include) }),
      );
      const { stdout, stderr } = await run(bin("tsc"), ["-p", config, "--singleThreaded"]);
      await rm(config);
      expect({ stdout, stderr }).toEqual({ stdout: "", stderr: "" });
    },
  );
});
