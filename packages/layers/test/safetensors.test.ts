import { FileError, UnsupportedError } from "@conv/tensor";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeSafetensors, encodeSafetensors, type State } from "../src/index.ts";
import { failure } from "./tiny.ts";

const utf8 = new TextEncoder();

/** A file with this header and so many bytes of data. */
function file(
  header: unknown,
  data = 0,
  text = typeof header === "string" ? header : JSON.stringify(header),
): Uint8Array {
  const json = utf8.encode(text);
  const bytes = new Uint8Array(8 + json.length + data);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}
const f32 = (begin: number, end: number, shape = [(end - begin) / 4]) => ({
  dtype: "F32",
  shape,
  data_offsets: [begin, end],
});

describe("what is written is read", () => {
  const names = fc.string({ unit: "binary", maxLength: 12 }).filter((s) => s !== "__metadata__");
  const saved = fc.array(fc.nat(4), { maxLength: 3 }).chain((shape) =>
    fc
      .float32Array({
        minLength: shape.reduce((a, b) => a * b, 1),
        maxLength: shape.reduce((a, b) => a * b, 1),
      })
      .map((data) => ({ shape, data })),
  );
  const states = fc.uniqueArray(fc.tuple(names, saved), {
    selector: ([name]) => name,
    maxLength: 6,
  });

  test("any names, shapes, numbers and texts, at any offset in memory", () => {
    fc.assert(
      fc.property(
        states,
        fc.dictionary(fc.string(), fc.string()),
        fc.nat(7),
        (entries, metadata, shift) => {
          const state: State = new Map(entries);
          const bytes = encodeSafetensors(state, metadata);
          const moved = new Uint8Array(bytes.length + shift).subarray(shift);
          moved.set(bytes);
          const back = decodeSafetensors(moved);
          expect(new Map(back.state)).toEqual(state);
          expect(Object.entries(back.metadata).toSorted()).toEqual(
            Object.entries(metadata).toSorted(),
          );
          expect(new DataView(bytes.buffer).getBigUint64(0, true) % 8n).toBe(0n);
        },
      ),
    );
  });

  test("as the format says, byte by byte", () => {
    const bytes = encodeSafetensors(
      new Map([["a", { shape: [2], data: Float32Array.of(1, -2) }]]),
      { by: "x" },
    );
    const header =
      '{"__metadata__":{"by":"x"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}';
    expect(bytes).toEqual(
      Uint8Array.from([
        header.length,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        ...utf8.encode(header),
        0,
        0,
        128,
        63,
        0,
        0,
        0,
        192,
      ]),
    );
  });

  test("the order in the file need not be that of the header", () => {
    const bytes = file({ b: f32(4, 8), a: f32(0, 4), none: f32(4, 4, [0, 3]) }, 8);
    new DataView(bytes.buffer).setFloat32(bytes.length - 4, 7, true);
    const { state } = decodeSafetensors(bytes);
    expect([...state.keys()]).toEqual(["b", "a", "none"]);
    expect([...state.get("b")!.data]).toEqual([7]);
    expect(state.get("none")).toEqual({ shape: [0, 3], data: new Float32Array(0) });
  });

  test("what can't be written is refused", () => {
    expect(() =>
      encodeSafetensors(new Map([["__metadata__", { shape: [], data: new Float32Array(1) }]])),
    ).toThrow(
      failure(
        "FileError",
        "safetensors: a tensor has the name __metadata__, which the format reserves; rename it",
      ),
    );
    expect(() =>
      encodeSafetensors(new Map([["w", { shape: [3], data: new Float32Array(2) }]])),
    ).toThrow(failure("FileError", "safetensors: w has 2 values for shape 3"));
    expect(() =>
      encodeSafetensors(new Map([["w".repeat(1025), { shape: [], data: new Float32Array(1) }]])),
    ).toThrow(
      failure(
        "FileError",
        "safetensors: the header has a name of 1025 characters, the limit is 1024",
      ),
    );
    expect(() => encodeSafetensors(new Map(), { text: "x".repeat(2 ** 24) })).toThrow(
      failure("FileError", "safetensors: the header takes 16777248 bytes, the limit is 16777216"),
    );
  });
});

const manyKeys = (value: string) =>
  Array.from({ length: 400_001 }, (_, i) => `"${i}":${value}`).join();

