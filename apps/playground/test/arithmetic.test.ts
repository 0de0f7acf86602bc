// The arithmetic page in a browser, by mouse and by keyboard, against the geometry of @conv/ops.

import { convGeometry } from "@conv/ops";
import { spec } from "@conv/tensor";
import { describe, expect, test } from "vitest";
import { browse } from "./browse.ts";

const { open } = browse();

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
  { hash: "?input=5&kernel=4&stride=1&padLo=0&padHi=0&ic=4&oc=2&groups=2", x: [5, 5], k: [4, 4], options: { groups: 2 }, channels: [4, 2] },
] as const)("setup $hash", ({ hash, x, k, options, channels = [1, 1] }) => {
  test("the output has the size of convGeometry, and each output its window", async () => {
    const page = await open(`#/arithmetic${hash}`);
    const { groups = 1 }: { groups?: number } = options;
    const g = convGeometry(spec([1, channels[0], ...x]), spec([channels[1], channels[0] / groups, ...k]), options);
    const output = page.locator('[data-side="narrow"] [role=gridcell]');
    expect(await output.count()).toBe(channels[1] * g.output[0] * g.output[1]);
    const sizes = await page.getByTestId("size").allTextContents();
    const [h, w] = sizes.length === 1 ? [sizes[0], sizes[0]] : sizes;
    expect(h.endsWith(`= ${g.output[0]}`) && w.endsWith(`= ${g.output[1]}`)).toBe(true);

    await output.last().hover();
    expect(await page.locator('[data-side="wide"] [data-related]').count()).toBe((channels[0] / groups) * g.kernel[0] * g.kernel[1]);
    const sum = (await page.getByTestId("equation").textContent()) ?? "";
    const [, terms, total] = /= (.*) = (−?\d+)$/.exec(sum) ?? [];
    const value = terms
      .split(" + ")
      .reduce((s, term) => s + term.split("·").reduce((p, v) => p * Number(v.replace(/[()]/g, "").replace("−", "-")), 1), 0);
    expect(value).toBe(Number(total.replace("−", "-")));
    expect(await output.last().textContent()).toBe(total);
  });
});

test("an input cell shows the outputs it goes into; the same pairs as the other way round", async () => {
  const page = await open("#/arithmetic?input=3&kernel=2&stride=1&padLo=1&padHi=0");
  const related = (side: string) =>
    page.locator(`[data-side="${side}"] [data-related]`).evaluateAll((cells) => cells.map((c) => Number(c.getAttribute("data-cell"))));
  const pairs = async (from: string, to: string) => {
    const found: string[] = [];
    const cells = page.locator(`[data-side="${from}"] [role=gridcell]`);
    for (let i = 0; i < (await cells.count()); i++) {
      await cells.nth(i).dispatchEvent("pointerover", { pointerType: "mouse", bubbles: true });
      for (const other of await related(to)) found.push(from === "wide" ? `${i} ${other}` : `${other} ${i}`);
    }
    return found.toSorted();
  };
  const forward = await pairs("narrow", "wide");
  expect(forward).toHaveLength(9 * 4);
  expect(await pairs("wide", "narrow")).toEqual(forward);
});

test("steps by buttons, arrow keys, slider and play; the address follows", async () => {
  const page = await open("#/arithmetic");
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
  await page.getByLabel(/a second/).fill("4");
  await page.getByRole("button", { name: "Play" }).click(); // from the end: begins again, and stops there
  await page.getByRole("button", { name: "Pause" }).waitFor();
  await page.getByRole("button", { name: "Play" }).waitFor();
  expect(await step()).toBe("Step 16 of 16");
});

test("parameters are set by keyboard; back undoes; what does not fit says why", async () => {
  const page = await open("#/arithmetic");
  const groups = page.getByLabel("Groups");
  await groups.focus();
  await page.keyboard.press("ArrowUp");
  expect(await page.getByRole("alert").textContent()).toContain("conv: 1 input channels do not divide into 2 groups");
  await page.goBack();
  await page.locator('[data-side="narrow"]').waitFor();
  expect(await page.getByRole("alert").count()).toBe(0);
  await page.goForward();
  await page.getByRole("alert").waitFor();
  await page.getByRole("button", { name: "Uneven" }).click();
  expect(await page.getByLabel("Padding, top").inputValue()).toBe("2");
  await page.getByLabel("Same for height and width").check();
  expect(await page.getByRole("spinbutton", { name: "Input", exact: true }).inputValue()).toBe("5");
});

test("cells are walked by arrow keys, and Enter makes one the step", async () => {
  const page = await open("#/arithmetic");
  const outputs = page.getByRole("grid", { name: "Output, channel 0" });
  await outputs.getByRole("gridcell", { name: "row 0, column 0" }).focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowRight");
  expect(await outputs.locator(":focus").getAttribute("aria-label")).toMatch(/^row 1, column 1: −?\d+$/);
  expect(await page.getByTestId("equation").textContent()).toContain("y[0, 1, 1]");
  await page.keyboard.press("Enter");
  expect(page.url()).toContain("step=5");
});

test("transposed: an input cell writes a window; a cropped cell says so; code copies", async () => {
  const page = await open("#/arithmetic?transposed=1&input=3", { permissions: ["clipboard-read", "clipboard-write"] });
  expect(await page.getByTestId("equation").textContent()).toMatch(/^x\[0, 0, 0\] = \d goes into 4 outputs:/);
  expect(await page.getByTestId("size").textContent()).toContain("(3 − 1)·2 − 1 − 1 + (3 − 1)·1 + 1 + 0 = 5");
  await page.locator('[data-side="wide"] [role=gridcell]').first().hover();
  expect(await page.getByTestId("equation").textContent()).toContain("cuts off");
  await page.getByRole("button", { name: "Copy the PyTorch code" }).click();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toContain("F.conv_transpose2d(x, w, stride=2, padding=1)");
});
