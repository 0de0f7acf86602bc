// For everyone: accessibility rules, both languages, both themes, phones, and no shared memory. The
// page on the GPU: device.test.ts.

import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { browse, reopen } from "./browse.ts";
import { broken } from "./rules.ts";

const { open, show } = browse();

const settled = (page: Page) =>
  page.locator("li[data-stage=output], [data-side=narrow]").first().waitFor();

test("with shared memory it says nothing of a single thread", async () => {
  const page = await show("#/digits");
  await settled(page);
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
  expect(await page.getByTestId("one-thread").count()).toBe(0);
});

// Each page in both looks; what is but a page in another state in one of them.
test.each([
  ["digits", "digits?layer=c3&at=412", "light", "en", 1440],
  ["digits", "digits?layer=c3&at=412", "dark", "zh", 360],
  ["digits, a drawing", "digits?draw=AA&model=lenet5_1998&layer=output&at=3", "light", "en", 1440],
  ["arithmetic, no geometry", "arithmetic?groups=3", "light", "en", 1440],
  ["arithmetic", "arithmetic?groups=2&ic=2&oc=2", "light", "en", 1440],
  ["arithmetic", "arithmetic?groups=2&ic=2&oc=2", "dark", "zh", 360],
] as const)(
  "%s (%s, %s, %s, %i wide) breaks no rule of axe",
  async (_, address, theme, lang, width) => {
    const page = await show(`#/${address}&theme=${theme}&lang=${lang}`);
    await page.setViewportSize({ width, height: 800 });
    if (address.endsWith("groups=3")) await page.getByRole("alert").waitFor();
    else await settled(page);
    if (address.includes("at=")) await page.getByTestId("inspector").waitFor();
    expect(await broken(page)).toEqual([]);
  },
);

test("the state is in the address: a shared link shows the same", async () => {
  const page = await show("#/arithmetic?transposed=1&input=4&kernel=2,3&step=7&lang=zh");
  const seen = async () => {
    await page.getByText("第 8 步，共 16 步").waitFor();
    expect(await page.getByRole("button", { name: "转置卷积" }).getAttribute("aria-pressed")).toBe(
      "true",
    );
    return page.getByTestId("equation").textContent();
  };
  const equation = await seen();
  await reopen(page);
  expect(await seen()).toBe(equation);
});

// The page of a browser with another language and theme, from a server that does not isolate it.
test("language and theme follow the browser, can be chosen, and stay over pages; without shared memory it learns on one thread", async () => {
  const page = await open("", { locale: "zh-CN", colorScheme: "dark", isolated: false });
  await page.getByRole("heading", { level: 1 }).waitFor();
  expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe("手写数字");
  expect(
    await page.evaluate(() => [
      document.documentElement.lang,
      document.documentElement.dataset.theme,
      document.title,
    ]),
  ).toEqual(["zh-Hans", "dark", "手写数字 · Conv"]);
  await page.getByRole("button", { name: "EN" }).click();
  await page.getByRole("button", { name: "Use the light theme" }).click();
  expect(page.url()).toMatch(/#\/digits\?lang=en&theme=light$/);
  await page.getByRole("link", { name: "Convolution arithmetic" }).click();
  await settled(page);
  expect(page.url()).toMatch(/#\/arithmetic\?lang=en&theme=light$/);
  expect(
    await page.getByRole("heading", { level: 1 }).evaluate((h) => h === document.activeElement),
  ).toBe(true);
  await page.goBack();
  await page.getByRole("heading", { name: "Digits", exact: true }).waitFor();
  await settled(page);
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(false);
  await page.getByTestId("one-thread").waitFor();
  await page.getByRole("button", { name: /^Train 5 more/ }).click();
  await page.waitForFunction(
    () =>
      Number(document.querySelector("[data-testid=images]")?.textContent?.replace(/\D/g, "")) >=
      640,
    undefined,
    {
      polling: 50,
    },
  );
});
