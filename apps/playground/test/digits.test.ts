// The digits page in a browser: its first answer is right, it learns and tells how long that takes,
// it explains every value, a link carries what it says, and bad files, names and addresses are
// told.

import { buffer } from "node:stream/consumers";
import { decodeSafetensors, encodeSafetensors, type State } from "@conv/layers";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { browse, reopen } from "./browse.ts";

const { show } = browse();

// All tests share one page: what a test does to a network, the next one meets. Links are opened by
// loading the page again.

const ready = async (page: Page): Promise<Page> => {
  await page.locator("li[data-stage=softmax]").waitFor();
  return page;
};
const number = async (page: Page, id: string): Promise<number> =>
  Number((await page.getByTestId(id).textContent())?.replace(/[^\d.]/g, "") || Number.NaN);
const until = (page: Page, id: string, least: number) =>
  page.waitForFunction(
    ([id, least]) =>
      Number(document.querySelector(`[data-testid=${id}]`)?.textContent?.replace(/[^\d.]/g, "")) >=
      Number(least),
    [id, least] as const,
    { polling: 50 },
  );
const answer = (page: Page) => page.getByTestId("chances").textContent();
/** Waits until the answer is that, or any other. */
const untilAnswer = (page: Page, is: "this" | "other", text: string | null) =>
  page.waitForFunction(
    ([is, text]) =>
      (document.querySelector("[data-testid=chances]")?.textContent === text) === (is === "this"),
    [is, text] as const,
    { polling: 50 },
  );

/** Chooses value `index` of a stage through the address and returns what the inspector says. */
async function inspect(page: Page, model: string, stage: string, index: number) {
  await page.evaluate(
    (hash) => (location.hash = hash),
    `#/digits?model=${model}&layer=${stage}&at=${index}`,
  );
  const inspector = page.locator(
    `[data-testid=inspector][data-stage="${stage}"][data-index="${index}"]`,
  );
  await inspector.waitFor();
  const value = async (id: string) =>
    Number(await inspector.getByTestId(id).getAttribute("data-value"));
  return {
    inspector,
    computed: await value("computed"),
    shown: await value("shown"),
    total: await value("total"),
    verdict: await inspector.getByTestId("verdict").textContent(),
  };
}

test("the first answer is right, by trained weights that say what they are; an untrained start is one click away", async () => {
  const page = await ready(await show("#/digits"));
  expect(await page.getByTestId("answer").textContent()).toBe("3");
  await page.getByText("It is a 3.").waitFor();
  expect(await page.getByTestId("weights").textContent()).toMatch(
    /^Pretrained weights: \d+ epochs on 8,000 MNIST digits.* Test accuracy: 9\d\.\d.% of 2,000/,
  );
  expect(await number(page, "accuracy")).toBeGreaterThan(98);
  // The time is that of a measured step.
  await page.getByRole("button", { name: /^Train 5 more epochs \(about \d+ (s|min)\)$/ }).waitFor();
  const trained = await answer(page);
  await page.getByRole("button", { name: "Start untrained" }).click();
  await page.getByText("Untrained: random weights, so this is a guess.").first().waitFor();
  await untilAnswer(page, "other", trained);
  expect(page.url()).toContain("weights=random");
  await page.getByRole("button", { name: "Pretrained weights" }).click();
  await untilAnswer(page, "this", trained);
});

test("names in the address that are none are told, and change nothing", async () => {
  const page = await ready(
    await show(
      "#/digits?model=valueOf&optimizer=constructor&device=toString&weights=__proto__&lr=1e9&theme=hasOwnProperty",
    ),
  );
  await page.getByText("There is no network “valueOf”. This is LeNet-5.").waitFor();
  await page.getByText("optimizer: “constructor” in the link is not valid; using Adam.").waitFor();
  await page.getByText("weights: “__proto__” in the link is not valid; using trained.").waitFor();
  expect(await page.getByTestId("answer").textContent()).toBe("3");
  expect(await page.getByLabel("Optimizer").inputValue()).toBe("Adam");
  // A digit that there is not is not another one in silence; nor is a value.
  await show("#/digits?sample=99999&layer=c1&at=99999&weights=random&seed=-1");
  await page.getByText("sample: “99999” in the link is not valid; using 2.").waitFor();
  await page.getByText("seed: “-1” in the link is not valid; using 0.").waitFor();
  await page.getByText("at: “99999” in the link is not valid.").waitFor();
  expect(await page.getByTestId("inspector").count()).toBe(0);
  await show("#/digits?draw=!&layer=c9");
  for (const name of ["draw", "layer"])
    await page.getByText(new RegExp(`^${name}: “(!|c9)” in the link is not valid\\.$`)).waitFor();
  await page.evaluate(() => (location.hash = "#/__proto__"));
  await page.getByText("There is no page “__proto__”.").waitFor();
});

