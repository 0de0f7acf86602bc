// The browser that other tests rely on: it starts, has what the back ends need, and is isolated
// only where the server says so.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launchBrowser, serve } from "../src/browser.ts";

let folder: string;
let browser: Browser;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "conv-browser-"));
  await writeFile(
    join(folder, "index.html"),
    "<!doctype html><title>served</title><span>text</span>",
  );
  browser = await launchBrowser();
}, 120_000);

afterAll(async () => {
  await browser?.close();
  await rm(folder, { recursive: true, force: true });
});

test.each([true, false])(
  "a page served with isolated = %s is isolated just then",
  async (isolated) => {
    await using server = await serve(folder, { isolated });
    const page = await browser.newPage();
    await page.goto(server.url);
    expect(await page.title()).toBe("served");
    expect(
      await page.evaluate(() => ({
        isolated: crossOriginIsolated,
        shared: typeof SharedArrayBuffer,
      })),
    ).toEqual({
      isolated,
      shared: isolated ? "function" : "undefined",
    });
    expect(await page.evaluate(() => document.querySelector("span")?.offsetWidth)).toBeGreaterThan(
      0,
    ); // there are fonts
    expect((await page.goto(`${server.url}missing`))?.status()).toBe(404);
    await page.close();
  },
);
