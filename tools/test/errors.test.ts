// The catalog of errors: the code of each, its sentence, and the names of its values. Codes and
// names of values are public, as programs and the pages of the playground read them: the snapshot
// shows every change.

import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  createSourceFile,
  forEachChild,
  isCallExpression,
  isIdentifier,
  isObjectLiteralExpression,
  isStringLiteralLike,
  isTaggedTemplateExpression,
  isTemplateExpression,
  ScriptTarget,
  type Expression,
  type Node,
  type TaggedTemplateExpression,
} from "typescript-6";
import { expect, test } from "vitest";
import { root } from "../src/workspace.ts";

interface Entry {
  readonly file: string;
  readonly code: string;
  /** With the names of values in braces. */
  readonly sentence: string;
}

const sources = globSync(["packages/*/src/**/*.ts", "apps/playground/src/**/*.{ts,tsx}"], {
  cwd: root,
});

/** Calls of the form `thrower(op, "code", message`…`)`. */
function entriesOf(file: string): Entry[] {
  const found: Entry[] = [];
  const visit = (node: Node): void => {
    if (isCallExpression(node))
      node.arguments.forEach((argument, i) => {
        if (!isMessage(argument)) return;
        const code = node.arguments[i - 1];
        found.push({
          file,
          code: code ? textOf(code) : "",
          sentence: textOf(argument.template),
        });
      });
    forEachChild(node, visit);
  };
  visit(createSourceFile(file, readFileSync(join(root, file), "utf8"), ScriptTarget.Latest, true));
  return found;
}

const isMessage = (node: Expression): node is TaggedTemplateExpression =>
  isTaggedTemplateExpression(node) && isIdentifier(node.tag) && node.tag.text === "message";

/** A string with the expressions in braces; for an object its names. */
function textOf(node: Expression): string {
  if (isStringLiteralLike(node)) return node.text;
  if (!isTemplateExpression(node)) return `{${node.getText()}}`;
  return node.templateSpans.reduce(
    (text, { expression, literal }) => `${text}{${namesOf(expression)}}${literal.text}`,
    node.head.text,
  );
}

const namesOf = (facts: Expression): string =>
  isObjectLiteralExpression(facts)
    ? facts.properties.map(({ name }) => name?.getText()).join()
    : facts.getText();

const entries = sources.flatMap(entriesOf);

test("every error has a code in kebab case", () => {
  expect(entries.length).toBeGreaterThan(200);
  for (const { code, file } of entries)
    expect(code.replace(/\{\w+\}/, "computed"), file).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/);
});

test("the catalog of errors", async () => {
  const lines = entries.map(
    ({ file, code, sentence }) => `${file.split("/")[1].padEnd(11)} ${code}: ${sentence}`,
  );
  await expect(`${[...new Set(lines)].toSorted().join("\n")}\n`).toMatchFileSnapshot(
    "__snapshots__/errors.txt",
  );
});
