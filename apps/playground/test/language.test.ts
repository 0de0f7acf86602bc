// Each error that a reader can meet, made to appear in a real browser, in both languages: the page
// says it in its language, and nothing on it is in the other one.

import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { encodeSafetensors, initialize, type State } from "@conv/layers";
import { browserOptions, launchBrowser, serve } from "@conv/testkit/browser";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { POLICY } from "../scripts/policy.ts";
import { modelNamed } from "../src/digits/models.ts";
import { foreignWords } from "./script.ts";

const LANGUAGES = ["en", "zh"] as const;
type Language = (typeof LANGUAGES)[number];

const dist = fileURLToPath(new URL("../dist", import.meta.url));
let browser: Browser;
/** Without WebGPU. */
let plain: Browser;
/** The site with damaged files, and the site under a policy that forbids WebAssembly. */
let damaged: Awaited<ReturnType<typeof serve>>;
let forbidden: Awaited<ReturnType<typeof serve>>;
const folder = mkdtempSync(join(tmpdir(), "conv-damaged-"));

beforeAll(async () => {
  cpSync(dist, folder, { recursive: true });
  for (const file of ["digits.bin", "weights/lenet5.bin"])
    writeFileSync(join(folder, file), "not what it was");
  const options = await browserOptions();
  const args = options.args?.filter((flag) => !flag.includes("webgpu")) ?? [];
  [browser, plain, damaged, forbidden] = await Promise.all([
    launchBrowser(),
    chromium.launch({ ...options, args: [...args, "--disable-features=WebGPUService"] }),
    serve(folder, { isolated: true, headers: POLICY }),
    serve(dist, {
      isolated: true,
      headers: { "Content-Security-Policy": "script-src 'self'; worker-src 'self'" },
    }),
  ]);
});
afterAll(async () => {
  await Promise.all([browser.close(), plain.close(), damaged.close(), forbidden.close()]);
  rmSync(folder, { recursive: true });
});

/** All that the page says: texts, labels and titles, but for code and what has its own language. */
const textsOn = (page: Page): Promise<string[]> =>
  page.evaluate(() => {
    const apart = "code, pre, script, style, [lang]:not(html), .stage-name";
    const stages = [...document.querySelectorAll<HTMLElement>("[data-stage]")].map(
      (e) => e.dataset.stage ?? "",
    );
    const names = new RegExp(`(?<![\\w.])(${stages.join("|") || "-"})(?![\\w.])`, "g");
    const elements = [...document.querySelectorAll("body *")].filter((e) => !e.closest(apart));
    return elements
      .flatMap((e) => [
        ...[...e.childNodes].flatMap((n) => (n.nodeType === 3 ? [n.nodeValue ?? ""] : [])),
        ...["aria-label", "title", "alt", "placeholder"].map((name) => e.getAttribute(name) ?? ""),
      ])
      .map((text) => text.replaceAll(names, " ").trim())
      .filter(Boolean);
  });

/** Texts of the page that are in the other language. */
async function foreignOn(page: Page, language: Language): Promise<string[]> {
  // What is quoted from an address is the reader's; parameters of the address have names.
  const texts = [...(await textsOn(page)), await page.title()].map((text) =>
    text.replaceAll(/^[a-z]+：|“[^”]*”/g, ""),
  );
  expect(texts.length).toBeGreaterThan(20);
  return texts.filter((text) =>
    language === "zh" ? foreignWords(text).length > 0 : /\p{Script=Han}/u.test(text),
  );
}

type Words = Readonly<Record<Language, string | RegExp>>;

const open = async (from: Browser): Promise<Page> => {
  const context = await from.newContext({ viewport: { width: 1440, height: 900 } });
  context.setDefaultTimeout(60_000);
  return context.newPage();
};

const addressIn = (language: Language, address: string): string =>
  `${address}${address.includes("?") ? "&" : "?"}lang=${language}`;

/** Waits for words, and looks for the other language on the page. */
async function says(page: Page, language: Language, words: Words): Promise<void> {
  await page.getByText(words[language]).first().waitFor();
  expect(await foreignOn(page, language)).toEqual([]);
}

const pages = new Map<Language, Page>();