test("samples are picked by keyboard, and others fetched", async () => {
  const page = await ready(await show("#/digits"));
  const samples = page.getByRole("button", { name: /^Sample of a \d$/ });
  expect(await samples.count()).toBe(10);
  await samples.nth(4).focus();
  await page.keyboard.press("Enter");
  expect(await samples.nth(4).getAttribute("aria-pressed")).toBe("true");
  expect(page.url()).toContain("sample=4");
  await page.getByRole("button", { name: "Other samples" }).click();
  await page.waitForFunction(() => !document.querySelector(".sample-strip [aria-pressed=true]"));
});

test("a click on a map takes that value apart; Escape and back put it together again; by keyboard the focus goes along", async () => {
  const page = await ready(await show("#/digits"));
  const map = page.locator("li[data-stage=c1] .maps-field").first();
  await map.click({ position: { x: 3 * 14 + 1, y: 3 * 9 + 1 } });
  const inspector = page.getByTestId("inspector");
  expect(await inspector.getAttribute("data-index")).toBe(`${9 * 28 + 14}`);
  expect(await inspector.textContent()).toContain("channel 0, row 9, column 14");
  expect(page.url()).toContain("layer=c1&at=266");
  await page.goBack();
  await inspector.waitFor({ state: "detached" });

  const maps = page.locator("li[data-stage=s2] [role=application]").first();
  await page.locator("li[data-stage=c1] summary").focus();
  await page.keyboard.press("Tab"); // the filters of c1
  await page.keyboard.press("Tab"); // the maps of s2
  expect(await maps.evaluate((e) => e === document.activeElement)).toBe(true);
  for (const key of ["ArrowDown", "ArrowDown", "ArrowRight", "PageDown", "PageDown"])
    await page.keyboard.press(key);
  expect(await maps.getAttribute("aria-label")).toMatch(
    /^channel 2, row 2, column 1: −?\d+\.\d{4}$/,
  );
  await page.keyboard.press("Enter");
  expect(await inspector.getAttribute("data-index")).toBe(`${2 * 196 + 2 * 14 + 1}`);
  await page.waitForFunction(() => document.activeElement?.id === "inspector-title");
  await page.keyboard.press("Escape");
  await inspector.waitFor({ state: "detached" });
  expect(await maps.evaluate((e) => e === document.activeElement)).toBe(true);
});

test("draws by mouse; the drawing and an untrained start are in the address, and come back with it; an empty pad has no answer", async () => {
  const page = await ready(await show("#/digits"));
  await page.getByTestId("answer").filter({ hasText: "3" }).waitFor();
  const before = await answer(page);
  const pad = await page.locator(".pad canvas").boundingBox();
  if (!pad) throw new Error("the pad has no place");
  await page.mouse.move(pad.x + pad.width * 0.5, pad.y + pad.height * 0.15);
  await page.mouse.down();
  await page.mouse.move(pad.x + pad.width * 0.45, pad.y + pad.height * 0.85, { steps: 12 });
  await page.mouse.up();
  await page.waitForFunction(() => location.hash.includes("draw="));
  await untilAnswer(page, "other", before);
  expect(await page.getByTestId("answer").textContent()).toBe("1");
  const drawn = await answer(page);
  await page.getByRole("button", { name: "Start untrained" }).click();
  await untilAnswer(page, "other", drawn);
  const untrained = await answer(page);
  await reopen(page);
  await ready(page);
  expect(await answer(page)).toBe(untrained);
  await page.getByRole("button", { name: "Pretrained weights" }).click();
  await untilAnswer(page, "this", drawn);
  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByText("Draw a digit, or choose a sample.").first().waitFor();
  expect((await page.getByTestId("answer").textContent())?.trim()).toBe("");
  expect(await answer(page)).not.toContain("%");
  await page.goBack();
  await untilAnswer(page, "this", drawn);
  await page.evaluate(() => history.go(-3)); // trained, untrained, drawn
  await untilAnswer(page, "this", before);
});

test("of every kind of layer, the sum shown is the value shown, in the words of its own formula", async () => {
  const page = await ready(await show("#/digits"));
  for (const [model, stage, index, words] of [
    ["lenet5", "c3", 733, "Sum of 150 products"],
    ["lenet5", "s4", 211, "Largest of 4 values"],
    ["lenet5", "softmax", 3, "sum of all exponentials"],
    ["lenet5_1998", "s2", 700, "Mean of 4 values"],
    ["lenet5_1998", "output", 3, "Sum of 84 squares"],
    ["resnet8", "stem", 300, "÷ √(variance + ε)"],
    ["resnet8", "layer1.0", 5, "Sum of 2 values"],
    ["resnet8", "avgpool", 7, "Mean of 49 values"],
  ] as const) {
    const { inspector, computed, shown, total, verdict } = await inspect(page, model, stage, index);
    expect(Math.abs(computed - shown)).toBeLessThan(1e-5 * Math.max(1, Math.abs(shown)));
    expect(verdict).toContain("Matches");
    expect(await inspector.textContent()).toContain(words);
    const bars = inspector.getByRole("group", { name: "By input channel" }).getByRole("button");
    const sums: number[] = [];
    for (let channel = 0; channel < Math.max(1, await bars.count()); channel++) {
      if ((await bars.count()) > 0) await bars.nth(channel).click();
      sums.push(
        ...(await inspector
          .locator("[data-product]")
          .evaluateAll((cells) => cells.map((c) => Number(c.getAttribute("data-product"))))),
      );
    }
    if (words.startsWith("Largest")) expect(Math.max(...sums)).toBe(total);
    else if (stage === "softmax") expect(sums[index]).toBe(total);
    else expect(sums.reduce((a, b) => a + b, 0)).toBeCloseTo(total, 9);
  }
});