describe("a bad file is refused, and the message says why", () => {
  const huge = file({}, 0);
  new DataView(huge.buffer).setBigUint64(0, 2n ** 60n, true);
  const cases: [string, Uint8Array, string][] = [
    [
      "empty",
      new Uint8Array(0),
      "not a safetensors file: it has 0 bytes, fewer than the 8 of the header length",
    ],
    [
      "truncated header",
      file({ a: f32(0, 4) }).subarray(0, 20),
      "the header takes 54 bytes, but 12 follow its length; the file is truncated",
    ],
    [
      "huge header",
      huge,
      "not a safetensors file: its header would take 1152921504606846976 bytes, the limit is 16777216",
    ],
    ["no JSON", file("{x"), "not a safetensors file: the header is not valid JSON"],
    [
      "no UTF-8",
      file('{"\u{1}'.replace("\u{1}", "\u{ff}")).map((b, i) => (i === 10 ? 0xff : b)),
      "not a safetensors file: the header is not valid JSON",
    ],
    ["deep JSON", file(`{"a":${"[".repeat(200000)}`), "the header is nested deeper than 3 levels"],
    [
      "deep JSON up to the limit of the header",
      file(`{"a":${"[".repeat(2 ** 24 - 5)}`),
      "the header is nested deeper than 3 levels",
    ],
    ["many objects", file(`{${manyKeys("{}")}}`), "the header has more than 400000 names"],
    [
      "many texts",
      file(`{"__metadata__":{${manyKeys('""')}}}`),
      "the header has more than 400000 names",
    ],
    [
      "a long list",
      file({ a: { dtype: "F32", shape: Array(65).fill(1), data_offsets: [0, 4] } }, 4),
      "the header has a list of more than 64 values",
    ],
    [
      "a long name",
      file({ ["n".repeat(1025)]: f32(0, 0) }),
      "the header has a name of 1025 characters, the limit is 1024",
    ],
    [
      "a very long name",
      file({ ["n".repeat(2 ** 20)]: f32(0, 0) }),
      "the header has a name of more than 1024 characters",
    ],
    ["an unfinished name", file('{"a'), "not a safetensors file: the header is not valid JSON"],
    ["an unfinished escape", file('{"a\\'), "not a safetensors file: the header is not valid JSON"],
    [
      "a name with control characters",
      file({ "\u001b[2J\n\u202e": {} }),
      "\\u{1b}[2J\\u{a}\\u{202e} has no dtype",
    ],
    [
      "a name that is cut in the message",
      file({ ["n".repeat(1000)]: {} }),
      `${"n".repeat(80)}… has no dtype`,
    ],
    [
      "−0",
      file('{"a":{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}}'),
      "a has a shape that is not a list of whole numbers ≥ 0",
    ],
    ["a list", file("[]"), "not a safetensors file: the header is not a JSON object"],
    ["space first", file(" {}"), "not a safetensors file: the header is not a JSON object"],
    [
      "duplicate",
      file('{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"\\u0061" : {}}'),
      'the header has the key "a" twice',
    ],
    [
      "duplicate inside",
      file('{"a":{"shape":[0],"dtype":"F32","shape":[1],"data_offsets":[0,0]}}'),
      'the header has the key "shape" twice',
    ],
    ["tensor no object", file({ a: 1 }), "a has a description that is not a JSON object"],
    ["no dtype", file({ a: {} }), "a has no dtype"],
    [
      "no shape",
      file({ a: { dtype: "F32" } }),
      "a has a shape that is not a list of whole numbers ≥ 0",
    ],
    [
      "negative shape",
      file({ a: { dtype: "F32", shape: [-1], data_offsets: [0, 4] } }),
      "a has a shape that is not a list of whole numbers ≥ 0",
    ],
    [
      "too large",
      file({ a: { dtype: "F32", shape: [2 ** 40, 2 ** 40], data_offsets: [0, 4] } }),
      "a of shape 1099511627776×1099511627776 is too large",
    ],
    [
      "no offsets",
      file({ a: { dtype: "F32", shape: [1] } }),
      "a has data_offsets that are not two ascending whole numbers ≥ 0",
    ],
    [
      "descending",
      file({ a: { dtype: "F32", shape: [1], data_offsets: [4, 0] } }),
      "a has data_offsets that are not two ascending whole numbers ≥ 0",
    ],
    [
      "span",
      file({ a: f32(0, 8, [3]) }, 8),
      "a of shape 3 takes 12 bytes, its data_offsets span 8",
    ],
    [
      "overlap",
      file({ a: f32(0, 8), b: f32(4, 12) }, 12),
      "b begins at byte 4, inside the tensor that ends at 8",
    ],
    ["gap", file({ a: f32(0, 4), b: f32(8, 12) }, 12), "bytes 4 to 8 before b belong to no tensor"],
    [
      "truncated data",
      file({ a: f32(0, 8) }, 7),
      "a ends at byte 8 of the data, the file has 7; it is truncated",
    ],
    [
      "trailing bytes",
      file({ a: f32(0, 8) }, 9),
      "1 bytes after the last tensor belong to no tensor",
    ],
    ["metadata", file({ __metadata__: [] }), "__metadata__ is not an object of strings"],
    [
      "metadata text",
      file({ __metadata__: { n: 1 } }),
      '__metadata__ has a value for "n" that is not a string',
    ],
  ];
  test.each(cases)("%s", (_, bytes, message) =>
    expect(() => decodeSafetensors(bytes)).toThrow(failure("FileError", `safetensors: ${message}`)),
  );

  test("other element types", () => {
    expect(() =>
      decodeSafetensors(file({ a: { dtype: "BF16", shape: [2], data_offsets: [0, 4] } }, 4)),
    ).toThrow(
      expect.objectContaining({
        name: "UnsupportedError",
        message: "safetensors: a has dtype BF16; only F32 and I64 can be read",
        code: "dtype-unsupported",
        values: { tensor: "a", dtype: "BF16" },
      }),
    );
  });

  test("whole numbers of 64 bits are read as float32 where that holds them", () => {
    const long = (value: bigint) => {
      const bytes = file(
        { "bn1.num_batches_tracked": { dtype: "I64", shape: [], data_offsets: [0, 8] } },
        8,
      );
      new DataView(bytes.buffer).setBigInt64(bytes.length - 8, value, true);
      return () => decodeSafetensors(bytes).state.get("bn1.num_batches_tracked");
    };
    expect(long(5000n)()).toEqual({ shape: [], data: Float32Array.of(5000) });
    expect(long(-(2n ** 40n))()!.data[0]).toBe(-(2 ** 40));
    expect(long(2n ** 24n + 1n)).toThrow(
      expect.objectContaining({
        name: "UnsupportedError",
        message:
          "safetensors: bn1.num_batches_tracked contains 16777217, which float32 cannot represent exactly",
        code: "not-exact",
        values: { tensor: "bn1.num_batches_tracked", value: "16777217" },
      }),
    );
  });

  test("names that mean something to JavaScript are names", () => {
    const { state, metadata } = decodeSafetensors(
      file(
        '{"__metadata__":{"__proto__":"x"},"__proto__":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"constructor":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}',
      ),
    );
    expect([...state.keys()]).toEqual(["__proto__", "constructor"]);
    expect(Object.getPrototypeOf(metadata)).toBe(Object.prototype);
    expect(Object.entries(metadata)).toEqual([["__proto__", "x"]]);
  });

  test("bytes changed at random end in an error or in a sound state, never otherwise", () => {
    const good = encodeSafetensors(
      new Map([
        ["a.weight", { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }],
        ["b", { shape: [1], data: Float32Array.of(5) }],
      ]),
      { k: "v" },
    );
    const change = fc.tuple(
      fc.nat(good.length - 1),
      fc.oneof(fc.constantFrom(...utf8.encode('0123456789{}[]",:\\-eE.F')), fc.nat(255)),
    );
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1, maxLength: 4 }),
        fc.nat(good.length),
        (changes, length) => {
          const bytes = good.slice(0, length % 3 ? good.length : length);
          for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
          try {
            for (const { shape, data } of decodeSafetensors(bytes).state.values())
              expect(data).toHaveLength(shape.reduce((a, b) => a * b, 1));
          } catch (error) {
            if (!(error instanceof FileError || error instanceof UnsupportedError)) throw error;
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

test.each<[string, unknown, unknown, string]>([
  [
    "a shape of negative sizes",
    [-1, -1],
    undefined,
    "a has a shape that is not a list of whole numbers ≥ 0",
  ],
  [
    "a shape of fractions",
    [0.5, 2],
    undefined,
    "a has a shape that is not a list of whole numbers ≥ 0",
  ],
  [
    "metadata that are no texts",
    [1],
    { epoch: 1 },
    '__metadata__ has a value for "epoch" that is not a string',
  ],
  ["metadata that are a list", [1], ["x"], "__metadata__ is not an object of strings"],
])("nothing is written that could not be read again: %s", (_, shape, metadata, message) =>
  expect(() =>
    encodeSafetensors(
      new Map([["a", { shape: shape as number[], data: Float32Array.of(1) }]]),
      metadata as Record<string, string>,
    ),
  ).toThrow(message),
);

test("values that are no Float32Array are refused", () =>
  expect(() =>
    encodeSafetensors(new Map([["a", { shape: [1], data: [1e300] as unknown as Float32Array }]])),
  ).toThrow("a has data of kind Array"));