/** One page for errors that leave it usable, loaded again only for another address. */
async function pageAt(language: Language, address: string): Promise<Page> {
  const page = pages.get(language) ?? (await open(browser));
  pages.set(language, page);
  const url = addressIn(language, address);
  if (page.url() !== url) {
    await page.goto(url);
    await page.reload(); // an address that differs after # alone loads nothing
  }
  return page;
}

/** Opens an address in a new page, makes an error appear, and waits for its words. */
async function meets(
  language: Language,
  address: string,
  words: Words,
  act: (page: Page) => Promise<unknown> = async () => {},
  from: Browser = browser,
): Promise<void> {
  const page = await open(from);
  await page.goto(addressIn(language, address));
  await act(page);
  await says(page, language, words);
  await page.context().close();
}

const at = (hash: string) => inject("isolated") + hash;
const ready = (page: Page) => page.locator("li[data-stage=softmax]").waitFor();
const load = async (page: Page, bytes: Uint8Array) => {
  await ready(page);
  await page
    .locator(".training-controls input[type=file]")
    .setInputFiles({ name: "mine.safetensors", mimeType: "", buffer: Buffer.from(bytes) });
};

const state = initialize(modelNamed("lenet5"), 0);
const changed = (change: (state: State) => void): Uint8Array => {
  const copy = new Map([...state].map(([name, saved]) => [name, structuredClone(saved)]));
  change(copy);
  return encodeSafetensors(copy);
};
const saved = encodeSafetensors(state);
/** A file with one tensor of that description. */
const fileOf = (dtype: string, data: Uint8Array): Uint8Array => {
  const header = JSON.stringify({
    "c1.weight": { dtype, shape: [1], data_offsets: [0, data.length] },
  });
  const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
  const bytes = new Uint8Array(8 + padded.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded.length), true);
  bytes.set(new TextEncoder().encode(padded), 8);
  bytes.set(data, 8 + padded.length);
  return bytes;
};

