// The packages as they would be published: complete, typed, small, resolvable by every ESM tool,
// and usable one at a time.

import { globSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { createHost } from "@conv/tensor";
import { launchBrowser } from "@conv/testkit/browser";
import type { Browser } from "playwright-core";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { main as analysisExample } from "../examples/analysis.ts";
import { main as layersExample } from "../examples/layers.ts";
import { main as opsExample } from "../examples/ops.ts";
import { compilers, complaints, type Complaints } from "../src/compilers.ts";
import { documents, examplesOf } from "../src/documents.ts";
import { pack } from "../src/pack.ts";
import {
  addExample,
  createProjects,
  installed,
  runInBrowser,
  runInNode,
  type Numbers,
  type Projects,
} from "../src/project.ts";
import { bundledSize } from "../src/size.ts";
import { check, published, root } from "../src/workspace.ts";

/** Entry points that only the tests and benchmarks of this repository use. */
const NOT_PUBLISHED = ["@conv/ops/cases", "@conv/kernels-gpu/tuning"];

/** Projects with only some of the packages, each with an example. */
const small = [
  {
    project: "on-cpu",
    named: ["tensor", "ops", "compiler", "kernels-cpu"],
    brings: ["compiler", "kernels-cpu", "ops", "tensor"],
    example: "ops",
    device: "cpu",
  },
  {
    project: "on-gpu",
    named: ["tensor", "ops", "compiler", "kernels-gpu"],
    brings: ["compiler", "kernels-gpu", "ops", "tensor"],
    example: "ops",
    device: "gpu",
  },
  {
    project: "layered",
    named: ["tensor", "ops", "compiler", "kernels-cpu", "layers"],
    brings: ["compiler", "kernels-cpu", "layers", "ops", "tensor"],
    example: "layers",
    device: "cpu",
  },
  {
    project: "analyzed",
    named: ["tensor", "ops", "compiler", "analysis"],
    brings: ["analysis", "compiler", "ops", "tensor"],
    example: "analysis",
    device: null,
  },
] as const;
const inNode = small.filter(({ device }) => device !== "gpu").map(({ project }) => project);

let tarballs: Readonly<Record<string, string>>;
let projects: Projects;
/** The project with all packages. */
let whole: string;
let browser: Browser;

beforeAll(async () => {
  tarballs = await pack();
  const node = { "@types/node": `file:${join(root, "node_modules", "@types", "node")}` };
  projects = await createProjects(
    {
      ...Object.fromEntries(small.map(({ project, named }) => [project, { named }])),
      whole: { named: Object.keys(tarballs), others: node },
    },
    tarballs,
  );
  whole = join(projects.folder, "whole");
  for (const { project, example, device } of small)
    await addExample(join(projects.folder, project), example, device);
  browser = await launchBrowser();
}, 300_000);
afterAll(async () => {
  await browser?.close();
  await projects?.[Symbol.asyncDispose]();
});

describe.each(published)("$name", ({ name, manifest }) => {
  test("carries its build with maps, its sources, its README and its license, and nothing else", async () => {
    const files = (await check("tar", ["-tzf", tarballs[name]])).trim().split("\n").toSorted();
    const built = files.filter((file) => /^package\/dist\/.*\.(js|d\.ts)$/.test(file));
    expect(built.filter((file) => !files.includes(`${file}.map`))).toEqual([]);
    const sources = built.map((file) =>
      file.replace("/dist/", "/src/").replace(/(\.d\.ts|\.js)$/, ".ts"),
    );
    expect(sources.filter((file) => !files.includes(file))).toEqual([]);
    const known = new Set([...built, ...built.map((file) => `${file}.map`), ...sources]);
    expect(files.filter((file) => !known.has(file))).toEqual([
      "package/LICENSE",
      "package/README.md",
      "package/package.json",
    ]);
  });

  test("publishes every entry point, and names no file of the workspace", async () => {
    const packed = await check("tar", ["-xzOf", tarballs[name], "package/package.json"]);
    expect(packed).not.toMatch(/workspace:/);
    const entries = Object.keys(manifest.exports ?? {}).filter(
      (entry) => !NOT_PUBLISHED.includes(join(manifest.name, entry)),
    );
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
    const analysis = await checkPackage(
      createPackageFromTarballData(new Uint8Array(await readFile(tarballs[name]))),
    );
    if (!analysis.types) throw new Error(`${manifest.name} has no types`);
    // The packages are ESM only: CommonJS, and tools older than `exports`, are not supported.
    const problems = analysis.problems.filter(
      (problem) =>
        !(
          "resolutionKind" in problem &&
          (problem.resolutionKind === "node10" || problem.resolutionKind === "node16-cjs")
        ),
    );
    expect(problems).toEqual([]);
  });
});

describe("projects with some packages alone", () => {
  test.each(small)("$named bring $brings", ({ project, brings }) => {
    expect(installed(join(projects.folder, project))).toEqual(
      brings.map((name) => `@conv/${name}`),
    );
  });

  test("their examples compile, without the types of Node", { timeout: 60_000 }, () => {
    const files = small.map(({ project }) => join(projects.folder, project, "example.ts"));
    expect(
      complaints(compilers[1][1], projects.folder, files, {
        module: "nodenext",
        types: [],
        noUncheckedIndexedAccess: false,
      }),
    ).toEqual({
      files: "",
      declarations: "",
    });
  });

  describe("give the numbers of the host", { timeout: 120_000 }, () => {
    const expected: Record<string, readonly number[]> = {};
    const compare = (numbers: Numbers, names: readonly string[]) => {
      expect(Object.keys(numbers)).toEqual(names);
      for (const name of names) {
        expect(numbers[name].length, name).toBe(expected[name].length);
        numbers[name].forEach((number, i) =>
          expect(Math.abs(number - expected[name][i]), name).toBeLessThan(
            1e-4 * (1 + Math.abs(expected[name][i])),
          ),
        );
      }
    };
    beforeAll(async () => {
      const [ops, layers, analysis] = [
        await opsExample(createHost()),
        await layersExample(createHost()),
        await analysisExample(),
      ];
      Object.assign(expected, {
        "on-cpu": ops,
        "on-gpu": ops,
        layered: layers,
        analyzed: analysis,
      });
    }, 60_000);

    test("in this Node, and in that of the machine", async () => {
      compare(await runInNode(projects, inNode, process.execPath), inNode);
      compare(await runInNode(projects, inNode, process.env.npm_node_execpath ?? "node"), inNode);
    });

    test("in a browser, bundled by Vite, with and without shared memory", async () => {
      const names = small.map(({ project }) => project);
      const { isolated, plain, developed } = await runInBrowser(projects, names, browser);
      for (const numbers of [isolated, plain, developed]) compare(numbers, names);
    });
  });

  test("kernels-gpu says in Node, in one line, which package is missing", async () => {
    await expect(runInNode(projects, ["on-gpu"], process.execPath)).rejects.toThrow(
      /UnsupportedError: gpu: the package webgpu, which provides WebGPU in Node, is not installed: npm install webgpu\n/,
    );
  });
});

describe("all packages", () => {
  const kB = (bytes: number) => `${(bytes / 1000).toFixed(1)} kB`;
  test("the command runs from its tarball", async () => {
    const summary = await check(
      join(whole, "node_modules", ".bin", "conv"),
      ["summary", "lenet5", "--format", "json"],
      {
        cwd: whole,
      },
    );
    expect(JSON.parse(summary).totals.parameters).toBe(61_706);
  });

  const layer = `
    export { jit, tensor } from "@conv/tensor";
    export { add, conv, relu, reshape } from "@conv/ops";
    export { conv2d } from "@conv/layers";`;
  test.each([
    {
      what: "relu with all that runs it",
      most: 35,
      source: `
        export { jit, tensor } from "@conv/tensor";
        export { relu } from "@conv/ops";
        export { createCpu, fused } from "@conv/kernels-cpu/core";`,
    },
    {
      what: "one convolution layer with all that runs it",
      most: 60,
      source: `${layer} export { createCpu, convolution } from "@conv/kernels-cpu/core";`,
    },
    {
      what: "one convolution layer with the kernels of all forward passes",
      most: 78,
      source: `${layer} export { createCpu, inference } from "@conv/kernels-cpu/core";`,
    },
    {
      what: "one convolution layer with all kernels",
      most: 86,
      source: `${layer} export { createCpu } from "@conv/kernels-cpu";`,
    },
  ])("$what takes at most $most kB", async ({ what, most, source }) => {
    const size = await bundledSize(source, whole);
    console.log(`${what}: ${kB(size)}`);
    expect(size).toBeLessThanOrEqual(1000 * most);
  });

  test("all packages together take at most 201 kB", { timeout: 60_000 }, async () => {
    const names = published.map(({ manifest }) => manifest.name);
    const rows = await Promise.all(
      published.map(async ({ manifest }) => {
        const external = [...names, ...Object.keys(manifest.dependencies ?? {})].filter(
          (other) => other !== manifest.name,
        );
        const entries = Object.keys(manifest.publishConfig?.exports ?? {}).map((entry) =>
          join(manifest.name, entry),
        );
        const sizes = await Promise.all(
          entries.map(async (entry) => ({
            "entry point": entry,
            alone: kB(await bundledSize(`export * from "${entry}";`, whole, external)),
            "with its imports":
              manifest.name === "@conv/cli"
                ? ""
                : kB(await bundledSize(`export * from "${entry}";`, whole)),
          })),
        );
        const programs = Object.values(manifest.publishConfig?.bin ?? {}).map(
          (file) => `./node_modules/${join(manifest.name, file)}`,
        );
        const all = [...entries, ...programs]
          .map((entry, i) => `export * as e${i} from "${entry}";`)
          .join("\n");
        return { sizes, total: await bundledSize(all, whole, external) };
      }),
    );
    const total = rows.reduce((sum, row) => sum + row.total, 0);
    console.log("minified and gzipped:");
    console.table([
      ...rows.flatMap((row) => row.sizes),
      { "entry point": "all packages together", alone: kB(total) },
    ]);
    expect(total).toBeLessThanOrEqual(201_000);
  });
});

describe("types", () => {
  let files: readonly string[];
  beforeAll(async () => {
    const examples = await Promise.all(
      documents.map(async (document) => {
        const text = await readFile(join(root, document), "utf8");
        return examplesOf(text).map(({ line, code }) => ({
          file: `${document.replaceAll(/[/.]/g, "-")}-${line}.ts`,
          code,
        }));
      }),
    );
    // Every entry point, whether or not an example uses it.
    const entries = published.flatMap(({ manifest }) =>
      Object.keys(manifest.publishConfig?.exports ?? {}).map((entry) => join(manifest.name, entry)),
    );
    const every = {
      file: "entries.ts",
      code: entries.map((entry, i) => `export * as e${i} from "${entry}";\n`).join(""),
    };
    const sources = [every, ...examples.flat()];
    await Promise.all(
      sources.map(({ file, code }) => writeFile(join(whole, file), `${code}\nexport {};\n`)),
    );
    files = sources.map(({ file }) => join(whole, file));
  });

  test("every option may be undefined, for projects with exactOptionalPropertyTypes", async () => {
    const declared = await Promise.all(
      published
        .filter(({ name }) => name !== "cli")
        .map(async ({ name, folder }) => {
          const declarations = globSync("dist/**/*.d.ts", { cwd: folder });
          const texts = await Promise.all(
            declarations.map(
              async (file) => [file, await readFile(join(folder, file), "utf8")] as const,
            ),
          );
          return texts.flatMap(([file, text]) =>
            [...text.matchAll(/^\s+(?:readonly )?\w+\?: (?!.*undefined).*;$/gm)].map(
              ([line]) => `${name}/${file}: ${line.trim()}`,
            ),
          );
        }),
    );
    expect(declared.flat()).toEqual([]);
  });

  describe.each(compilers)("by TypeScript %s", (version, ts) => {
    test("is the one it is said to be", () => {
      expect(ts.version.startsWith(version)).toBe(true);
    });

    describe.each([{ module: "nodenext" }, { module: "esnext", moduleResolution: "bundler" }])(
      "%j",
      (resolution) => {
        let found: Complaints;
        beforeAll(
          () => void (found = complaints(ts, whole, files, { ...resolution, types: ["node"] })),
          120_000,
        );
        test("every example and every entry point, with skipLibCheck", () =>
          expect(found.files).toBe(""));
        test("every declaration too, without", () => expect(found.declarations).toBe(""));
      },
    );
  });
});
