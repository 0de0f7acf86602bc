// The structure of the sources. A package may import only the packages in this table, and its
// manifest must declare exactly those it imports. Imports make no circle, and functions are short.

import { globSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join, relative } from "node:path";
import {
  createSourceFile,
  forEachChild,
  isFunctionLike,
  ScriptTarget,
  type Node,
} from "typescript-6";
import { describe, expect, test } from "vitest";
import { packages, root } from "../src/workspace.ts";

/** The packages of the workspace that the sources of each package may import. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  tensor: [],
  ops: ["tensor"],
  compiler: ["tensor", "ops"],
  "kernels-cpu": ["tensor", "ops", "compiler"],
  "kernels-gpu": ["tensor", "ops", "compiler"],
  layers: ["tensor", "ops", "compiler"],
  analysis: ["tensor", "ops", "compiler"],
  testkit: ["tensor", "ops"],
  cli: ["tensor", "ops", "compiler", "kernels-cpu", "kernels-gpu", "layers", "analysis"],
};

/** Entry points for Node only. Every other source of these packages must run in a browser too. */
const NODE_ONLY = ["packages/layers/src/node.ts"];
const IN_BROWSERS = [
  "tensor",
  "ops",
  "compiler",
  "kernels-cpu",
  "kernels-gpu",
  "layers",
  "analysis",
];

