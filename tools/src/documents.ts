// The documents of the repository and the examples in them.

import { globSync } from "node:fs";
import { root } from "./workspace.ts";

/** Paths of all documents from the root of the repository. */
export const documents = globSync(
  ["*.md", "docs/*.md", "packages/*/README*.md", "apps/*/README*.md"],
  { cwd: root },
).toSorted();

export interface Example {
  readonly line: number;
  readonly code: string;
  /** Expected output; undefined if no `text` block follows. */
  readonly output?: string;
}

/** Every `ts` block, with the `text` block that follows it directly, if there is one. */
export function examplesOf(markdown: string): Example[] {
  const blocks = [...markdown.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(
    ({ 1: language, 2: body, index }) => ({ language, body, index }),
  );
  return blocks.flatMap(({ language, body, index }, i) => {
    if (language !== "ts") return [];
    const next = blocks[i + 1];
    return [
      {
        line: markdown.slice(0, index).split("\n").length,
        code: body,
        output: next?.language === "text" ? next.body : undefined,
      },
    ];
  });
}
