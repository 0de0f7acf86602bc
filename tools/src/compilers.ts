// Errors that the oldest and the newest supported TypeScript report for files of a strict project.

import { realpathSync } from "node:fs";
import { dirname } from "node:path";
import * as oldest from "typescript-5.6";
import * as newest from "typescript-6";

export type Compiler = typeof newest;

export const compilers: readonly (readonly [version: string, ts: Compiler])[] = [
  ["5.6", oldest as unknown as Compiler],
  ["6", newest],
];

const OPTIONS = {
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
  skipDefaultLibCheck: true,
  noEmit: true,
  target: "es2022",
  lib: ["es2022", "dom"],
};

/** Declarations of Node are not checked: they take as long as all others together. */
const OF_NODE = /\/node_modules\/(@types\/node|undici-types)\//;

/** The parsed standard library of each compiler, shared by its programs. */
const libraries = new Map<string, newest.SourceFile | undefined>();

export interface Complaints {
  /** Errors in the files, as with `skipLibCheck`. */
  readonly files: string;
  /** Further errors without `skipLibCheck`: in the declarations that the files import. */
  readonly declarations: string;
}

/**
 * Compiles files with every strict option. `skipLibCheck` only leaves out declaration files, so one
 * program gives both results: the files are checked first, before any declaration file.
 */
export function complaints(
  ts: Compiler,
  folder: string,
  files: readonly string[],
  options: Readonly<Record<string, unknown>>,
): Complaints {
  const parsed = ts.parseJsonConfigFileContent(
    { compilerOptions: { ...OPTIONS, ...options }, files },
    ts.sys,
    folder,
  );
  const host = ts.createCompilerHost(parsed.options);
  const parse = host.getSourceFile;
  const library = dirname(realpathSync(host.getDefaultLibFileName(parsed.options)));
  host.getSourceFile = (file, ...rest) => {
    if (!file.startsWith(library)) return parse(file, ...rest);
    if (!libraries.has(file)) libraries.set(file, parse(file, ...rest));
    return libraries.get(file);
  };
  const program = ts.createProgram(parsed.fileNames, parsed.options, host);
  const semantic = (declarations: boolean) =>
    program
      .getSourceFiles()
      .filter(
        (file) =>
          file.isDeclarationFile === declarations &&
          !program.isSourceFileDefaultLibrary(file) &&
          !OF_NODE.test(file.fileName),
      )
      .flatMap((file) => program.getSemanticDiagnostics(file));
  const text = (diagnostics: readonly newest.Diagnostic[]) =>
    ts.formatDiagnostics(ts.sortAndDeduplicateDiagnostics(diagnostics), host);
  const first = [
    ...parsed.errors,
    ...program.getOptionsDiagnostics(),
    ...program.getSyntacticDiagnostics(),
  ];
  return {
    files: text([...first, ...semantic(false), ...program.getGlobalDiagnostics()]),
    declarations: text([...semantic(true), ...program.getGlobalDiagnostics()]),
  };
}
