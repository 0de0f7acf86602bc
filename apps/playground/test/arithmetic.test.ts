// The arithmetic page in a browser, by mouse and by keyboard, against the geometry of @conv/ops.

import { convGeometry } from "@conv/ops";
import { spec } from "@conv/tensor";
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { browse } from "./browse.ts";

const { show } = browse();

const numberOf = (text: string | undefined): number =>
  Number(text?.replaceAll(/[()=]/g, "").replaceAll("−", "-"));

/** What the two texts of a related cell say: x·w and the product. */
function productOf([factors, result]: readonly (string | null)[]): {
  x: number;
  w: number;
  product: number;
} {
  const [x, w] = String(factors).split("·").map(numberOf);
  return { x, w, product: numberOf(String(result)) };
}

/** What related cells show. */
async function products(page: Page, side: string): Promise<ReturnType<typeof productOf>[]> {
  const texts = await page
    .locator(`[data-side="${side}"] [data-related]`)
    .evaluateAll((cells) =>
      cells.map((c) => [...c.querySelectorAll("text")].map((t) => t.textContent)),
    );
  return texts.map(productOf);
}

describe.each([
  { hash: "", x: [7, 7], k: [3, 3], options: { stride: 2, padding: 1 } },
  {
    hash: "?input=8,6&kernel=3,2&stride=1,3&dilation=2,1&padLo=0,1&padHi=1,2",
    x: [8, 6],
    k: [3, 2],
    options: {
      stride: [1, 3],
      dilation: [2, 1],
      padding: [
        [0, 1],
        [1, 2],
      ],
    },
  },
  {
    hash: "?input=5&kernel=4&stride=1&padLo=0&padHi=0&ic=4&oc=2&groups=2",
    x: [5, 5],
    k: [4, 4],
    options: { groups: 2 },
    channels: [4, 2],
  },
] as const)("setup $hash", ({ hash, x, k, options, channels = [1, 1] }) => {
  test("the output has the size of convGeometry, and each output its window, product by product", async () => {
    const page = await show(`#/arithmetic${hash}`);
    const { groups = 1 }: { groups?: number } = options;
    const g = convGeometry(
      spec([1, channels[0], ...x]),
      spec([channels[1], channels[0] / groups, ...k]),
      options,
    );
    const output = page.locator('[data-side="narrow"] [role=gridcell]');
    expect(await output.count()).toBe(channels[1] * g.output[0] * g.output[1]);
    const sizes = await page.getByTestId("size").allTextContents();
    const [h, w] = sizes.length === 1 ? [sizes[0], sizes[0]] : sizes;
    expect(h.endsWith(`= ${g.output[0]}`) && w.endsWith(`= ${g.output[1]}`)).toBe(true);

    await output.last().hover();
    const shown = await products(page, "wide");
    expect(shown).toHaveLength((channels[0] / groups) * g.kernel[0] * g.kernel[1]);
    for (const { x, w, product } of shown) expect(product).toBe(x * w + 0);
    const sum = (await page.getByTestId("equation").textContent()) ?? "";
    const [, terms, total] = /= (.*) = (−?\d+)$/.exec(sum) ?? [];
    const value = terms
      .split(" + ")
      .reduce((s, term) => s + term.split("·").reduce((p, v) => p * numberOf(v), 1), 0);
    expect(value).toBe(numberOf(total));
    expect(shown.reduce((s, { product }) => s + product, 0)).toBe(value);
    expect(await output.last().textContent()).toBe(total);
  });
});

