// The documents are true: every `ts` block runs against the sources and prints the `text` block
// that follows it.

import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { join } from "node:path";
import { inOneProcess } from "@conv/testkit/processes";
import { softwareEnv } from "@conv/testkit/webgpu";
import { afterAll, describe, expect, test } from "vitest";
import { documents, examplesOf } from "../src/documents.ts";
import { check, root } from "../src/workspace.ts";

/** Environment with a GPU adapter, in software if there is no other. */
const env = await softwareEnv();

/** A folder from which every package of the workspace can be imported. */
const cwd = join(root, "tools");
const folder = mkdtempSync(join(cwd, "node_modules", ".examples-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Each example of these documents runs in a new process, which must end. All others share one. */
const ALONE = ["README.md", "packages/kernels-cpu/README.md", "packages/kernels-gpu/README.md"];
const run = inOneProcess(new URL("../src/example.ts", import.meta.url), env);

let files = 0;

/** Output of an example. */
async function printed(code: string, alone: boolean): Promise<string> {
  if (alone)
    return check(process.execPath, ["--input-type=module-typescript"], { cwd, input: code, env });
  const file = join(folder, `${files++}.mjs`);
  writeFileSync(file, stripTypeScriptTypes(code));
  const { code: exit, stdout, stderr } = await run([file], cwd);
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: "" });
  return stdout;
}

/** Examples that have a test already. */
const known = new Set<string>();

describe.each(documents)("%s", (document) => {
  const markdown = readFileSync(join(root, document), "utf8");
  const examples = examplesOf(markdown);

  for (const { line, code, output } of examples) {
    const example = JSON.stringify([code, output]);
    if (known.has(example)) continue; // the translation shows the same example
    known.add(example);
    test(`the example at line ${line}`, { timeout: 120_000 }, async () => {
      const text = await printed(code, ALONE.includes(document));
      if (output !== undefined) expect(text.trimEnd()).toBe(output.trimEnd());
    });
  }

  test("links to files that exist, and names none that do not", () => {
    const links = [...markdown.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)/g)].map(
      (match) => join(document, "..", match[1]),
    );
    const named = [...markdown.matchAll(/`((?:packages|apps|tools|docs)\/[^`\s]+)`/g)].map(
      (match) => match[1],
    );
    expect(
      [...links, ...named].filter((path) => globSync(path, { cwd: root }).length === 0),
    ).toEqual([]);
  });
});

test.each(["README", "docs/convolutions"])(
  "the English and the Chinese %s show the same blocks, chapters, links and numbers",
  (document) => {
    const [english, chinese] = [`${document}.md`, `${document}.zh-CN.md`].map((name) => {
      const text = readFileSync(join(root, name), "utf8");
      const prose = text.replaceAll(/^```[\s\S]*?^```$/gm, "");
      return {
        blocks: text.match(/^```[\s\S]*?^```$/gm),
        chapters: prose.match(/^#+/gm),
        // But the first, to one another; where a page has a Chinese form too, each leads to its
        // own.
        links: prose
          .match(/\]\([^)]+\)/g)
          ?.slice(1)
          .map((link) => link.replace(".zh-CN.md)", ".md)")),
        numbers: prose.match(/\d([\d,.]*\d)?/g)?.toSorted(),
      };
    });
    expect(chinese).toEqual(english);
  },
);
