// One term for one thing: the texts of the pages and the Chinese documents use no word that
// docs/terms.md rejects, each dictionary is in its own script, and the two say the same things.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { en } from "../src/i18n/en.ts";
import { failureText } from "../src/i18n/words.ts";
import { zh } from "../src/i18n/zh.ts";
import { foreignWords } from "./script.ts";

const text = (path: string): string =>
  readFileSync(fileURLToPath(new URL(`../../../${path}`, import.meta.url)), "utf8");
/** The rows of the table of terms, without its two lines of head. */
const rows = text("docs/terms.md")
  .split("\n")
  .filter((line) => line.startsWith("|"))
  .slice(2)
  .map((line) => line.split("|").map((cell) => cell.trim()));
const words = (column: number): string[] => [
  ...new Set(rows.flatMap((row) => row[column].split(", ")).filter(Boolean)),
];
const prose = (path: string): string => text(path).replaceAll(/^```[\s\S]*?^```$|`[^`]*`/gm, "");

test("the table of terms has a term in both languages in every row", () => {
  expect(rows.length).toBeGreaterThan(25);
  for (const [, english, chinese] of rows) {
    expect(english).toMatch(/^[a-z -]+$/);
    expect(chinese).toMatch(/^\p{Script=Han}+(（\p{Script=Han}+）)?$/u);
  }
});

describe.each([
  ["apps/playground/src/i18n/en.ts", 3],
  ["apps/playground/src/i18n/zh.ts", 4],
  ["README.zh-CN.md", 4],
  ["docs/convolutions.zh-CN.md", 4],
] as const)("%s", (path, column) => {
  test.each(words(column))("does not say %s", (word) => {
    const found = prose(path)
      .split("\n")
      .filter((line) => new RegExp(/^\w/.test(word) ? `\\b${word}s?\\b` : word, "i").test(line));
    expect(found).toEqual([]);
  });
});

/** Every text of a dictionary, functions called with arguments that are names and numbers. */
function textsOf(part: object, path = ""): [path: string, text: string][] {
  return Object.entries(part).flatMap(([key, value]): [string, string][] => {
    const here = path ? `${path}.${key}` : key;
    if (typeof value === "string") return [[here, value]];
    if (typeof value !== "function") return textsOf(value, here);
    const facts = new Proxy({}, { get: () => 3 });
    const args = path === "errors" ? [facts, "3"] : ["3", "3", "3", "3"];
    return [[here, String(value(...args))]];
  });
}

const [english, chinese] = [textsOf(en), textsOf(zh)];

test("both dictionaries have the same keys in the same order", () => {
  expect(chinese.map(([path]) => path).toSorted()).toEqual(
    english.map(([path]) => path).toSorted(),
  );
});

test.each(english)("%s is in English: %s", (_, sentence) => {
  expect(sentence).not.toMatch(/\p{Script=Han}/u);
});

test.each(chinese)("%s is in Chinese: %s", (_, sentence) => {
  expect(foreignWords(sentence)).toEqual([]);
});

test("English words in Chinese texts are told from names", () => {
  expect(foreignWords("网络已停止：the GPU was lost (c1.weight, resnet8, padLo)")).toEqual([
    "the",
    "was",
    "lost",
  ]);
});

test("an error without words shows its message in English, and none of it in Chinese", () => {
  const failure = { code: "unexpected", values: {}, text: "the tape is torn" };
  expect(failureText(failure, en)).toBe("Unexpected error: the tape is torn");
  expect(foreignWords(failureText(failure, zh))).toEqual([]);
  expect(failureText({ ...failure, code: "toString" }, en)).toBe(
    "Unexpected error: the tape is torn",
  );
});