test.each(["input=3&kernel=2&stride=1&padLo=1&padHi=0", "transposed=1&input=3&kernel=2&stride=1"])(
  "%s: products from either side; those of an output add up to it",
  async (setup) => {
    const page = await show(`#/arithmetic?${setup}`);
    const transposed = setup.startsWith("transposed");
    const [input, output] = transposed ? ["narrow", "wide"] : ["wide", "narrow"];
    /**
     * Points at each cell of a side in turn: its own text, and what is related to it then, with its
     * two texts.
     */
    const pointed = (side: string, other: string) =>
      page.evaluate(
        async ([side, other]) => {
          const found: {
            text: string | null;
            related: { cell: string | null; texts: (string | null)[] }[];
          }[] = [];
          for (const cell of document.querySelectorAll(`[data-side="${side}"] [role=gridcell]`)) {
            cell.dispatchEvent(
              new PointerEvent("pointerover", { pointerType: "mouse", bubbles: true }),
            );
            while (cell.getAttribute("aria-selected") !== "true")
              await new Promise(requestAnimationFrame);
            const related = [
              ...document.querySelectorAll(`[data-side="${other}"] [data-related]`),
            ].map((c) => ({
              cell: c.getAttribute("data-cell"),
              texts: [...c.querySelectorAll("text")].map((t) => t.textContent),
            }));
            found.push({ text: cell.textContent, related });
          }
          return found;
        },
        [side, other],
      );
    const [inputs, outputs] = [await pointed(input, output), await pointed(output, input)];
    const pairs = (from: typeof inputs, name: (i: number, other: string | null) => string) =>
      from
        .flatMap(({ related }, i) =>
          related.map(({ cell, texts }) => {
            const { x, w, product } = productOf(texts);
            return `${name(i, cell)} ${x}·${w} ${product}`;
          }),
        )
        .toSorted();
    const sums = outputs.map(({ text }) => numberOf(text ?? ""));
    expect(numberOf(inputs[transposed ? 0 : 5].text ?? "")).not.toBe(0);
    const forward = pairs(inputs, (i, other) => `${i} ${other}`);
    expect(pairs(outputs, (i, other) => `${other} ${i}`)).toEqual(forward);
    const added = sums.map(() => 0);
    for (const pair of forward) {
      const [, to, factors, product] = pair.split(" ");
      const [x, w] = factors.split("·").map(Number);
      expect(Number(product)).toBe(x * w + 0);
      added[Number(to)] += Number(product);
    }
    expect(added).toEqual(sums);
  },
);

test("steps by buttons, arrow keys, slider and play; the address follows", async () => {
  const page = await show("#/arithmetic");
  const step = () => page.getByText(/^Step \d+ of 16$/).textContent();
  await page.getByRole("button", { name: "Step forward" }).click();
  expect(await step()).toBe("Step 2 of 16");
  expect(page.url()).toContain("step=1");
  await page.keyboard.press("ArrowRight");
  expect(await step()).toBe("Step 3 of 16");
  await page.keyboard.press("ArrowLeft");
  await page.getByRole("button", { name: "Step back" }).click();
  await page.getByRole("button", { name: "Step back" }).click();
  expect(await step()).toBe("Step 16 of 16");
  await page.getByLabel(/per second/).fill("4");
  // from the end: begins again, and stops there
  await page.getByRole("button", { name: "Play" }).click();
  await page.getByRole("button", { name: "Pause" }).waitFor();
  await page.getByRole("button", { name: "Play" }).waitFor();
  expect(await step()).toBe("Step 16 of 16");
});

test("nothing is clamped: what is too large for the picture has its numbers, by link and by typing", async () => {
  const page = await show("#/arithmetic?input=224&kernel=7&stride=2&padLo=3&padHi=3&ic=3&oc=64");
  await page
    .getByText("Too large for the picture (input up to 12, output channels up to 4).")
    .waitFor();
  expect(await page.getByTestId("size").textContent()).toContain("= 112");
  const numbers = await page.getByTestId("numbers").textContent();
  for (const text of ["1×3×224×224 ∗ 64×3×7×7 → 1×64×112×112", "9,408 weights", "118,013,952"])
    expect(numbers).toContain(text);
  const box = page.getByRole("spinbutton", { name: "Input", exact: true });
  expect(await box.inputValue()).toBe("224");
  await page.getByRole("button", { name: "Strided" }).click();
  await page.locator('[data-side="narrow"]').waitFor();
  await box.fill("300");
  await page.getByTestId("too-large").waitFor();
  expect(page.url()).toContain("input=300");
  // no size at all: the box says so, and shows what is used once it is left
  await box.fill("99999");
  await page.getByText("Enter a whole number from 1 to 16384. Using 300.").waitFor();
  await box.blur();
  expect(await box.inputValue()).toBe("300");
  await page.evaluate(() => (location.hash = "#/arithmetic?kernel=lots&groups=__proto__"));
  await page.getByText("Kernel: “lots” in the link is not valid; using 3.").waitFor();
  await page.getByText("Groups: “__proto__” in the link is not valid; using 1.").waitFor();
  await page.evaluate(() => (location.hash = "#/arithmetic?step=999&transposed=yes"));
  for (const [name, given] of Object.entries({ step: "999", transposed: "yes" }))
    await page.getByText(`${name}: “${given}” in the link is not valid; using 0.`).waitFor();
});

