// Element types: bytes, arrays, conversion of numbers to 16 bits and back, and constants.

import { describe, expect, test } from "vitest";
import {
  bytesOf,
  constant,
  constantsOf,
  createHost,
  decodeElements,
  dtypeNames,
  dtypes,
  encodeElements,
  graphOf,
  jit,
  optimize,
  roundTo,
  spec,
  tensor,
  trace,
  vjp,
  type DType,
} from "../src/index.ts";
import { add, mul } from "./ops.ts";

test.each<[DType, number]>([
  ["float32", 4],
  ["int32", 4],
  ["uint8", 1],
  ["int8", 1],
  ["float16", 2],
  ["bfloat16", 2],
])("%s takes %i bytes for each element", (dtype, bytes) => {
  expect(bytesOf(spec([2, 3], dtype))).toBe(6 * bytes);
  expect(new dtypes[dtype].Array(1).byteLength).toBe(bytes);
});

test.each(dtypeNames)("a tensor of %s holds what is written", async (dtype) => {
  const host = createHost();
  const t = tensor(host, [1, 0, 2], [3], dtype);
  const read = await t.read();
  expect(read).toBeInstanceOf(dtypes[dtype].Array);
  expect([...decodeElements(dtype, read.slice().buffer, 3)]).toEqual([1, 0, 2]);
  t.write(read); // elements as they are: bits of 16-bit types
  expect(await t.read()).toEqual(read);
});

test.each<[DType, number]>([
  ["uint8", 256],
  ["uint8", -1],
  ["int8", 128],
  ["int8", 1.5],
])("%s refuses %d, with its range", (dtype, value) => {
  expect(() => tensor(createHost(), [value], [1], dtype)).toThrow(
    expect.objectContaining({
      name: "ShapeError",
      code: "value-range",
      values: expect.objectContaining({ index: 0, value, dtype }),
    }),
  );
});

describe("16-bit floating point", () => {
  // IEEE 754 binary16, and bfloat16 (the upper half of binary32)
  test.each<[DType, number, number]>([
    ["float16", 1, 0x3c00],
    ["float16", -2, 0xc000],
    ["float16", 65504, 0x7bff],
    ["float16", 65519.99, 0x7bff],
    ["float16", 65520, 0x7c00],
    ["float16", -Infinity, 0xfc00],
    ["float16", -0, 0x8000],
    ["float16", 2 ** -24, 0x0001],
    ["float16", 2 ** -25, 0x0000],
    ["float16", 1.5 * 2 ** -24, 0x0002],
    ["float16", 2 ** -14 - 2 ** -24, 0x03ff],
    ["float16", 2 ** -14 - 2 ** -26, 0x0400],
    ["float16", 1 + 2 ** -11, 0x3c00],
    ["float16", 1 + 3 * 2 ** -11, 0x3c02],
    ["float16", 0.1, 0x2e66],
    ["bfloat16", 1, 0x3f80],
    ["bfloat16", 3.140625, 0x4049],
    ["bfloat16", 1 + 2 ** -8, 0x3f80],
    ["bfloat16", 1 + 3 * 2 ** -8, 0x3f82],
    ["bfloat16", 2 ** -133, 0x0001],
    ["bfloat16", 3.4e38, 0x7f80],
    ["bfloat16", -3.38e38, 0xff7e],
  ])("%s of %d is 0x%x", (dtype, value, bits) => {
    expect(encodeElements(dtype, [value])).toEqual(Uint16Array.of(bits));
  });

  test.each<DType>(["float16", "bfloat16"])("every %s comes back as it was", (dtype) => {
    const every = Uint16Array.from({ length: 2 ** 16 }, (_, i) => i);
    const numbers = decodeElements(dtype, every.buffer, every.length);
    const back = encodeElements(dtype, numbers);
    const wrong = [...every].filter((bits, i) =>
      Number.isNaN(numbers[i]) ? !Number.isNaN(decodeOne(dtype, back[i])) : back[i] !== bits,
    );
    expect(wrong).toEqual([]);
    if (dtype === "bfloat16") {
      const wide = new Float32Array(Uint32Array.from(every, (bits) => bits << 16).buffer);
      expect(numbers.every((v, i) => Object.is(v, wide[i]))).toBe(true);
    }
  });

  const decodeOne = (dtype: DType, bits: number) =>
    decodeElements(dtype, Uint16Array.of(bits).buffer, 1)[0];

  test("numbers between two neighbors go to the nearer, and the middle to the even one", () => {
    for (const dtype of ["float16", "bfloat16"] as const)
      for (let bits = 0; bits < 0x7b00; bits += 7) {
        const [low, high] = [decodeOne(dtype, bits), decodeOne(dtype, bits + 1)];
        const even = bits % 2 ? high : low;
        for (const [share, want] of [
          [0.25, low],
          [0.5, even],
          [0.75, high],
        ] as const)
          expect(roundTo(dtype, low + (high - low) * share)).toBe(want);
      }
  });
});

describe("constants", () => {
  test("are read by programs without a place among the inputs, and are uploaded once", async () => {
    const host = createHost();
    const twos = constant([2, 2, 2], [3]);
    const f = jit((x) => add(mul(x, twos), constant([1, 2, 3], [3])));
    const before = host.memory();
    expect(await f(tensor(host, [1, 2, 3])).read()).toEqual(Float32Array.of(3, 6, 9));
    expect(host.memory().programBytes - before.programBytes).toBe(24);
    f.dispose();
    expect(host.memory().programBytes).toBe(before.programBytes);
  });

  test("keep NaN and −0, and a copy of the data", async () => {
    const data = Float32Array.of(NaN, -0, 5);
    const c = constant(data);
    data[2] = 7;
    const program = createHost();
    const out = program.alloc(12);
    program.compile(graphOf([], [c])).run([], [out]);
    expect(new Float32Array(await program.read(out))).toEqual(Float32Array.of(NaN, -0, 5));
  });

  test("are equal only to themselves", () => {
    const [a, b] = [constant([1]), constant([1])];
    const once = trace((x) => [add(x, a), add(x, a)], [spec([1])]);
    const twice = trace((x) => [add(x, a), add(x, b)], [spec([1])]);
    expect(optimize(once).nodes).toHaveLength(1);
    expect(optimize(twice).nodes).toHaveLength(2);
    expect(constantsOf(optimize(twice))).toEqual([a, b]);
  });

  test("have gradients where they are asked for, and stop none", () => {
    const c = constant([3]);
    const graph = trace((x) => mul(x, c), [spec([1])]);
    const [dx, dc] = vjp(graph.outputs, [constant([1])], [graph.inputs[0], c], add);
    expect(dx).not.toBeNull();
    expect(dc).not.toBeNull();
  });

  test("of any dtype are checked", () => {
    expect(constant([1, 255], [2], "uint8").data).toEqual(Uint8Array.of(1, 255));
    expect(() => constant([256], [1], "uint8")).toThrow("constant: value 0 is 256; uint8 holds");
    expect(() => constant([1, 2], [3])).toThrow("constant: 2 values do not fill shape 3");
  });

  test("that find no room leave nothing", () => {
    const host = createHost();
    const graph = trace((x) => mul(x, constant([1])), [spec([1])]);
    host.dispose();
    expect(() => host.compile(graph)).toThrow("disposed");
    expect(host.memory().programs).toBe(0);
  });
});
