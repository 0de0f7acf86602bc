// The documents are true: the code marked `ts` in each runs, from the sources, and prints what the block of text after it says.

import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { softwareEnv } from "@conv/testkit/webgpu";
import { beforeAll, describe, expect, test } from "vitest";
import { documents, examplesOf } from "../src/documents.ts";
import { check, root } from "../src/workspace.ts";

/** Examples find a GPU, in software if need be. */
let env: NodeJS.ProcessEnv;
beforeAll(async () => void (env = await softwareEnv()));

/** The examples that have their test already. */
const known = new Set<string>();

describe.each(documents)("%s", (document) => {
  const text = readFileSync(join(root, document), "utf8");
  const examples = examplesOf(text);

  for (const { line, code, output } of examples) {
    const example = JSON.stringify([code, output]);
    if (known.has(example)) continue; // the translation shows the same
    known.add(example);
    test(`the example at line ${line}`, { timeout: 120_000 }, async () => {
      // A folder from which every package of the workspace can be imported.
      const printed = await check(process.execPath, ["--input-type=module-typescript"], { cwd: join(root, "tools"), input: code, env });
      if (output !== undefined) expect(printed.trimEnd()).toBe(output.trimEnd());
    });
  }

  test("links to files that exist, and names none that do not", () => {
    const links = [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)/g)].map((match) => join(document, "..", match[1]));
    const named = [...text.matchAll(/`((?:packages|apps|tools|docs)\/[^`\s]+)`/g)].map((match) => match[1]);
    expect([...links, ...named].filter((path) => globSync(path, { cwd: root }).length === 0)).toEqual([]);
  });
});

test.each(["README", "docs/convolutions"])("the English and the Chinese %s show the same blocks, chapters, links and numbers", (document) => {
  const [english, chinese] = [`${document}.md`, `${document}.zh-CN.md`].map((name) => {
    const text = readFileSync(join(root, name), "utf8");
    const prose = text.replaceAll(/^```[\s\S]*?^```$/gm, "");
    return {
      blocks: text.match(/^```[\s\S]*?^```$/gm),
      chapters: prose.match(/^#+/gm),
      // But the first, to one another; where a page has a Chinese form too, each leads to its own.
      links: prose
        .match(/\]\([^)]+\)/g)
        ?.slice(1)
        .map((link) => link.replace(".zh-CN.md)", ".md)")),
      numbers: prose.match(/\d([\d,.]*\d)?/g)?.toSorted(),
    };
  });
  expect(chinese).toEqual(english);
});
