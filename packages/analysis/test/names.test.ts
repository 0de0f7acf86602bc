// Names of models and layers are users' text: no form of a summary lets them act on what shows it.

import { map, relu } from "@conv/ops";
import { within } from "@conv/tensor";
import { describe, expect, it } from "vitest";
import { csvOf, formatSummary, markdownOf, summarize, tracedOf } from "../src/index.ts";

/** A network of one layer for each name, each with an op of that name. */
const summaryOf = (names: readonly string[], name = "net") =>
  summarize(
    tracedOf(
      (x) => names.reduce((y, own) => within(own, () => map(own, ["mul", 2, "a"], [y])), relu(x)),
      { x: [1, 2] },
      { name },
    ),
  );

const odd = [
  "a|b",
  "a\nb",
  "`code`",
  "<img src=x onerror=alert(1)>",
  "\u001B[2J",
  "*bold*",
  "a\\",
  "_x_",
  "[a](b)",
  "\u202Eltr",
  "a&lt;b",
];

describe("the table", () => {
  it("has no character that a terminal acts on, and one line for each layer", () => {
    const lines = formatSummary(summaryOf(odd, "net\u001B[31m\n"), { width: 200 }).split("\n");
    expect(lines[0]).toBe("net\\u{1b}[31m\\u{a}, input 1×2");
    expect(lines.slice(4, 5 + odd.length).map((line) => line.split(/ {2,}/)[0])).toEqual(
      ["(model)", ...odd].map((name) =>
        name.replace("\n", "\\u{a}").replace("\u001B", "\\u{1b}").replace("\u202E", "\\u{202e}"),
      ),
    );
  });
  it("cuts long names", () => {
    const text = formatSummary(summaryOf(["n".repeat(100_000)], "m".repeat(100_000)), {
      width: 80,
    });
    expect(text).toContain(`${"n".repeat(80)}…`);
    expect(text.length).toBeLessThan(2000);
  });
});

describe("Markdown", () => {
  it("shows names as they are: no column, line, code, emphasis, link or element of their own", () => {
    const lines = markdownOf(summaryOf(odd, "a|b\n# c <b>")).split("\n");
    expect(lines[0]).toBe("## a\\|b\\\\u{a}\\# c &lt;b&gt;, input 1×2");
    const rows = lines
      .slice(4, 5 + odd.length)
      .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()));
    expect(new Set(rows.map((row) => row.length)).size).toBe(1);
    const shown = [
      "a\\|b",
      "a\\\\u{a}b",
      "\\`code\\`",
      "&lt;img src=x onerror=alert(1)&gt;",
      "\\\\u{1b}\\[2J",
      "\\*bold\\*",
      "a\\\\",
      "\\_x\\_",
      "\\[a\\](b)",
      "\\\\u{202e}ltr",
      "a&amp;lt;b",
    ];
    expect(rows.map((row) => row[1])).toEqual(["(model)", ...shown]);
    expect(rows.slice(1).map((row) => row[2])).toEqual(shown);
  });
});

describe("comma-separated values", () => {
  const rows = (names: readonly string[]) =>
    csvOf(summaryOf(names)).trimEnd().split("\r\n").slice(2, -1);
  it("quote commas and quotes, and keep one line for each layer", () => {
    const lines = rows(["a,b", 'say "a"', "a\nb", "a\r\nb", "\u001B[2J"]);
    expect(lines.map((line) => line.slice(0, line.indexOf(",1×2")))).toEqual([
      '"a,b","a,b"',
      '"say ""a""","say ""a"""',
      "a\\u{a}b,a\\u{a}b",
      "a\\u{d}\\u{a}b,a\\u{d}\\u{a}b",
      "\\u{1b}[2J,\\u{1b}[2J",
    ]);
  });
  it("begin no cell with what a spreadsheet takes for a formula", () => {
    const names = [
      "=1+1",
      "+1",
      "-1",
      "@SUM(A1)",
      "\t=1",
      "\r=1",
      " =1",
      "＝1",
      '=HYPERLINK("http://a","b")',
    ];
    const cells = rows(names).map((line) => line.slice(0, line.indexOf(",1×2")));
    expect(cells).toEqual([
      "'=1+1,'=1+1",
      "'+1,'+1",
      "'-1,'-1",
      "'@SUM(A1),'@SUM(A1)",
      "\\u{9}=1,\\u{9}=1",
      "\\u{d}=1,\\u{d}=1",
      "' =1,' =1",
      "'＝1,'＝1",
      `"'=HYPERLINK(""http://a"",""b"")","'=HYPERLINK(""http://a"",""b"")"`,
    ]);
  });
});
