// The digits page in a browser: it learns, remembers, explains every value, and survives bad files.

import { readFile } from "node:fs/promises";
import { decodeSafetensors, encodeSafetensors } from "@conv/layers";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { browse } from "./browse.ts";

const { open } = browse();

const ready = async (page: Page): Promise<Page> => {
  await page.locator("li[data-stage=output]").waitFor();
  return page;
};
const number = async (page: Page, id: string): Promise<number> =>
  Number((await page.getByTestId(id).textContent())?.replace(/[^\d.]/g, "") || Number.NaN);
const until = (page: Page, id: string, least: number) =>
  page.waitForFunction(([id, least]) => Number(document.querySelector(`[data-testid=${id}]`)?.textContent?.replace(/[^\d.]/g, "")) >= Number(least), [
    id,
    least,
  ] as const);

/** Chooses value `index` of a stage through the address and returns what the inspector says. */
async function inspect(page: Page, model: string, stage: string, index: number) {
  await page.evaluate((hash) => (location.hash = hash), `#/digits?model=${model}&layer=${stage}&at=${index}`);
  const inspector = page.locator(`[data-testid=inspector][data-stage="${stage}"][data-index="${index}"]`);
  await inspector.waitFor();
  const value = async (id: string) => Number(await inspector.getByTestId(id).getAttribute("data-value"));
  return {
    inspector,
    computed: await value("computed"),
    shown: await value("shown"),
    total: await value("total"),
    verdict: await inspector.getByTestId("verdict").textContent(),
  };
}

test("learns: accuracy rises; pauses, goes on, forgets; weights go to a file and back", async () => {
  const page = await ready(await open("#/digits"));
  expect(await page.getByText("A guess: the weights are still random.").count()).toBe(1);
  await page.getByLabel("Learning rate").fill("4"); // 0.002
  await page.getByRole("button", { name: /^Train/ }).click();
  await until(page, "accuracy", 60);
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: "Train on" }).waitFor();
  const paused = await number(page, "images");
  expect(await number(page, "accuracy")).toBeGreaterThan(50);
  expect(await number(page, "loss")).toBeLessThan(1.5);
  await page.waitForTimeout(300);
  expect(await number(page, "images")).toBe(paused);

  // What was learned, as a file.
  const answer = () => page.getByTestId("chances").textContent();
  const learned = await answer();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save weights" }).click()]);
  expect(download.suggestedFilename()).toBe("lenet5.safetensors");
  const bytes = await readFile(await download.path());
  const { state, metadata } = decodeSafetensors(bytes);
  expect(metadata).toEqual({ model: "lenet5" });
  expect([...state.values()].reduce((sum, { data }) => sum + data.length, 0)).toBe(61_706);

  await page.getByRole("button", { name: "Train on" }).click();
  await until(page, "images", paused + 320);
  await page.getByRole("button", { name: "Reset" }).click();
  await page.getByRole("button", { name: /^Train \(/ }).waitFor();
  expect(await page.getByTestId("images").textContent()).toBe("0");
  expect(await page.getByTestId("accuracy").textContent()).toBe("–");
  expect(await answer()).not.toBe(learned);

  // Files that are none, or of another network, change nothing.
  const untrained = await answer();
  const file = page.locator("input[type=file]");
  const offer = async (buffer: Buffer, message: string) => {
    await file.setInputFiles({ name: "weights.safetensors", mimeType: "application/octet-stream", buffer });
    await page.getByRole("alert").filter({ hasText: message }).waitFor();
  };
  await offer(Buffer.from("no weights"), "This file was not loaded. safetensors: ");
  await offer(bytes.subarray(0, 100), "it is truncated");
  await offer(bytes.subarray(0, 100_000), "of the data, the file has");
  const foreign = new Map([["features.0.weight", { shape: [2], data: new Float32Array(2) }]]);
  await offer(Buffer.from(encodeSafetensors(foreign)), "lenet5: state does not fit: missing c1.weight");
  expect(await answer()).toBe(untrained);

  await file.setInputFiles({ name: "mine.safetensors", mimeType: "application/octet-stream", buffer: bytes });
  await page.getByText("Loaded mine.safetensors.").waitFor();
  await until(page, "accuracy", 50);
  expect(await answer()).toBe(learned);

  // What was learned is still there after a look at the other page.
  await page.getByRole("link", { name: "Convolution arithmetic" }).click();
  await page.goBack();
  await ready(page);
  expect(await answer()).toBe(learned);
});

