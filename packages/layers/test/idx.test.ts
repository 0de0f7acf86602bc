import { expect, test } from "vitest";
import { decodeIdx } from "../src/index.ts";

const file = (...bytes: number[]) => Uint8Array.from(bytes);

test("reads bytes of any shape", () => {
  expect(decodeIdx(file(0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6))).toEqual({
    shape: [2, 3],
    data: file(1, 2, 3, 4, 5, 6),
  });
  expect(decodeIdx(file(9, 0, 0, 8, 1, 0, 0, 0, 1, 7).subarray(1))).toEqual({
    shape: [1],
    data: file(7),
  });
});

test.each([
  [file(0, 0, 8), "idx: not an IDX file: it does not begin with two zero bytes"],
  [file(31, 139, 8, 0, 0), "idx: not an IDX file: it does not begin with two zero bytes"],
  [
    file(0, 0, 13, 1, 0, 0, 0, 0),
    "idx: the elements have type 13, only type 8 (unsigned bytes) is supported",
  ],
  [file(0, 0, 8, 9, 0, 0, 0, 1), "idx: the file has 9 axes, the limit is 8"],
  [
    file(0, 0, 8, 3, 0, 0, 0, 1),
    "idx: the file has 8 bytes, but the sizes of its 3 axes end at 16; it is truncated",
  ],
  [
    file(0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 2, 1),
    "idx: the file has 1 elements, its shape 2×2 needs 4",
  ],
  [file(0, 0, 8, 1, 0, 0, 0, 1, 1, 2), "idx: the file has 2 elements, its shape 1 needs 1"],
])("a file that is none is refused", (bytes, message) =>
  expect(() => decodeIdx(bytes)).toThrow(message),
);