test("what does not fit says why, keeps the last picture, and is mended by one click; back undoes", async () => {
  const page = await show("#/arithmetic?ic=4&oc=4&groups=2&lang=zh");
  const groups = page.getByLabel("分组");
  await groups.focus();
  await page.keyboard.press("ArrowUp");
  await page.getByRole("alert").filter({ hasText: "4 个输入通道不能平均分成 3 组" }).waitFor();
  expect(await page.locator('[data-side="narrow"] [role=gridcell]').count()).toBe(64);
  await page.getByRole("button", { name: "把分组设为 4" }).click();
  expect(await page.getByRole("alert").count()).toBe(0);
  expect(await groups.inputValue()).toBe("4");
  await page.goBack();
  await page.getByRole("button", { name: "回到上一组有效的参数" }).click();
  expect(await page.getByRole("alert").count()).toBe(0);

  await page.evaluate(() => (location.hash = "#/arithmetic?input=3&kernel=5&dilation=2&lang=en"));
  await page
    .getByText("Along the height, the kernel covers 9 cells, but the padded input has 5.")
    .waitFor();
  await page.getByRole("button", { name: "Set Dilation to 1" }).click();
  await page.locator('[data-side="narrow"]').waitFor();
  expect(await page.getByRole("alert").count()).toBe(0);
  await page.getByRole("button", { name: "Asymmetric" }).click();
  expect(await page.getByLabel("Padding, top").inputValue()).toBe("2");
  await page.getByLabel("Same for height and width").check();
  expect(await page.getByRole("spinbutton", { name: "Input", exact: true }).inputValue()).toBe("5");
});

test("cells are walked by arrow keys, and Enter makes one the step", async () => {
  const page = await show("#/arithmetic");
  const outputs = page.getByRole("grid", { name: "Output, channel 0" });
  await outputs.getByRole("gridcell", { name: "row 0, column 0" }).focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowRight");
  expect(await outputs.locator(":focus").getAttribute("aria-label")).toMatch(
    /^row 1, column 1: −?\d+$/,
  );
  expect(await page.getByTestId("equation").textContent()).toContain("y[0, 1, 1]");
  await page.keyboard.press("Enter");
  expect(page.url()).toContain("step=5");
});

test("transposed: an input cell writes products; a cropped cell says so; code copies", async () => {
  const page = await show("#/arithmetic?transposed=1&input=3");
  expect(await page.getByTestId("equation").textContent()).toMatch(
    /^x\[0, 0, 0\] = [1-9] contributes to 4 outputs: [1-9]·\(?−?\d\)? = −?\d+ → y\[0, 0, 0\]/,
  );
  expect(await page.getByTestId("size").textContent()).toContain(
    "(3 − 1)·2 − 1 − 1 + (3 − 1)·1 + 1 + 0 = 5",
  );
  await page.locator('[data-side="wide"] [role=gridcell]').first().hover();
  expect(await page.getByTestId("equation").textContent()).toContain("cropped");
  await page.getByRole("button", { name: "Copy the PyTorch code" }).click();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toContain(
    "F.conv_transpose2d(x, w, stride=2, padding=1)",
  );
  await page.getByRole("button", { name: "Copy link" }).click();
  await page.getByText("It contains all parameters and the current step.").waitFor();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(page.url());
});
