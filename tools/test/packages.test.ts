// What would be published: complete, resolvable by every tool that reads ESM, typed, small, and of use without the rest.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { createHost } from "@conv/tensor";
import { launchBrowser } from "@conv/testkit/browser";
import type { Browser } from "playwright-core";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { main as analysisExample } from "../examples/analysis.ts";
import { main as layersExample } from "../examples/layers.ts";
import { main as opsExample } from "../examples/ops.ts";
import { addExample, createProject, runInBrowser, runInNode, type Project } from "../src/project.ts";
import { bundledSize } from "../src/size.ts";
import { check, published } from "../src/workspace.ts";

/** Entry points of the sources that only this repository's tests and benchmarks use. */
const NOT_PUBLISHED = ["@conv/ops/cases", "@conv/kernels-gpu/tuning"];

const tarballs = inject("tarballs");

let browser: Browser;
beforeAll(async () => void (browser = await launchBrowser()), 120_000);
afterAll(() => browser.close());

describe.each(published)("$name", ({ name, manifest }) => {
  test("carries its build with maps, its sources, its README and its license, and nothing else", async () => {
    const files = (await check("tar", ["-tzf", tarballs[name]])).trim().split("\n").toSorted();
    const built = files.filter((file) => /^package\/dist\/.*\.(js|d\.ts)$/.test(file));
    expect(built.filter((file) => !files.includes(`${file}.map`))).toEqual([]);
    const sources = built.map((file) => file.replace("/dist/", "/src/").replace(/(\.d\.ts|\.js)$/, ".ts"));
    expect(sources.filter((file) => !files.includes(file))).toEqual([]);
    const known = new Set([...built, ...built.map((file) => `${file}.map`), ...sources]);
    expect(files.filter((file) => !known.has(file))).toEqual(["package/LICENSE", "package/README.md", "package/package.json"]);
  });

  test("publishes every entry point, and names no file of the workspace", async () => {
    const packed = await check("tar", ["-xzOf", tarballs[name], "package/package.json"]);
    expect(packed).not.toMatch(/workspace:/);
    const entries = Object.keys(manifest.exports ?? {}).filter((entry) => !NOT_PUBLISHED.includes(join(manifest.name, entry)));
    const { exports, bin } = JSON.parse(packed);
    expect(Object.keys(exports)).toEqual(entries);
    expect(JSON.stringify({ exports, bin })).not.toMatch(/\/src\//);
  });

  test("publint has nothing to say", async () => {
    const data = new Uint8Array(await readFile(tarballs[name])).buffer;
    const { messages, pkg } = await publint({ pack: { tarball: data }, strict: true });
    expect(messages.map((message) => formatMessage(message, pkg, { color: false }))).toEqual([]);
  });

  test("its types resolve for ESM in Node and in bundlers", async () => {
    const analysis = await checkPackage(createPackageFromTarballData(new Uint8Array(await readFile(tarballs[name]))));
    if (!analysis.types) throw new Error(`${manifest.name} has no types`);
    // These packages are ESM alone: resolution by CommonJS and by tools older than `exports` is not their aim.
    const problems = analysis.problems.filter(
      (problem) => !("resolutionKind" in problem && (problem.resolutionKind === "node10" || problem.resolutionKind === "node16-cjs")),
    );
    expect(problems).toEqual([]);
  });
});

describe.each([
  { named: ["tensor", "ops", "kernels-cpu"], brings: ["kernels-cpu", "ops", "tensor"], example: "ops", main: opsExample, device: "cpu" },
  { named: ["tensor", "ops", "kernels-gpu"], brings: ["kernels-gpu", "ops", "tensor"], example: "ops", main: opsExample, device: "gpu" },
  {
    named: ["tensor", "ops", "kernels-cpu", "layers"],
    brings: ["kernels-cpu", "layers", "ops", "tensor"],
    example: "layers",
    main: layersExample,
    device: "cpu",
  },
  { named: ["tensor", "ops", "analysis"], brings: ["analysis", "ops", "tensor"], example: "analysis", main: analysisExample, device: null },
] as const)("a project with $named alone", ({ named, brings, example, main, device }) => {
  let project: Project;
  let expected: readonly number[];
  const close = (numbers: readonly number[]) => {
    expect(numbers.length).toBe(expected.length);
    numbers.forEach((number, i) => expect(Math.abs(number - expected[i])).toBeLessThan(1e-4 * (1 + Math.abs(expected[i]))));
  };

  beforeAll(async () => {
    project = await createProject(named, tarballs);
    await addExample(project, example, device);
    expected = await main(createHost());
  }, 300_000);
  afterAll(() => project[Symbol.asyncDispose]());

  test("has got these packages and no other", async () => {
    const lock = await readFile(join(project.folder, "pnpm-lock.yaml"), "utf8");
    expect([...new Set([...lock.matchAll(/^ {2}'(.+?)@file:/gm)].map((match) => match[1]))].toSorted()).toEqual(
      brings.map((other) => `@conv/${other}`),
    );
    expect(lock.match(/resolution:/g)).toHaveLength(brings.length);
  });

  if (device === "gpu")
    test("says in Node, in one line, which package is missing", async () => {
      await expect(runInNode(project, process.execPath)).rejects.toThrow(
        /UnsupportedError: gpu: in Node WebGPU comes with the package webgpu, which is not installed: npm install webgpu\n/,
      );
    });
  else
    test("runs in this Node, and in that of the machine", { timeout: 60_000 }, async () => {
      close(await runInNode(project, process.execPath));
      close(await runInNode(project, process.env.npm_node_execpath ?? "node"));
    });

  test("runs in a browser, bundled by Vite, with and without shared memory", { timeout: 120_000 }, async () => {
    const numbers = await runInBrowser(project, browser);
    close(numbers.isolated);
    close(numbers.plain);
    close(numbers.developed);
  });
});

describe("all packages", () => {
  const kB = (bytes: number) => `${(bytes / 1000).toFixed(1)} kB`;
  let project: Project;

  beforeAll(async () => {
    project = await createProject(
      published.map(({ name }) => name),
      tarballs,
    );
  }, 300_000);
  afterAll(() => project[Symbol.asyncDispose]());

  test("the command runs from its tarball", async () => {
    const summary = await check(join(project.folder, "node_modules", ".bin", "conv"), ["summary", "lenet5", "--format", "json"], {
      cwd: project.folder,
    });
    expect(JSON.parse(summary).totals.parameters).toBe(61_706);
  });

  test.each([
    { entry: "@conv/kernels-cpu/inference", most: 70 },
    { entry: "@conv/kernels-cpu", most: 76 },
  ])("one convolution layer with all that runs it, by createCpu of $entry, takes at most $most kB", async ({ entry, most }) => {
    const source = `
      export { jit, tensor } from "@conv/tensor";
      export { add, conv, relu, reshape } from "@conv/ops";
      export { createCpu } from "${entry}";
      export { conv2d } from "@conv/layers";`;
    const size = await bundledSize(source, project.folder);
    console.log(`one convolution layer with all that runs it, by createCpu of ${entry}: ${kB(size)}`);
    expect(size).toBeLessThanOrEqual(1000 * most);
  });

  test("all packages together take at most 182 kB", { timeout: 60_000 }, async () => {
    const names = published.map(({ manifest }) => manifest.name);
    const rows = await Promise.all(
      published.map(async ({ manifest }) => {
        const external = [...names, ...Object.keys(manifest.dependencies ?? {})].filter((other) => other !== manifest.name);
        const entries = Object.keys(manifest.publishConfig?.exports ?? {}).map((entry) => join(manifest.name, entry));
        const sizes = await Promise.all(
          entries.map(async (entry) => ({
            "entry point": entry,
            alone: kB(await bundledSize(`export * from "${entry}";`, project.folder, external)),
            "with its imports": manifest.name === "@conv/cli" ? "" : kB(await bundledSize(`export * from "${entry}";`, project.folder)),
          })),
        );
        const programs = Object.values(manifest.publishConfig?.bin ?? {}).map((file) => `./node_modules/${join(manifest.name, file)}`);
        const all = [...entries, ...programs].map((entry, i) => `export * as e${i} from "${entry}";`).join("\n");
        return { sizes, total: await bundledSize(all, project.folder, external) };
      }),
    );
    const total = rows.reduce((sum, row) => sum + row.total, 0);
    console.log("minified and gzipped:");
    console.table([...rows.flatMap((row) => row.sizes), { "entry point": "all packages together", alone: kB(total) }]);
    expect(total).toBeLessThanOrEqual(182_000);
  });
});
