// The closing line counts failures outside tests too.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { bin, root, run } from "../src/workspace.ts";

const files = {
  "passes.test.js":
    'import { test } from "vitest"; test("a", () => {}); test("b", () => {}); test.skip("c", () => {});',
  "fails.test.js": 'import { test } from "vitest"; test("a", () => { throw new Error("wrong"); });',
  "breaks.test.js": 'throw new Error("broken");',
  "hook.test.js":
    'import { beforeAll, describe, test } from "vitest"; describe("d", () => { beforeAll(() => { throw new Error("hook"); }); test("a", () => {}); });',
  "stray.test.js":
    'import { test } from "vitest"; test("a", () => { Promise.reject(new Error("stray")); });',
};

test("counts tests, broken files, broken hooks and stray errors", async () => {
  const folder = await mkdtemp(join(root, "tools", "node_modules", "closing-line-"));
  for (const [name, code] of Object.entries(files)) await writeFile(join(folder, name), code);
  const { code, stdout } = await run(bin("vitest"), [
    "run",
    "--root",
    folder,
    "--dir",
    folder,
    `--reporter=${join(root, "tools", "src", "closing-line.ts")}`,
  ]);
  await rm(folder, { recursive: true });
  expect(code).toBe(1);
  expect(stdout.trimEnd().split("\n").at(-1)).toBe("3 passed, 4 failed, 2 skipped");
});
