// Pages in the browser that all test files share, or in one of its own; they must stay without
// errors.

import { launchBrowser } from "@conv/testkit/browser";
import {
  chromium,
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  type Page,
} from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, inject } from "vitest";

export interface Opened {
  /** Opens an address of the playground in a context of its own, which is closed after the test. */
  open(hash: string, options?: BrowserContextOptions & { isolated?: boolean }): Promise<Page>;
  /**
   * Goes to an address in the page that all tests of the file share, as a link within the page
   * does: nothing is loaded again. No mouse is over the page then, and nothing has the focus.
   */
  show(hash: string): Promise<Page>;
}

const CONTEXT: BrowserContextOptions = {
  viewport: { width: 1440, height: 900 },
  locale: "en-US",
  reducedMotion: "reduce",
};

/**
 * Reaches the browser; `own` starts one for this file, which may harm it. No page may have reported
 * an error at the end of a test.
 */
export function browse({ own = false } = {}): Opened {
  let browser: Browser;
  let shared: Page | undefined;
  const opened: BrowserContext[] = [];
  const errors: string[] = [];
  beforeAll(async () => {
    browser = own ? await launchBrowser() : await chromium.connect(inject("browser"));
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((context) => context.close()));
    expect(errors.splice(0)).toEqual([]);
  });
  afterAll(async () => {
    await shared?.context().close();
    await browser.close();
  });

  const newPage = async (address: string, options: BrowserContextOptions): Promise<Page> => {
    const context = await browser.newContext({ ...CONTEXT, ...options });
    context.setDefaultTimeout(90_000); // the machine may have other work
    const page = await context.newPage();
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    await page.goto(address);
    return page;
  };
  return {
    async open(hash, { isolated = true, ...options } = {}) {
      const page = await newPage(inject(isolated ? "isolated" : "plain") + hash, options);
      opened.push(page.context());
      return page;
    },
    async show(hash) {
      if (!shared)
        return (shared = await newPage(inject("isolated") + hash, {
          permissions: ["clipboard-read", "clipboard-write"],
        }));
      await shared.setViewportSize(CONTEXT.viewport!);
      await shared.mouse.move(0, 0);
      await shared.evaluate(async (hash) => {
        if (
          document.activeElement instanceof HTMLElement ||
          document.activeElement instanceof SVGElement
        )
          document.activeElement.blur();
        location.hash = hash;
        // The event of the new address, and the rendering after it, come first.
        await new Promise<void>((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
      }, hash);
      return shared;
    },
  };
}

/**
 * Loads the address of a page again, as its link does elsewhere: nothing is stored that could take
 * part.
 */
export async function reopen(page: Page): Promise<void> {
  expect(
    await page.evaluate(() => [localStorage.length, sessionStorage.length, history.state]),
  ).toEqual([0, 0, null]);
  await page.reload();
}
