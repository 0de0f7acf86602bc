// The sources obey the linter (which also looks for circular imports and files that are too long), the formatter and the compiler.

import { join } from "node:path";
import { describe, test } from "vitest";
import { bin, check, packages } from "../src/workspace.ts";

test("lint", async () => {
  await check(bin("oxlint"), ["--threads=1", "--deny-warnings"]);
});

test("format", async () => {
  await check(bin("oxfmt"), ["--threads=1", "--check"]);
});

describe("types", () => {
  test.each(packages)("$name", { timeout: 120_000 }, async ({ folder }) => {
    await check(bin("tsc"), ["-p", join(folder, "tsconfig.json")]);
  });
});
