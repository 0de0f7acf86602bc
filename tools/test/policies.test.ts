// The CPU back end under content security policies, in a real browser: createCpu reports what
// cannot run, and the reason names the policy.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { launchBrowser, serve } from "@conv/testkit/browser";
import type { Browser } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { root } from "../src/workspace.ts";

const PAGE = `
import { createCpu } from "@conv/kernels-cpu";
import { createBest } from "@conv/layers";
import { relu } from "@conv/ops";
import { createHost, tensor } from "@conv/tensor";
globalThis.tried = async (options, own) => {
  const worker = own ? () => new Worker("worker.js", { type: "module" }) : undefined;
  try {
    using cpu = await createCpu({ ...options, worker });
    const [value] = await relu(tensor(cpu, [3], [1])).read();
    return [cpu.caps.threads, cpu.singleThreadReason, value];
  } catch (error) {
    return [error.name, error.message];
  }
};
globalThis.best = async () => (await createBest({ cpu: () => createCpu(), host: createHost })).chosen;
`;

let folder: string;
let browser: Browser;
beforeAll(async () => {
  folder = await mkdtemp(join(root, "tools", "node_modules", ".cache-policies-"));
  await writeFile(join(folder, "page.js"), PAGE);
  await writeFile(join(folder, "worker.js"), 'import "@conv/kernels-cpu/worker";');
  await writeFile(
    join(folder, "index.html"),
    '<!doctype html><script type="module" src="page.js"></script>',
  );
  for (const name of ["page", "worker"])
    await build({
      root: folder,
      configFile: false,
      logLevel: "error",
      build: {
        outDir: "out",
        emptyOutDir: false,
        modulePreload: false,
        rolldownOptions: {
          input: join(folder, `${name}.js`),
          output: { entryFileNames: "[name].js" },
        },
      },
    });
  await writeFile(
    join(folder, "out", "index.html"),
    '<!doctype html><script type="module" src="page.js"></script>',
  );
  browser = await launchBrowser();
}, 120_000);
afterAll(async () => {
  await browser.close();
  await rm(folder, { recursive: true });
});

/** The value of an expression on an isolated page with this policy. */
async function under(policy: string, expression: string): Promise<unknown> {
  await using server = await serve(join(folder, "out"), {
    isolated: true,
    headers: { "Content-Security-Policy": policy },
  });
  const page = await browser.newPage();
  try {
    await page.goto(server.url);
    return await page.evaluate(expression);
  } finally {
    await page.close();
  }
}

test(
  "WebAssembly that may not be compiled is UnsupportedError, and the next back end is taken",
  { timeout: 60_000 },
  async () => {
    const [name, message] = (await under("script-src 'self'", "tried({ threads: 2 })")) as string[];
    expect(name).toBe("UnsupportedError");
    expect(message).toMatch(
      /^cpu: WebAssembly may not be compiled here \(.+\); a content security policy must have 'wasm-unsafe-eval' in script-src$/,
    );
    expect(await under("script-src 'self'", "best()")).toBe("host");
  },
);

const OWN_WORKERS = "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'";
const REASON = "the content security policy (worker-src) forbids it; see the option worker";

test(
  "workers from text that are forbidden are the reason for one thread",
  { timeout: 60_000 },
  async () => {
    expect(await under(OWN_WORKERS, "tried({ threads: 2 })")).toEqual([1, REASON, 3]);
    expect(await under(OWN_WORKERS, "tried({ offThread: true, threads: 2 })")).toEqual([
      "UnsupportedError",
      `cpu: offThread needs a worker: ${REASON}`,
    ]);
  },
);

test("workers that the page supplies keep threads", { timeout: 60_000 }, async () => {
  expect(await under(OWN_WORKERS, "tried({ threads: 2 }, true)")).toEqual([2, null, 3]);
  expect(await under(OWN_WORKERS, "tried({ offThread: true, threads: 2 }, true)")).toEqual([
    2,
    null,
    3,
  ]);
});
