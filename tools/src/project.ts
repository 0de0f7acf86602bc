// An empty project of somebody else, in which only named packages are installed, from their tarballs.

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ISOLATION, serve } from "@conv/testkit/browser";
import type { Browser } from "playwright-core";
import { build, createServer, transformWithOxc } from "vite";
import { bin, check, pnpm, root } from "./workspace.ts";

export interface Project extends AsyncDisposable {
  readonly folder: string;
}

/** Makes the project and installs: everything not named comes only where a named package depends on it. */
export async function createProject(
  named: readonly string[],
  tarballs: Readonly<Record<string, string>>,
  others: Readonly<Record<string, string>> = {},
): Promise<Project> {
  const folder = await mkdtemp(join(tmpdir(), "conv-project-"));
  const at = (name: string) => [`@conv/${name}`, `file:${tarballs[name]}`];
  const manifest = {
    private: true,
    type: "module",
    dependencies: { ...Object.fromEntries(named.map(at)), ...others },
    // The packages are in no registry yet: whoever depends on one gets its tarball.
    pnpm: { overrides: Object.fromEntries(Object.keys(tarballs).map(at)) },
  };
  await writeFile(join(folder, "package.json"), JSON.stringify(manifest));
  await pnpm(["install", "--prefer-offline", "--ignore-scripts"], { cwd: folder });
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

/** Puts an example and a program that calls it into the project, and checks its types against those installed. */
export async function addExample({ folder }: Project, name: string, device: "cpu" | "gpu" | null): Promise<void> {
  const source = await readFile(join(root, "tools", "examples", `${name}.ts`), "utf8");
  await writeFile(join(folder, "example.ts"), source);
  await writeFile(join(folder, "example.js"), (await transformWithOxc(source, "example.ts")).code);
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
  await writeFile(join(folder, "start.js"), `import { main } from "./example.js";\n${start}\n`);
  const compilerOptions = {
    strict: true,
    skipDefaultLibCheck: true, // the project's own declarations are checked
    noEmit: true,
    target: "es2022",
    module: "nodenext",
    lib: ["es2022", "dom"],
    types: [],
  };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["example.ts"] }));
  await check(bin("tsc"), ["-p", "."], { cwd: folder });
}

/** The numbers of the example, run by a Node. */
export async function runInNode({ folder }: Project, node: string): Promise<number[]> {
  const input = 'import { start } from "./start.js"; console.log(JSON.stringify(await start()));';
  return JSON.parse(await check(node, ["--input-type=module"], { cwd: folder, input }));
}

/** The numbers of the example on a page: bundled by Vite, with and without cross-origin isolation, and served by its development server. */
export async function runInBrowser({ folder }: Project, browser: Browser): Promise<Record<"isolated" | "plain" | "developed", number[]>> {
  await writeFile(join(folder, "page.js"), 'import { start } from "./start.js"; globalThis.numbers = start();');
  await writeFile(join(folder, "index.html"), '<!doctype html><script type="module" src="./page.js"></script>');
  const visit = async (url: string): Promise<number[]> => {
    const page = await browser.newPage();
    await page.goto(url);
    await page.waitForFunction("globalThis.numbers");
    const numbers = await page.evaluate("(async () => [...await numbers])()");
    await page.close();
    return numbers as number[];
  };
  const config = { root: folder, configFile: false, logLevel: "error" } as const;
  await build(config);
  const built = async (isolated: boolean): Promise<number[]> => {
    await using server = await serve(join(folder, "dist"), { isolated });
    return await visit(server.url); // before the server ends
  };
  const developed = async (): Promise<number[]> => {
    const server = await createServer({ ...config, server: { host: "127.0.0.1", headers: ISOLATION } });
    await server.listen();
    const numbers = await visit(server.resolvedUrls!.local[0]);
    await server.close();
    return numbers;
  };
  return { isolated: await built(true), plain: await built(false), developed: await developed() };
}
