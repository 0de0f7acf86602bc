// The network on the GPU: what runs is named, it learns and is taken apart there, moves while it
// learns, and outlives the device.

import { browserOptions } from "@conv/testkit/browser";
import { chromium, type Page } from "playwright-core";
import { expect, inject, test } from "vitest";
import { browse } from "./browse.ts";
import { broken } from "./rules.ts";

const { show } = browse({ own: true }); // some tests crash its GPU process

// All tests share one page, so that shaders are compiled once: what a test does to the network, the
// next one meets.

const ready = async (page: Page): Promise<Page> => {
  await page.locator("li[data-stage=output]").waitFor();
  return page;
};
const says = (page: Page, id: string, text: string | RegExp) =>
  page.getByTestId(id).filter({ hasText: text }).waitFor({ timeout: 60_000 });
const chances = (page: Page) => page.getByTestId("chances").textContent();
const images = async (page: Page) =>
  Number((await page.getByTestId("images").textContent())?.replaceAll(",", ""));
/** Waits until a figure of the training is that large. */
const until = (page: Page, id: string, least: number) =>
  page.waitForFunction(
    ([id, least]) =>
      Number.parseFloat(
        document.querySelector(`[data-testid=${id}]`)?.textContent?.replaceAll(",", "") ?? "",
      ) >= Number(least),
    [id, least] as const,
    { timeout: 90_000, polling: 50 },
  );
const choose = (page: Page, device: "CPU" | "GPU") =>
  page.getByRole("button", { name: device, exact: true }).click();

test("an imitated GPU is not the first choice, and says so; asked for, it sees what the CPU sees, to the last product", async () => {
  const page = await ready(await show("#/digits"));
  await says(page, "device", /^\d+ threads?$/);
  await says(
    page,
    "not-gpu",
    "Running on the CPU: this browser only emulates a GPU in software, which is slower.",
  );
  const seen = await chances(page);
  await choose(page, "GPU");
  await says(page, "device", /swiftshader/i);
  await says(page, "software", "The browser emulates this GPU in software.");
  expect(page.url()).toContain("device=gpu");
  expect(await chances(page)).toBe(seen);
  for (const [stage, index] of [
    ["c3", 733] as const,
    ["s4", 211] as const,
    ["output", 3] as const,
    ["softmax", 3] as const,
  ]) {
    await page.evaluate(
      (hash) => (location.hash = hash),
      `#/digits?device=gpu&layer=${stage}&at=${index}`,
    );
    const inspector = page.locator(
      `[data-testid=inspector][data-stage="${stage}"][data-index="${index}"]`,
    );
    await inspector.waitFor();
    expect(await inspector.getByTestId("verdict").textContent()).toContain("Matches");
  }
});

test("the page on the GPU, in Chinese, dark and 360 wide, breaks no rule of axe", async () => {
  const page = await show("#/digits?device=gpu&lang=zh&theme=dark");
  await page.setViewportSize({ width: 360, height: 800 });
  await page.getByTestId("software").waitFor();
  expect(await broken(page)).toEqual([]);
});

test("learns on the GPU, tells how far it has compiled, and goes on learning on the CPU", async () => {
  const page = await show("#/digits?device=gpu&lang=zh&weights=random");
  await page.getByRole("button", { name: /^训练（5 轮/ }).click();
  await says(page, "compiling", /^\s*正在为 GPU 编译：\d+ \/ \d+$/);
  await until(page, "images", 256);
  await choose(page, "CPU");
  await says(page, "device", /^\d+ 个线程$/);
  const moved = await images(page);
  expect(moved).toBeGreaterThanOrEqual(256);
  await until(page, "images", moved + 2048);
  await until(page, "accuracy", 60);
});

/** Whether there is something on all pictures of digits. */
const allDrawn = () =>
  [...document.querySelectorAll<HTMLCanvasElement>(".pad canvas, .sample-strip canvas")].every(
    (canvas) =>
      canvas
        .getContext("2d")!
        .getImageData(0, 0, canvas.width, canvas.height)
        .data.some((v) => v > 0),
  );

test("a lost GPU is made again, the second time the CPU takes over, and a training goes on", async () => {
  const page = await show("#/digits?device=cpu");
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: /^Train 5 more epochs/ }).waitFor();
  await choose(page, "GPU");
  await says(page, "device", /swiftshader/i);
  const browser = page.context().browser();
  const crash = async () => (await browser!.newBrowserCDPSession()).send("Browser.crashGpuProcess");
  await crash();
  await says(
    page,
    "notice",
    /^The GPU was lost \(.+\)\. The network now runs on the GPU, with the weights of the last picture\.$/,
  );
  await says(page, "device", /swiftshader/i);
  await page.waitForFunction(allDrawn); // the browser emptied them
  const seen = await chances(page);
  await page
    .getByRole("button", { name: /^Sample of a \d$/ })
    .nth(4)
    .click();
  await page.waitForFunction(
    (text) => document.querySelector("[data-testid=chances]")?.textContent !== text,
    seen,
  );

  const learned = await images(page);
  await page.getByRole("button", { name: "Train 5 more epochs" }).click();
  await page.getByTestId("compiling").waitFor({ timeout: 60_000 });
  await crash();
  await says(
    page,
    "notice",
    /^The GPU was lost \(.+\)\. The network now runs on the CPU, with the weights of the last picture\.$/,
  );
  await until(page, "images", learned + 1024);
});

test("a browser without WebGPU says so to who asks for the GPU, and computes on the CPU", async () => {
  const options = await browserOptions();
  const args = options.args?.filter((flag) => !flag.includes("webgpu"));
  await using browser = await chromium.launch({
    ...options,
    args: [...(args ?? []), "--disable-features=WebGPUService"],
  });
  const page = await browser.newPage();
  await page.goto(`${inject("isolated")}#/digits?lang=en`);
  await ready(page);
  await says(page, "not-gpu", /^Running on the CPU: this browser has .+\.$/);
  await choose(page, "GPU");
  await says(
    page,
    "notice",
    /^The GPU cannot be used: this browser has (no WebGPU|WebGPU, but found no GPU)/,
  );
  await says(page, "device", /^\d+ threads?$/);
});