const STATIC = /(?:^|[\s;])(?:import|export)\s(?:[^"';]*?\sfrom\s)?\s*"([^"]+)"/g;
const DYNAMIC = /(?:(?<!\.)\b(?:import|require)|\bresolve)\(\s*["`]([^"`]+)/g;
/** Imports at run time, and of types within a type; not files that are only started. */
const INDIRECT = /(?<!\.)\bimport\(\s*"(\.[^"]+)"/g;
const packageOf = (specifier: string): string =>
  specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
const isBuiltin = (specifier: string): boolean =>
  specifier.startsWith("node:") || builtinModules.includes(specifier);

describe.each(packages.filter(({ name }) => name in MAY_IMPORT))(
  "$name",
  ({ name, folder, manifest }) => {
    const files = globSync("src/**/*.ts", { cwd: folder }).map((file) => join(folder, file));
    const found = files.flatMap((path) => {
      const text = readFileSync(path, "utf8");
      const file = relative(root, path);
      return [
        ...[...text.matchAll(STATIC)].map((match) => ({
          file,
          specifier: match[1]!,
          dynamic: false,
        })),
        ...[...text.matchAll(DYNAMIC)].map((match) => ({
          file,
          specifier: match[1]!,
          dynamic: true,
        })),
      ];
    });
    // a path given by the caller is not a package
    const outside = found.filter(({ specifier }) => !/^(\.|\$\{)/.test(specifier));
    // Optional peers are imported by names that bundlers do not follow.
    const peers = Object.keys(manifest.peerDependencies ?? {}).filter(
      (peer) => !manifest.peerDependenciesMeta?.[peer]?.optional,
    );
    const declared = [...Object.keys(manifest.dependencies ?? {}), ...peers];

    test("imports only what the layout of the project allows", () => {
      const allowed = MAY_IMPORT[name]!.map((other) => `@conv/${other}`);
      expect(
        outside.filter(
          ({ specifier }) =>
            specifier.startsWith("@conv/") && !allowed.includes(packageOf(specifier)),
        ),
      ).toEqual([]);
    });

    test("imports only what its manifest declares, and declares nothing else", () => {
      const used = new Set(
        outside
          .filter(({ specifier }) => !isBuiltin(specifier))
          .map(({ specifier }) => packageOf(specifier)),
      );
      expect([...used].toSorted()).toEqual(declared.toSorted());
    });

    test("states a Node that what it is made of runs on", () => {
      const LEAST = ">=20"; // Node 20.0: any other range is a part of this one
      const engines = (of: string) =>
        packages.find((p) => p.manifest.name === of)?.manifest.engines?.node ?? LEAST;
      const stricter = declared.map(engines).filter((range) => range !== LEAST);
      expect(stricter.filter((range) => range !== engines(manifest.name))).toEqual([]);
    });

    test("imports its own files by relative paths that carry .ts", () => {
      const wrong = found.filter(
        ({ specifier }) => specifier.startsWith(".") && !/\.(ts|json)$/.test(specifier),
      );
      expect(wrong).toEqual([]);
    });

    if (IN_BROWSERS.includes(name)) {
      test("has no dependency outside the workspace and needs nothing of Node", () => {
        expect(declared.filter((dependency) => !dependency.startsWith("@conv/"))).toEqual([]);
        expect(
          outside.filter(
            ({ file, specifier, dynamic }) =>
              isBuiltin(specifier) && !dynamic && !NODE_ONLY.includes(file),
          ),
        ).toEqual([]);
      });
    }
  },
);

const sources = globSync(["packages/*/src/**/*.{ts,tsx}", "apps/*/src/**/*.{ts,tsx}"], {
  cwd: root,
})
  .filter((file) => !file.endsWith(".d.ts"))
  .toSorted();

/** The relative imports of each file: of values and of types, static and dynamic. */
const importsOf = new Map(
  sources.map((file) => {
    const text = readFileSync(join(root, file), "utf8");
    const specifiers = [STATIC, INDIRECT].flatMap((pattern) =>
      [...text.matchAll(pattern)].map((match) => match[1]!),
    );
    const relatives = specifiers.filter((specifier) => specifier.startsWith("."));
    return [file, [...new Set(relatives)].map((to) => join(dirname(file), to))] as const;
  }),
);

/** A circle of imports in a graph of files; null if there is none. */
function circleIn(imports: ReadonlyMap<string, readonly string[]>): string[] | null {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): string[] | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return null;
    for (const next of imports.get(file) ?? []) {
      const circle = visit(next, [...path, file]);
      if (circle) return circle;
    }
    done.add(file);
    return null;
  };
  for (const file of imports.keys()) {
    const circle = visit(file, []);
    if (circle) return circle;
  }
  return null;
}

test("imports make no circle, those of types and dynamic ones included", () => {
  expect(
    circleIn(
      new Map([
        ["a", ["b", "c"]],
        ["b", ["d"]],
        ["c", ["d"]],
        ["d", ["c"]],
      ]),
    ),
  ).toEqual(["d", "c", "d"]);
  expect(circleIn(importsOf)).toBeNull();
});

/** Lines of the longest functions. */
const MOST_LINES = 120;

/** The names of the functions of a file with more lines than allowed. */
function longFunctions(file: string): string[] {
  const source = createSourceFile(
    file,
    readFileSync(join(root, file), "utf8"),
    ScriptTarget.Latest,
    true,
  );
  const lineAt = (position: number) => source.getLineAndCharacterOfPosition(position).line;
  const found: string[] = [];
  const visit = (node: Node): void => {
    if (isFunctionLike(node) && lineAt(node.end) - lineAt(node.getStart()) >= MOST_LINES) {
      const named = node.name ?? ("name" in node.parent ? (node.parent.name as Node) : undefined);
      found.push(named?.getText() ?? "(anonymous)");
    }
    forEachChild(node, visit);
  };
  visit(source);
  return found;
}

test(`functions have at most ${MOST_LINES} lines`, { timeout: 60_000 }, () => {
  const tooLong = sources.flatMap((file) => longFunctions(file).map((name) => `${file}: ${name}`));
  expect(tooLong).toEqual([]);
});

test("the guide names the files from conv2d to its inner loop, at most nine", () => {
  const guide = readFileSync(join(root, "CONTRIBUTING.md"), "utf8");
  const [, table] = guide.split("**From a layer to its inner loop.**");
  const rows = [...table.split("\n\n**")[0].matchAll(/^\| `([^`]+)` +\| `(\w+)`/gm)];
  const steps = rows.map(([, file, name]) => ({
    name,
    text: readFileSync(join(root, file), "utf8"),
  }));
  expect(steps.length).toBeGreaterThan(6);
  expect(steps.length).toBeLessThanOrEqual(9);
  const defines = (name: string) =>
    new RegExp(`(?:function|const) ${name}\\b|^ +${name}(?:<.*>)?\\(.*\\) \\{$`, "m");
  const calls = (name: string) => new RegExp(`(?<!function )(?<!const )\\b${name}\\(`);
  for (const [i, { name, text }] of steps.entries()) {
    expect(text).toMatch(defines(name));
    const next = steps[i + 1]?.name;
    if (next && name !== "plan") expect(text).toMatch(calls(next));
  }
});