test.each(["lenet5", "lenet5_1998"])("%s: of every kind of layer, the sum shown is the value shown", async (model) => {
  const page = await ready(await open(`#/digits?model=${model}`));
  for (const [stage, index] of [
    ["c1", 412],
    ["s2", 700],
    ["c3", 733],
    ["s4", 211],
    ["c5", 60],
    ["f6", 41],
    ["output", 3],
  ] as const) {
    const { inspector, computed, shown, total, verdict } = await inspect(page, model, stage, index);
    expect(Math.abs(computed - shown)).toBeLessThan(1e-5 * Math.max(1, Math.abs(shown)));
    expect(verdict).toContain("Equal");
    const bars = inspector.getByRole("group", { name: "By input channel" }).getByRole("button");
    let sum = 0;
    const products = async () =>
      (await inspector.locator("[data-product]").evaluateAll((cells) => cells.map((c) => Number(c.getAttribute("data-product"))))) as number[];
    const isMaximum = (await inspector.getByText("Largest of").count()) > 0;
    for (let channel = 0; channel < Math.max(1, await bars.count()); channel++) {
      if ((await bars.count()) > 0) await bars.nth(channel).click();
      const own = await products();
      sum = isMaximum ? Math.max(...own) : sum + own.reduce((a, b) => a + b, 0);
    }
    expect(sum).toBeCloseTo(total, 9);
  }
});

test("a click on a map takes that value apart; back puts it together again", async () => {
  const page = await ready(await open("#/digits"));
  const map = page.locator("li[data-stage=c1] .maps-field").first();
  const box = await map.boundingBox();
  if (!box) throw new Error("the map has no place");
  await map.click({ position: { x: 3 * 14 + 1, y: 3 * 9 + 1 } });
  const inspector = page.getByTestId("inspector");
  expect(await inspector.getAttribute("data-index")).toBe(`${9 * 28 + 14}`);
  expect(await inspector.textContent()).toContain("map 0, row 9, column 14");
  expect(page.url()).toContain("layer=c1&at=266");
  await page.goBack();
  await inspector.waitFor({ state: "detached" });
});

test("draws by mouse; the drawing is in the address, and comes back with it", async () => {
  const page = await ready(await open("#/digits"));
  const before = await page.getByTestId("chances").textContent();
  const pad = await page.locator(".pad canvas").boundingBox();
  if (!pad) throw new Error("the pad has no place");
  await page.mouse.move(pad.x + pad.width * 0.5, pad.y + pad.height * 0.15);
  await page.mouse.down();
  await page.mouse.move(pad.x + pad.width * 0.45, pad.y + pad.height * 0.85, { steps: 12 });
  await page.mouse.up();
  await page.waitForFunction(() => location.hash.includes("draw="));
  await page.waitForFunction((text) => document.querySelector("[data-testid=chances]")?.textContent !== text, before);
  const url = page.url();
  const drawn = await page.getByTestId("chances").textContent();
  const again = await ready(await open(url.slice(url.indexOf("#"))));
  expect(await again.getByTestId("chances").textContent()).toBe(drawn);
  await page.goBack();
  await page.waitForFunction((text) => document.querySelector("[data-testid=chances]")?.textContent === text, before);
});

test("samples are picked by keyboard, and others fetched", async () => {
  const page = await ready(await open("#/digits"));
  const samples = page.getByRole("button", { name: /^Sample of a \d$/ });
  expect(await samples.count()).toBe(10);
  await samples.nth(4).focus();
  await page.keyboard.press("Enter");
  expect(await samples.nth(4).getAttribute("aria-pressed")).toBe("true");
  expect(page.url()).toContain("sample=4");
  await page.getByRole("button", { name: "Other samples" }).click();
  await page.waitForFunction(() => !document.querySelector(".sample-strip [aria-pressed=true]"));
});

test("maps are walked by keyboard", async () => {
  const page = await ready(await open("#/digits"));
  const maps = page.locator("li[data-stage=s2] [role=application]").first();
  await page.locator("li[data-stage=c1] summary").focus();
  await page.keyboard.press("Tab"); // the filters of c1
  await page.keyboard.press("Tab"); // the maps of s2
  expect(await maps.evaluate((e) => e === document.activeElement)).toBe(true);
  for (const key of ["ArrowDown", "ArrowDown", "ArrowRight", "PageDown", "PageDown"]) await page.keyboard.press(key);
  expect(await maps.getAttribute("aria-label")).toMatch(/^map 2, row 2, column 1: /);
  await page.keyboard.press("Enter");
  expect(await page.getByTestId("inspector").getAttribute("data-index")).toBe(`${2 * 196 + 2 * 14 + 1}`);
  await page.getByRole("button", { name: "Close" }).focus();
  await page.keyboard.press("Escape");
  await page.getByTestId("inspector").waitFor({ state: "detached" });
});

test("learns by another optimizer, from varied digits, and keeps the weights between", async () => {
  const page = await open("#/digits?model=resnet8");
  await page.locator("li[data-stage=fc]").waitFor();
  await page.getByLabel("Optimizer").selectOption("SGD");
  await page.getByLabel("Vary the digits").check();
  await page.getByRole("button", { name: /^Train/ }).click();
  await until(page, "images", 128);
  await page.getByLabel("Optimizer").selectOption("AdamW");
  await page.getByRole("button", { name: "Train on" }).waitFor();
  const paused = await number(page, "images");
  await page.getByRole("button", { name: "Train on" }).click();
  await until(page, "images", paused + 64);
  expect(await number(page, "loss")).toBeGreaterThan(0);
  // What no single window makes is shown, and said not to be taken apart.
  await page.evaluate(() => (location.hash = "#/digits?model=resnet8&layer=layer1&at=5"));
  await page.getByText("This value is not a single window's sum.").waitFor();
});
