// `pnpm start` as anyone runs it: it builds, serves with the headers that allow threads, and prints
// where.

import { expect, inject, test } from "vitest";

test("start prints an address of this machine, which serves the page and its digits", async () => {
  const address = inject("isolated");
  expect(inject("printed")).toContain(`Conv playground: ${address}\n`);
  const page = await fetch(address);
  expect(page.headers.get("cross-origin-opener-policy")).toBe("same-origin");
  expect(page.headers.get("cross-origin-embedder-policy")).toBe("require-corp");
  expect(await page.text()).toContain('<div id="root">');
  expect((await fetch(`${address}digits.bin`)).ok).toBe(true);
});
