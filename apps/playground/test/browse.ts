// Pages in the browser that all test files share, or in one of its own; they must stay without errors.

import { launchBrowser } from "@conv/testkit/browser";
import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, inject } from "vitest";

export interface Opened {
  /** Opens an address of the playground in a context of its own. */
  open(hash: string, options?: BrowserContextOptions & { isolated?: boolean }): Promise<Page>;
}

/** Reaches the browser; `own` starts one for this file, which may harm it. After each test all its pages are closed, and none may have reported an error. */
export function browse({ own = false } = {}): Opened {
  let browser: Browser;
  const errors: string[] = [];
  beforeAll(async () => {
    browser = own ? await launchBrowser() : await chromium.connect(inject("browser"));
  });
  afterEach(async () => {
    await Promise.all(browser.contexts().map((context) => context.close()));
    expect(errors.splice(0)).toEqual([]);
  });
  afterAll(() => browser.close());
  return {
    async open(hash, { isolated = true, ...options } = {}) {
      const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: "en-US", reducedMotion: "reduce", ...options });
      context.setDefaultTimeout(90_000); // the machine may have other work
      const page = await context.newPage();
      page.on("pageerror", (error) => errors.push(error.message));
      page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
      await page.goto(inject(isolated ? "isolated" : "plain") + hash);
      return page;
    },
  };
}
