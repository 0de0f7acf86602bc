// The page of `conv summary --format html` in a real browser: everything is drawn, nothing is cut
// off or covered, light and dark, wide and narrow.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { formulasOf, memoryOf, summarize, trainingMemoryOf } from "@conv/analysis";
import {
  conv1d,
  flatten,
  linear,
  maxPool1d,
  pipe,
  relu,
  sequential,
  traceModel,
  type Model,
} from "@conv/layers";
import { models } from "@conv/layers/models";
import { launchBrowser } from "@conv/testkit/browser";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pageOf } from "../src/report/page.ts";
import { conv, folder } from "./run.ts";

const cwd = folder();
let browser: Browser;
beforeAll(async () => void (browser = await launchBrowser()), 120_000);
afterAll(() => browser?.close());

/** A signal of 4,000 samples in two channels. */
const signal: Model = {
  name: "signal",
  input: [2, 4000],
  layer: sequential({
    front: pipe(conv1d(16, 9, { stride: 4 }), relu(), maxPool1d(2)),
    middle: pipe(conv1d(32, 9, { dilation: 4 }), relu(), maxPool1d(2)),
    end: pipe(flatten(), linear(10)),
  }),
};

/** Nothing to see along any axis. */
const dense: Model = {
  name: "dense",
  input: [20],
  layer: sequential({ hidden: pipe(linear(8), relu()), last: linear(3) }),
};

/** Writes the page of a model, and returns its address. */
async function write(model: Model): Promise<string> {
  const traced = traceModel(model);
  const training = trainingMemoryOf(traceModel(model, { training: true }), { slots: 2 });
  const costs = {
    summary: summarize(traced, { modules: true }),
    inference: memoryOf(traced),
    training,
  };
  const file = join(cwd, `${model.name}.html`);
  await writeFile(
    file,
    await pageOf(costs, { convention: "torchvision", formulas: formulasOf(traced), growth: [] }),
  );
  return pathToFileURL(file).href;
}

/**
 * What a browser shows of a page: sizes, and of each picture that is seen its marks, and the texts
 * that leave it or cover each other.
 */
async function look(page: Page, scheme: "light" | "dark") {
  await page.emulateMedia({ colorScheme: scheme });
  return page.evaluate(() => {
    const box = (e: Element) => e.getBoundingClientRect();
    const pictures = [...document.querySelectorAll("svg")].filter((svg) => box(svg).width > 0);
    const texts = (svg: SVGSVGElement) =>
      [...svg.querySelectorAll("text")].filter((t) => t.textContent);
    return {
      overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      background: getComputedStyle(document.body).backgroundColor,
      ink: getComputedStyle(document.body).color,
      pictures: pictures.map((svg) => {
        const frame = box(svg);
        const level = texts(svg).filter((t) => !t.getAttribute("transform")?.includes("rotate"));
        return {
          name: svg.getAttribute("aria-label"),
          width: Math.round(frame.width),
          marks: svg.querySelectorAll(".role-mark path, .role-mark line").length,
          small: Math.min(
            ...texts(svg).map(
              (t) =>
                parseFloat(getComputedStyle(t).fontSize) *
                (frame.width / svg.viewBox.baseVal.width),
            ),
          ),
          outside: texts(svg)
            .filter(
              (t) =>
                box(t).left < frame.left - 1 ||
                box(t).right > frame.right + 1 ||
                box(t).top < frame.top - 1 ||
                box(t).bottom > frame.bottom + 1,
            )
            .map((t) => t.textContent),
          covered: level.flatMap((a, i) =>
            level.slice(i + 1).flatMap((b) => {
              const [p, q] = [box(a), box(b)];
              const across = Math.min(p.right, q.right) - Math.max(p.left, q.left);
              const down = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
              return across > 1 && down > 3 ? [`${a.textContent} / ${b.textContent}`] : [];
            }),
          ),
          inks: [...new Set(texts(svg).map((t) => getComputedStyle(t).fill))],
        };
      }),
    };
  });
}

/** Opens a page, and keeps what it complains of. */
async function open(url: string, width: number) {
  const page = await browser.newPage({ viewport: { width, height: 900 } });
  const complaints: string[] = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(url);
  return { page, complaints };
}

describe("the page", { timeout: 60_000 }, () => {
  it.each<readonly [Model, number]>([
    [models.lenet5(), 6],
    [models.googlenet(), 6],
    [models.densenet121(), 6],
    [models.r3d18(), 7],
    [signal, 6],
    [dense, 4],
  ])("of $name is drawn whole", async (model, pictures) => {
    const url = await write(model);
    for (const width of [1280, 390]) {
      const { page, complaints } = await open(url, width);
      for (const scheme of ["light", "dark"] as const) {
        const seen = await look(page, scheme);
        expect({ complaints, overflow: seen.overflow }).toEqual({ complaints: [], overflow: 0 });
        expect(seen.pictures.map((p) => p.name)).toHaveLength(pictures);
        for (const picture of seen.pictures) {
          const { name } = picture;
          expect(picture, `${name} at ${width}`).toMatchObject({ outside: [], covered: [] });
          expect(picture.marks, `${name} at ${width}`).toBeGreaterThan(1);
          expect(picture.small, `${name} at ${width}`).toBeGreaterThan(10);
          expect(picture.width).toBeGreaterThan(300);
          expect(picture.inks).toContain(seen.ink);
        }
        const light = (color: string) => Math.max(...(color.match(/\d+/g) ?? []).map(Number)) > 128;
        expect([light(seen.background), light(seen.ink)]).toEqual(
          scheme === "light" ? [true, false] : [false, true],
        );
      }
      await page.close();
    }
  });

  it("of the command says on pointing at a bar what it is, and unfolds modules", async () => {
    const { code } = await conv(
      [
        "summary",
        "resnet8",
        "--format",
        "html",
        "--measure",
        "--threads",
        "1",
        "--out",
        "page.html",
      ],
      cwd,
    );
    expect(code).toBe(0);
    const url = pathToFileURL(join(cwd, "page.html")).href;
    for (const width of [1280, 390]) {
      const { page, complaints } = await open(url, width);
      const { pictures, overflow } = await look(page, "light");
      expect({ overflow, complaints }).toEqual({ overflow: 0, complaints: [] });
      expect(pictures.flatMap((p) => [...p.outside, ...p.covered])).toEqual([]);
      expect(pictures.at(-1)!.name).toBe(
        "GFLOP/s of each layer over its arithmetic intensity, under the roofs of this machine",
      );
      await page.close();
    }
    const { page } = await open(url, 1280);
    expect(await page.locator("svg title").first().textContent()).toBe("stem.0: 144");
    const inner = page.locator(".name", { hasText: "layer1.0.conv1" });
    expect(await inner.isVisible()).toBe(false);
    for (const name of ["layer1", "layer1.0"])
      await page
        .locator("summary", { has: page.getByText(name, { exact: true }) })
        .first()
        .click();
    expect(await inner.isVisible()).toBe(true);
  });
});
