// The sources obey the linter (which also looks for circular imports and files that are too long), the formatter and the compiler.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { describe, expect, test } from "vitest";
import { bin, check, packages } from "../src/workspace.ts";

test("lint", async () => {
  await check(bin("oxlint"), ["--threads=1", "--deny-warnings"]);
});

test("format", async () => {
  await check(bin("oxfmt"), ["--threads=1", "--check"]);
});

const configs = packages.map(({ name, folder }) => {
  const file = join(folder, "tsconfig.json");
  const { options, fileNames, errors } = ts.parseJsonConfigFileContent(JSON.parse(readFileSync(file, "utf8")), ts.sys, folder, {}, file);
  return { name, folder, options, fileNames, errors };
});

/**
 * Packages of equal options are checked as one program, and each program only judges its own files: a package imports the sources of
 * others, which would be checked again for every package. `pnpm typecheck` checks each package alone.
 */
const groups = [...Map.groupBy(configs, ({ options }) => JSON.stringify({ ...options, configFilePath: undefined })).values()];

/** Parsed files, which the programs share. */
const parsed = new Map<string, ts.SourceFile | undefined>();

describe("types", () => {
  test.each(groups.map((group) => [group.map(({ name }) => name).join(", "), group] as const))("%s", { timeout: 300_000 }, (_, group) => {
    const [{ options }] = group;
    const host = ts.createCompilerHost(options);
    const parse = host.getSourceFile;
    host.getSourceFile = (file, ...rest) => {
      if (!parsed.has(file)) parsed.set(file, parse(file, ...rest));
      return parsed.get(file);
    };
    const own = group.flatMap(({ fileNames }) => fileNames);
    const program = ts.createProgram(own, options, host);
    const complaints = [
      ...group.flatMap(({ errors }) => errors),
      ...program.getOptionsDiagnostics(),
      ...program.getGlobalDiagnostics(),
      ...own.flatMap((file) => {
        const source = program.getSourceFile(file);
        return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
      }),
    ];
    expect(ts.formatDiagnostics(complaints, host)).toBe("");
  });
});