test("another optimizer and augmentation while it learns do not end that; pausing keeps what is learned", async () => {
  const page = await ready(await show("#/digits?model=resnet8"));
  await page.getByRole("button", { name: /^Train 5 more epochs/ }).click();
  await until(page, "images", 64);
  await page.getByLabel("Optimizer").selectOption("SGD");
  await page.getByLabel("Augment: shift and rotate").check();
  await until(page, "images", (await number(page, "images")) + 64);
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: /^Train 5 more epochs/ }).waitFor();
  const paused = await number(page, "images");
  await page.getByLabel("Optimizer").selectOption("AdamW");
  for (const text of ["optimizer=AdamW", "own=trained", "augment=1"])
    expect(page.url()).toContain(text);
  await page.getByRole("button", { name: /^Train 5 more epochs/ }).click();
  await until(page, "images", paused + 64);
  await page.getByRole("button", { name: "Pause" }).click();
});

test("learns, also the network of 1998; a link tells what it does not carry, and the file makes it whole", async () => {
  const page = await ready(await show("#/digits?model=lenet5_1998&weights=random"));
  await page.getByRole("button", { name: /^Train \(5 epochs/ }).click();
  await page
    .getByTestId("progress")
    .getByText(/^\s*about \d+ (s|min) left$/)
    .waitFor();
  await until(page, "accuracy", 60);
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: /^Train 5 more epochs/ }).waitFor();
  const paused = await number(page, "images");
  expect(await number(page, "loss")).toBeLessThan(45);
  expect(await page.getByTestId("weights").textContent()).toMatch(
    /^Random weights, trained here on [\d,]+ images\.$/,
  );

  // The link says what it lacks, and offers the file.
  await page.getByRole("button", { name: "Copy link" }).click();
  await page
    .getByTestId("shared")
    .getByText("It does not contain the current weights of this network")
    .waitFor();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toContain("own=trained");
  const learned = await answer(page);
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByTestId("shared").getByRole("button", { name: "Save weights" }).click(),
  ]);
  expect(download.suggestedFilename()).toBe("lenet5_1998.safetensors");
  const bytes = await buffer(await download.createReadStream());
  expect(decodeSafetensors(bytes).metadata).toEqual({ model: "lenet5_1998" });
  // Going back never throws away what was learned here; nor does a look at the other page.
  await page.getByRole("link", { name: "Convolution arithmetic" }).click();
  await page.goBack();
  await ready(page);
  expect(await answer(page)).toBe(learned);
  expect(await number(page, "images")).toBe(paused);

  // A reader who opens the link sees a notice. Files of another kind, of another network, or with
  // values that are not finite change nothing.
  await reopen(page);
  await ready(page);
  await page.getByTestId("missing-weights").waitFor();
  const before = await answer(page);
  expect(before).not.toBe(learned);
  const file = page.getByTestId("missing-weights").locator("input[type=file]");
  const offer = async (buffer: Uint8Array, message: string) => {
    await file.setInputFiles({
      name: "mine.safetensors",
      mimeType: "application/octet-stream",
      buffer: Buffer.from(buffer),
    });
    await page.getByTestId("notice").filter({ hasText: message }).waitFor();
  };
  await offer(Buffer.from("no weights at all"), "Not a safetensors file.");
  await offer(bytes.subarray(0, 100_000), "This safetensors file is damaged or cut off.");
  const foreign: State = new Map([
    ["features.0.weight", { shape: [2], data: new Float32Array(2) }],
  ]);
  await offer(
    encodeSafetensors(foreign),
    "These weights belong to another network (missing c1.weight and 16 more).",
  );
  const { state } = decodeSafetensors(bytes);
  state.get("f6.bias")!.data[3] = Number.NaN;
  await offer(
    encodeSafetensors(state),
    "These weights cannot be used: f6.bias contains values that are not finite.",
  );
  expect(await answer(page)).toBe(before);
  await offer(bytes, "Loaded mine.safetensors.");
  expect(await answer(page)).toBe(learned);
  await until(page, "accuracy", 60);

  // Finite weights with outputs that overflow: there is no prediction.
  const huge = decodeSafetensors(bytes).state;
  [...huge.values()].find(({ shape }) => shape[0] === 10)!.data.fill(3e38);
  await page.locator("input[type=file]").setInputFiles({
    name: "huge.safetensors",
    mimeType: "",
    buffer: Buffer.from(encodeSafetensors(huge)),
  });
  await page.getByTestId("notice").filter({ hasText: "Loaded huge.safetensors." }).waitFor();
  await page
    .locator(".answer-card .note")
    .getByText("No prediction: the outputs contain NaN or infinity.")
    .waitFor();
});
