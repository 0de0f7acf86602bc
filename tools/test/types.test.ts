// The types that are published compile in the projects of others: TypeScript 5.6 and 6, every strict switch, both ways to resolve modules.

import { globSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as newest from "typescript";
import * as oldest from "typescript-5.6";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { documents, examplesOf } from "../src/documents.ts";
import { createProject, type Project } from "../src/project.ts";
import { published, root } from "../src/workspace.ts";

type Compiler = typeof newest;

const STRICT = {
  strict: true,
  allowUnreachableCode: false,
  allowUnusedLabels: false,
  exactOptionalPropertyTypes: true,
  isolatedModules: true,
  noFallthroughCasesInSwitch: true,
  noImplicitOverride: true,
  noImplicitReturns: true,
  noPropertyAccessFromIndexSignature: true,
  noUncheckedIndexedAccess: true,
  noUncheckedSideEffectImports: true,
  noUnusedLocals: true,
  noUnusedParameters: true,
  verbatimModuleSyntax: true,
};

let project: Project;
let files: readonly string[];

beforeAll(async () => {
  project = await createProject(
    published.map(({ name }) => name),
    inject("tarballs"),
    { "@types/node": `file:${join(root, "node_modules", "@types", "node")}` },
  );
  const examples = await Promise.all(
    documents.map(async (document) => {
      const text = await readFile(join(root, document), "utf8");
      return examplesOf(text).map(({ line, code }) => ({ file: `${document.replaceAll(/[/.]/g, "-")}-${line}.ts`, code }));
    }),
  );
  // Every entry point, whatever the examples use of it.
  const entries = published.flatMap(({ manifest }) => Object.keys(manifest.publishConfig?.exports ?? {}).map((entry) => join(manifest.name, entry)));
  const all = { file: "entries.ts", code: entries.map((entry, i) => `export * as e${i} from "${entry}";\n`).join("") };
  const sources = [all, ...examples.flat()];
  await Promise.all(sources.map(({ file, code }) => writeFile(join(project.folder, file), `${code}\nexport {};\n`)));
  files = sources.map(({ file }) => join(project.folder, file));
}, 300_000);
afterAll(() => project[Symbol.asyncDispose]());

/** The last program of each compiler and resolution: the next one takes its parsed files. */
const programs = new Map<string, newest.Program>();

/** What the compiler has to say of all examples and declarations, but for those that come with the compiler. */
function complaints(ts: Compiler, options: Readonly<Record<string, unknown>>): string {
  const json = { ...STRICT, skipDefaultLibCheck: true, noEmit: true, target: "es2022", lib: ["es2022", "dom"], types: ["node"], ...options };
  const parsed = ts.parseJsonConfigFileContent({ compilerOptions: json, files }, ts.sys, project.folder);
  const key = `${ts.version} ${String(options.module)}`;
  const program = ts.createProgram(files, parsed.options, undefined, programs.get(key));
  programs.set(key, program);
  const diagnostics = [...parsed.errors, ...ts.getPreEmitDiagnostics(program)];
  const host = { getCurrentDirectory: () => project.folder, getCanonicalFileName: (name: string) => name, getNewLine: () => "\n" };
  return ts.formatDiagnostics(diagnostics, host);
}

test("every option may be undefined, for projects with exactOptionalPropertyTypes", async () => {
  const declared = await Promise.all(
    published
      .filter(({ name }) => name !== "cli")
      .map(async ({ name, folder }) => {
        const declarations = globSync("dist/**/*.d.ts", { cwd: folder });
        const texts = await Promise.all(declarations.map(async (file) => [file, await readFile(join(folder, file), "utf8")] as const));
        return texts.flatMap(([file, text]) =>
          [...text.matchAll(/^\s+(?:readonly )?\w+\?: (?!.*undefined).*;$/gm)].map(([line]) => `${name}/${file}: ${line.trim()}`),
        );
      }),
  );
  expect(declared.flat()).toEqual([]);
});

describe.each([
  ["5.6", oldest as unknown as Compiler],
  ["6", newest],
])("TypeScript %s", (version, ts) => {
  test("is the one it is said to be", () => {
    expect(ts.version.startsWith(version)).toBe(true);
  });

  describe.each([{ module: "nodenext" }, { module: "esnext", moduleResolution: "bundler" }])("%j", (resolution) => {
    // Without checks of libraries the compiler sees less of them: both may fail alone.
    test.each([false, true])("every example and every entry point, skipLibCheck %s", { timeout: 120_000 }, (skipLibCheck) => {
      expect(complaints(ts, { ...resolution, skipLibCheck })).toBe("");
    });
  });
});
