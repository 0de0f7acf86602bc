// The accessibility rules of axe, and that nothing hangs over the edge of the window.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { AxeResults, RunOptions } from "axe-core";
import type { Page } from "playwright-core";

declare const axe: { run(options: RunOptions): Promise<AxeResults> };

const source = await readFile(
  createRequire(import.meta.url).resolve("axe-core/axe.min.js"),
  "utf8",
);

/** What a page breaks, in words; [] where it breaks nothing. */
export async function broken(page: Page): Promise<string[]> {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(source);
  return page.evaluate(async () => {
    // The colors of a theme have changed once the page is drawn again.
    await new Promise<void>((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    const { violations } = await axe.run({ resultTypes: ["violations"] });
    const rules = violations.map(
      (v) =>
        `${v.id}, ${v.nodes.length} times, first ${v.nodes[0].html.slice(0, 160)} ${v.nodes[0].failureSummary}`,
    );
    const { scrollWidth } = document.documentElement;
    return scrollWidth > innerWidth
      ? [...rules, `the page is ${scrollWidth} wide in a window of ${innerWidth}`]
      : rules;
  });
}
