// A summary for other programs and documents: comma-separated values, and Markdown. Names of layers
// may hold anything.

import { checkOptions, printable } from "@conv/tensor";
import type { Summary } from "./summary.ts";
import { columnsOf, meaningsOf, NAME, nameOf, rowsOf, TABLE, type TableOptions } from "./text.ts";

/**
 * One row for each layer, one column for each count, plain numbers; the first row names them, the
 * last is the total. RFC 4180. A name that a spreadsheet would take for a formula begins with an
 * apostrophe.
 */
export function csvOf(summary: Summary, options: TableOptions = {}): string {
  checkOptions("csvOf", options, TABLE);
  const columns = columnsOf(options);
  const cell = (value: string | number) => {
    const text = `${value}`.replaceAll("−", "-");
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const text = (name: string) => (/^\s*[=+\-@＝＋－＠]/.test(name) ? `'${name}` : name);
  const lines = [
    [
      "layer",
      ...columns.map((c) =>
        c.key === "macs" ? `macs:${options.convention ?? "torchvision"}` : c.key,
      ),
    ],
    ...rowsOf(summary.layers, options.depth).map(([l]) => [
      text(printable(l.path)),
      ...columns.map((c) => (c.key === "type" ? text(`${c.of(l)}`) : c.of(l))),
    ]),
    ["total", ...columns.map((c) => c.total?.(summary.totals) ?? "")],
  ];
  return lines.map((line) => `${line.map(cell).join(",")}\r\n`).join("");
}

// a document is as wide as a page
const MARKDOWN = ["type", "output", "parameters", "macs", "dx", "dw", "activationBytes", "field"];

/** Text that Markdown and HTML show as it is. */
const plain = (text: string): string =>
  text
    .replace(/[\\`*_[\]|~#!$]/g, "\\$&")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;");

/** A table for documents, with the convention of every number below it. */
export function markdownOf(summary: Summary, options: TableOptions = {}): string {
  checkOptions("markdownOf", options, TABLE);
  const columns = columnsOf(options).filter((c) => MARKDOWN.includes(c.key));
  const cell = (value: string | number, format: (v: number) => string) =>
    typeof value === "number" ? format(value) : plain(value);
  const lines = [
    ["layer", ...columns.map((c) => c.head)],
    ...rowsOf(summary.layers, options.depth).map(([l, level]) => [
      `${"\u2003".repeat(level)}${plain(nameOf(l))}`,
      ...columns.map((c) => cell(c.of(l), c.format)),
    ]),
    [
      "**total**",
      ...columns.map((c) => (c.total ? `**${c.format(c.total(summary.totals))}**` : "")),
    ],
  ];
  const widths = lines[0].map((_, i) => Math.max(3, ...lines.map((line) => line[i].length)));
  const right = [false, ...columns.map((c) => c.right)];
  const row = (line: readonly string[]) =>
    `| ${line.map((text, i) => (right[i] ? text.padStart(widths[i]) : text.padEnd(widths[i]))).join(" | ")} |`;
  const rule = `| ${widths.map((w, i) => (right[i] ? `${"-".repeat(w - 1)}:` : "-".repeat(w))).join(" | ")} |`;
  const notes = [...meaningsOf(columns)].map(([means, heads]) => `- ${heads.join(", ")}: ${means}`);
  const title = `## ${plain(printable(summary.model, NAME))}, input ${summary.input.join("×")}`;
  return [title, "", row(lines[0]), rule, ...lines.slice(1).map(row), "", ...notes, ""].join("\n");
}
