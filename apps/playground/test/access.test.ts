// For everyone: accessibility rules, both languages, both themes, phones, and no shared memory.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { AxeResults } from "axe-core";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { browse } from "./browse.ts";

declare const axe: { run(): Promise<AxeResults> };

const { open } = browse();
const source = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const settled = (page: Page) => page.locator("li[data-stage=output], [data-side=narrow]").first().waitFor();

const PAGES = {
  digits: "layer=c3&at=412",
  "digits, on the GPU": "device=gpu",
  "digits, a drawing": "draw=AA&model=lenet5_1998&layer=output&at=3",
  arithmetic: "groups=2&ic=2&oc=2",
  "arithmetic, no geometry": "groups=3",
};

test.each(
  Object.entries(PAGES).flatMap(([name, params], i) => {
    const looks = [[name, params, "light", "en", 1440] as const, [name, params, "dark", "zh", 360] as const];
    // Each page in both looks; what is but a page in another state in one of them.
    return name.includes(",") ? [looks[i % 2]] : looks;
  }),
)("%s (%s, %s, %s, %i wide) breaks no rule of axe", async (name, params, theme, lang, width) => {
  const page = await open(`#/${name.split(",")[0]}?${params}&theme=${theme}&lang=${lang}`, { viewport: { width, height: 800 } });
  if (params === "groups=3") await page.getByRole("alert").waitFor();
  else await settled(page);
  if (params.includes("at=")) await page.getByTestId("inspector").waitFor();
  await page.evaluate(source);
  const { violations } = await page.evaluate(() => axe.run());
  expect(
    violations.map((v) => ({ rule: v.id, count: v.nodes.length, first: `${v.nodes[0].html.slice(0, 160)} ${v.nodes[0].failureSummary}` })),
  ).toEqual([]);
  // Nothing hangs over the edge of the window.
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
});

test("language and theme follow the browser, and can be chosen; both stay in the address over pages", async () => {
  const page = await open("", { locale: "zh-CN", colorScheme: "dark" });
  await settled(page);
  expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe("手写数字");
  expect(await page.evaluate(() => [document.documentElement.lang, document.documentElement.dataset.theme, document.title])).toEqual([
    "zh-Hans",
    "dark",
    "手写数字 · Conv",
  ]);
  await page.getByRole("button", { name: "EN" }).click();
  await page.getByRole("button", { name: "Use the light theme" }).click();
  expect(page.url()).toMatch(/#\/digits\?lang=en&theme=light$/);
  await page.getByRole("link", { name: "Convolution arithmetic" }).click();
  await settled(page);
  expect(page.url()).toMatch(/#\/arithmetic\?lang=en&theme=light$/);
  expect(await page.getByRole("heading", { level: 1 }).evaluate((h) => h === document.activeElement)).toBe(true);
  await page.goBack();
  await page.getByRole("heading", { name: "Digits", exact: true }).waitFor();
});

test("the state is in the address: a shared link shows the same", async () => {
  const page = await open("#/arithmetic?transposed=1&input=4&kernel=2,3&step=7&lang=zh");
  await settled(page);
  expect(await page.getByText("第 8 步，共 16 步").count()).toBe(1);
  expect(await page.getByRole("button", { name: "转置卷积" }).getAttribute("aria-pressed")).toBe("true");
  const shared = await open(page.url().slice(page.url().indexOf("#")));
  await settled(shared);
  expect(await shared.getByTestId("equation").textContent()).toBe(await page.getByTestId("equation").textContent());
});

test("without shared memory it runs on one thread, says so, and learns", async () => {
  const page = await open("#/digits", { isolated: false });
  await settled(page);
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(false);
  await page.getByTestId("one-thread").waitFor();
  await page.getByRole("button", { name: /^Train 5 more/ }).click();
  await page.waitForFunction(() => Number(document.querySelector("[data-testid=images]")?.textContent?.replace(/\D/g, "")) >= 640);
});

test("with shared memory it says nothing of the kind", async () => {
  const page = await open("#/digits");
  await settled(page);
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
  expect(await page.getByTestId("one-thread").count()).toBe(0);
});
