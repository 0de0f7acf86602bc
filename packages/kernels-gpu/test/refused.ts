// Errors as tests expect them: kind, sentence, code and values.

import { expect } from "vitest";

export const refused = (
  name: "RangeError" | "UnsupportedError" | "Error",
  message: string | RegExp,
  code: string,
  values: object = {},
): Error =>
  expect.objectContaining({
    name,
    message: typeof message === "string" ? message : expect.stringMatching(message),
    code,
    values: expect.objectContaining(values),
  });
