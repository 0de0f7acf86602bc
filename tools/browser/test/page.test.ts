// The page that these tests run on is what its project says it is.

import { expect, inject, test } from "vitest";

test("memory can be shared just where the page is isolated", () => {
  expect(crossOriginIsolated).toBe(inject("isolated"));
  expect(typeof SharedArrayBuffer).toBe(inject("isolated") ? "function" : "undefined");
});