describe.each(LANGUAGES)("in %s", (language) => {
  test.each([
    [
      "input=3&kernel=5&dilation=2",
      { en: /height, the kernel covers 9 cells/, zh: "在高方向，卷积核覆盖 9 格" },
    ],
    [
      "ic=4&oc=4&groups=3",
      { en: "4 input channels do not divide into 3 groups.", zh: "4 个输入通道不能平均分成 3 组" },
    ],
    [
      "transposed=1&ic=3&oc=4&groups=3",
      { en: "4 output channels do not divide into 3 groups.", zh: "4 个输出通道不能平均分成 3 组" },
    ],
    [
      "transposed=1&stride=1&outputPadding=2,2",
      { en: /output padding 2 must be smaller/, zh: "输出填充 2 必须小于步幅或空洞率" },
    ],
    [
      "transposed=1&input=1&padLo=3&padHi=3",
      { en: /the padding crops the whole output/, zh: "填充把整个输出都裁掉了" },
    ],
    ["input=224", { en: "Too large for the picture", zh: "超出图示的范围" }],
    ["kernel=lots&step=99", { en: /“lots” in the link is not valid/, zh: "链接中的“lots”无效" }],
  ])("arithmetic with %s", async (setup, words) =>
    says(await pageAt(language, at(`#/arithmetic?${setup}`)), language, words),
  );

  test.each<[string, Uint8Array, Record<Language, string>]>([
    [
      "a file of another kind",
      Buffer.from("no weights at all"),
      { en: "Not a safetensors file.", zh: "这不是 safetensors 文件。" },
    ],
    [
      "a file that is cut off",
      saved.subarray(0, saved.length / 2),
      { en: "damaged or cut off", zh: "已损坏或不完整" },
    ],
    [
      "another network",
      encodeSafetensors(new Map([["a.weight", { shape: [1], data: new Float32Array(1) }]])),
      { en: "belong to another network", zh: "这些权重属于另一个网络" },
    ],
    [
      "weights that are not finite",
      changed((s) => (s.get("c1.bias")!.data[0] = Number.NaN)),
      { en: "c1.bias contains values that are not finite", zh: "c1.bias 含有非有限的数值" },
    ],
    [
      "another type of number",
      fileOf("BF16", new Uint8Array(2)),
      { en: "The tensor c1.weight has type BF16", zh: "张量 c1.weight 的类型是 BF16" },
    ],
    [
      "whole numbers that float32 cannot hold",
      fileOf("I64", new Uint8Array(new BigInt64Array([2n ** 24n + 1n]).buffer)),
      { en: "contains 16777217, which float32 cannot hold", zh: "float32 无法表示的值 16777217" },
    ],
  ])("weights: %s", async (_, bytes, words) => {
    const page = await pageAt(language, at("#/digits"));
    await load(page, bytes);
    await says(page, language, words);
  });

  test("a training that diverges", () =>
    meets(
      language,
      at("#/digits"),
      {
        en: /^The network has stopped\. Training diverged in epoch 1/,
        zh: /训练在第 1 轮第 \d+ 步发散/,
      },
      async (page) => {
        await load(
          page,
          changed((s) => s.get("c5.weight")!.data.fill(3e38)),
        );
        const loaded = language === "en" ? /^Weights from a file/ : /^来自文件的权重/;
        await page.getByTestId("weights").filter({ hasText: loaded }).waitFor();
        await page.locator(".training-controls .button.primary").click();
      },
    ));

  test("no WebGPU, and a request for it", () =>
    meets(
      language,
      at("#/digits"),
      { en: /^The GPU cannot be used: this browser/, zh: /^无法使用 GPU：这个浏览器/ },
      async (page) => {
        await ready(page);
        await page.getByTestId("not-gpu").waitFor();
        await page.getByRole("button", { name: "GPU", exact: true }).click();
      },
      plain,
    ));

  test("a GPU that is lost", () =>
    meets(
      language,
      at("#/digits?device=gpu"),
      { en: /^The GPU was lost/, zh: "GPU 连接已丢失" },
      async (page) => {
        await ready(page);
        await page
          .getByTestId("device")
          .filter({ hasText: /swiftshader/i })
          .waitFor();
        await (await browser.newBrowserCDPSession()).send("Browser.crashGpuProcess");
      },
    ));

  test("names and values in the address that are none", () =>
    meets(
      language,
      at("#/digits?model=valueOf&optimizer=odd&layer=c9&sample=99999&own=file"),
      { en: "There is no network “valueOf”.", zh: "没有名为“valueOf”的网络" },
      ready,
    ));

  test("digits that are damaged", () =>
    meets(language, `${damaged.url}#/digits`, {
      en: "The network has stopped. digits.bin is damaged. Reload the page.",
      zh: "网络已停止。digits.bin 已损坏。",
    }));

  test("a browser that runs no WebAssembly", () =>
    meets(
      language,
      `${forbidden.url}#/digits`,
      {
        en: /^The network has stopped\. This browser does not run WebAssembly/,
        zh: /^网络已停止。浏览器在本页不能运行带 SIMD 的 WebAssembly/,
      },
      undefined,
      plain,
    ));

  test("a move to a device that is forbidden, which leaves the network where it is", () =>
    meets(
      language,
      `${forbidden.url}#/digits`,
      {
        en: /^The network has stopped\. This browser does not run WebAssembly/,
        zh: /^网络已停止。浏览器在本页不能运行带 SIMD 的 WebAssembly/,
      },
      async (page) => {
        await ready(page);
        await page.getByRole("button", { name: "CPU", exact: true }).click();
        await page.getByTestId("notice").waitFor();
        const gpu = page.getByRole("button", { name: "GPU", exact: true });
        expect(await gpu.getAttribute("aria-pressed")).toBe("true");
        expect(await gpu.isEnabled()).toBe(true);
      },
    ));
});

test.each(LANGUAGES)("pretrained weights that are not what they were, in %s", async (language) => {
  cpSync(join(dist, "digits.bin"), join(folder, "digits.bin"));
  await meets(
    language,
    `${damaged.url}#/digits`,
    {
      en: "pretrained weights could not be loaded. weights/lenet5.bin could not be loaded.",
      zh: "无法载入预训练权重。无法载入 weights/lenet5.bin。",
    },
    ready,
  );
});
