// What would be published: complete, resolvable by every tool that reads ESM, and typed.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { beforeAll, describe, expect, test } from "vitest";
import { packAll } from "../src/pack.ts";
import { check, published, root } from "../src/workspace.ts";

let tarballs: Readonly<Record<string, string>>;

beforeAll(async () => {
  tarballs = await packAll(join(root, "tools", "node_modules", ".cache", "packed"));
}, 300_000);

describe.each(published)("$name", ({ name, manifest }) => {
  test("carries its build, its README and its licence, and nothing else", async () => {
    const files = (await check("tar", ["-tzf", tarballs[name]!])).trim().split("\n").toSorted();
    expect(files.filter((file) => !/^package\/dist\/.*\.(js|d\.ts)$/.test(file))).toEqual([
      "package/LICENSE",
      "package/README.md",
      "package/package.json",
    ]);
  });

  test("names no file of the workspace", async () => {
    const packed = await check("tar", ["-xzOf", tarballs[name]!, "package/package.json"]);
    expect(packed).not.toMatch(/workspace:|\/src\//);
    expect(Object.keys(JSON.parse(packed).exports)).toEqual(Object.keys(manifest.exports ?? {}));
  });

  test("publint has nothing to say", async () => {
    const data = new Uint8Array(await readFile(tarballs[name]!)).buffer;
    const { messages, pkg } = await publint({ pack: { tarball: data }, strict: true });
    expect(messages.map((message) => formatMessage(message, pkg, { color: false }))).toEqual([]);
  });

  test("its types resolve for ESM in Node and in bundlers", async () => {
    const analysis = await checkPackage(createPackageFromTarballData(new Uint8Array(await readFile(tarballs[name]!))));
    if (!analysis.types) throw new Error(`${manifest.name} has no types`);
    // These packages are ESM alone: resolution by CommonJS and by tools older than `exports` is not their aim.
    const problems = analysis.problems.filter(
      (problem) => !("resolutionKind" in problem && (problem.resolutionKind === "node10" || problem.resolutionKind === "node16-cjs")),
    );
    expect(problems).toEqual([]);
  });
});
