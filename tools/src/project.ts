// Projects outside the workspace, each with only the named packages, installed from tarballs.

import { globSync, realpathSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ISOLATION, serve } from "@conv/testkit/browser";
import type { Browser } from "playwright-core";
import { build, createServer, transformWithOxc } from "vite";
import { check, pnpm, root } from "./workspace.ts";

export interface Projects extends AsyncDisposable {
  /** Contains a folder for each project, named after it. */
  readonly folder: string;
}

/**
 * Dependencies of a project: published packages by name without the scope, and other packages with
 * their versions.
 */
export interface Needs {
  readonly named: readonly string[];
  readonly others?: Readonly<Record<string, string>>;
}

/**
 * Creates the projects and installs all of them in one run. A package can import only its declared
 * dependencies.
 */
export async function createProjects(
  projects: Readonly<Record<string, Needs>>,
  tarballs: Readonly<Record<string, string>>,
): Promise<Projects> {
  const folder = await mkdtemp(join(tmpdir(), "conv-projects-"));
  const at = (name: string) => [`@conv/${name}`, `file:${tarballs[name]}`];
  const manifest = (where: string, fields: object) =>
    writeFile(join(folder, where, "package.json"), JSON.stringify({ private: true, ...fields }));
  // The packages are not in a registry yet: every dependency on one resolves to its tarball.
  await manifest("", { pnpm: { overrides: Object.fromEntries(Object.keys(tarballs).map(at)) } });
  await writeFile(join(folder, "pnpm-workspace.yaml"), 'packages: ["*"]\nhoist: false\n');
  for (const [name, { named, others }] of Object.entries(projects)) {
    await mkdir(join(folder, name));
    await manifest(name, {
      type: "module",
      dependencies: { ...Object.fromEntries(named.map(at)), ...others },
    });
  }
  await pnpm(["install", "--prefer-offline", "--ignore-scripts"], { cwd: folder });
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

/** Names of all packages in a project, with the dependencies of dependencies. */
export function installed(project: string): string[] {
  const found = new Set<string>();
  const visit = (modules: string): void => {
    for (const name of globSync(["[!.@]*", "@*/*"], { cwd: modules })) {
      if (found.has(name)) continue;
      found.add(name);
      // its dependencies are in the same folder
      visit(realpathSync(join(modules, name)).slice(0, -name.length));
    }
  };
  visit(join(project, "node_modules"));
  return [...found].toSorted();
}

/** Adds an example, and a program that calls it, to a project. */
export async function addExample(
  project: string,
  name: string,
  device: "cpu" | "gpu" | null,
): Promise<void> {
  const source = await readFile(join(root, "tools", "examples", `${name}.ts`), "utf8");
  await writeFile(join(project, "example.ts"), source);
  await writeFile(join(project, "example.js"), (await transformWithOxc(source, "example.ts")).code);
  const create = device === "cpu" ? "createCpu" : "createGpu";
  const start = device
    ? `import { ${create} } from "@conv/kernels-${device}";
export async function start() {
  const backend = await ${create}();
  const numbers = await main(backend);
  backend.dispose();
  return numbers;
}`
    : "export const start = main;";
  await writeFile(join(project, "start.js"), `import { main } from "./example.js";\n${start}\n`);
}

/** The numbers that the examples return, by project. */
export type Numbers = Readonly<Record<string, readonly number[]>>;

/** JavaScript that computes the numbers of the examples in these projects, with its imports. */
function programOf(projects: readonly string[]): {
  readonly imports: string;
  readonly numbers: string;
} {
  const imports = projects.map(
    (name, i) => `import { start as start${i} } from "./${name}/start.js";\n`,
  );
  const numbers = projects.map((name, i) => `${JSON.stringify(name)}: [...await start${i}()]`);
  return { imports: imports.join(""), numbers: `{ ${numbers.join(", ")} }` };
}

/** Runs the examples in the given Node and returns their numbers. */
export async function runInNode(
  { folder }: Projects,
  projects: readonly string[],
  node: string,
): Promise<Numbers> {
  const { imports, numbers } = programOf(projects);
  return JSON.parse(
    await check(node, ["--input-type=module"], {
      cwd: folder,
      input: `${imports}console.log(JSON.stringify(${numbers}));`,
    }),
  );
}

/**
 * Runs the examples on a page and returns their numbers: bundled by Vite with and without
 * cross-origin isolation, and served by Vite's development server.
 */
export async function runInBrowser(
  { folder }: Projects,
  projects: readonly string[],
  browser: Browser,
): Promise<Record<"isolated" | "plain" | "developed", Numbers>> {
  const { imports, numbers } = programOf(projects);
  await writeFile(
    join(folder, "page.js"),
    `${imports}globalThis.numbers = (async () => (${numbers}))();`,
  );
  await writeFile(
    join(folder, "index.html"),
    '<!doctype html><script type="module" src="./page.js"></script>',
  );
  const visit = async (url: string): Promise<Numbers> => {
    const page = await browser.newPage();
    await page.goto(url);
    await page.waitForFunction("globalThis.numbers");
    const result = await page.evaluate<Numbers>("numbers");
    await page.close();
    return result;
  };
  const config = { root: folder, configFile: false, logLevel: "error" } as const;
  await build(config);
  const built = async (isolated: boolean): Promise<Numbers> => {
    await using server = await serve(join(folder, "dist"), { isolated });
    return await visit(server.url); // await before the server is disposed
  };
  const developed = async (): Promise<Numbers> => {
    const server = await createServer({
      ...config,
      server: { host: "127.0.0.1", headers: ISOLATION },
    });
    await server.listen();
    const result = await visit(server.resolvedUrls!.local[0]);
    await server.close();
    return result;
  };
  return { isolated: await built(true), plain: await built(false), developed: await developed() };
}
