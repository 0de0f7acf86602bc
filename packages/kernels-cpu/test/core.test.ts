// Lists of kernels: a back end with some kernels computes the same, and refuses what they do not
// compute, with a message that names its kernels and where the others are.

import { add, avgPool, conv, grad, matmul, maxPool, relu, sum, tanh } from "@conv/ops";
import { isConvError, jit, tensor, UnsupportedError, type Value } from "@conv/tensor";
import { describe, expect, it } from "vitest";
import * as core from "../src/core.ts";
import {
  convolution,
  createCpu,
  direct,
  fused,
  igemm,
  inference,
  kernels,
  simd256,
} from "../src/core.ts";
import { createCpu as createWhole } from "../src/index.ts";

const data = (n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i));
const layer = (x: Value, w: Value) => maxPool(relu(conv(x, w, { padding: 1 })), 2);
const OTHERS = "other kernels are in @conv/kernels-cpu/core, all of them in its list kernels";

/** The error that a call throws, with its code and values. */
function thrown(call: () => unknown) {
  try {
    call();
  } catch (error) {
    if (isConvError(error)) return error;
    throw error;
  }
  throw new Error("it threw no error");
}

describe("createCpu of core", () => {
  it("computes with a list what the back end with all kernels computes", async () => {
    const results = [() => createCpu({ kernels: inference, threads: 1 }), createWhole].map(
      async (create) => {
        using cpu = await create({ threads: 1 });
        const [x, w] = [
          tensor(cpu, data(3 * 144), [1, 3, 12, 12]),
          tensor(cpu, data(8 * 27), [8, 3, 3, 3]),
        ];
        return [...(await jit(layer)(x, w).read())];
      },
    );
    const [some, all] = await Promise.all(results);
    expect(some).toEqual(all);
  });

  it("computes with one kernel", async () => {
    using cpu = await createCpu({ kernels: [fused], threads: 1 });
    const y = jit((x: Value) => add(tanh(x), relu(x)))(tensor(cpu, [-1, 2], [2]));
    expect([...(await y.read())].map((v) => v.toFixed(4))).toEqual(["-0.7616", "2.9640"]);
  });

  it("exports every kernel by name, and lists that contain one another", () => {
    const exported = Object.values(core).filter((value) => "build" in value);
    expect(new Set(kernels)).toEqual(new Set(exported));
    expect(kernels).toEqual(expect.arrayContaining([...inference]));
    expect(inference).toEqual(expect.arrayContaining([...convolution]));
    expect([convolution, inference, kernels].map((list) => new Set(list).size)).toEqual([
      convolution.length,
      inference.length,
      kernels.length,
    ]);
  });

  it.each([
    ["convGradWeight", (x: Value, w: Value) => grad(sum(conv(x, w)), [w])],
    ["maxPoolGrad", (x: Value) => grad(sum(maxPool(x, 2)), [x])],
    ["avgPoolGrad", (x: Value) => grad(sum(avgPool(x, 2)), [x])],
  ])("refuses %s, and names its kernels and where the others are", async (op, gradient) => {
    using cpu = await createCpu({ kernels: inference, threads: 1 });
    const [x, w] = [
      tensor(cpu, data(3 * 144), [1, 3, 12, 12]),
      tensor(cpu, data(8 * 27), [8, 3, 3, 3]),
    ];
    const error = thrown(() => jit((a, b) => [...gradient(a, b)])(x, w));
    expect(error).toBeInstanceOf(UnsupportedError);
    const names = inference.map(({ name }) => name).join(", ");
    expect(error).toMatchObject({ code: "no-kernel", op, values: { kernels: names } });
    const { inputs } = error.values;
    expect(error.message).toBe(
      `${op}: no kernel of the list computes this op (inputs ${inputs}); the list has ${names}; ${OTHERS}`,
    );
  });

  it("refuses a task of its ops with the reasons of its kernels", async () => {
    using cpu = await createCpu({ kernels: [direct, fused], threads: 1 });
    const [x, w] = [
      tensor(cpu, data(3 * 16), [1, 3, 4, 4]),
      tensor(cpu, data(32 * 27), [32, 3, 3, 3]),
    ];
    const error = thrown(() => jit((a: Value, b: Value) => conv(a, b))(x, w));
    expect(error).toMatchObject({
      code: "no-kernel",
      values: {
        inputs: "float32 1×3×4×4, float32 32×3×3×3",
        reasons: "direct keeps at most 18 output channels per group, not 32",
      },
    });
    expect(error.message).toBe(
      `conv: no kernel computes inputs float32 1×3×4×4, float32 32×3×3×3: direct keeps at most 18 output channels per group, not 32; ${OTHERS}`,
    );
  });

  it("takes the trial of 256-bit registers as a value", async () => {
    using cpu = await createCpu({ kernels: [fused], threads: 1, simd256 });
    expect([cpu.caps.simd256, cpu.simd256Reason]).toEqual([
      false,
      "no kernel of the list is made for 256 bits",
    ]);
  });

  it("takes the options of the back end with all kernels", async () => {
    using cpu = await createCpu({
      kernels: convolution,
      threads: 2,
      precision: "exact",
      prefer: ["igemm"],
    });
    expect(cpu.caps).toMatchObject({ threads: 2, roundoff: 0, prefer: ["igemm"] });
  });

  it("refuses a list that is none, or holds what is no kernel", async () => {
    const without = createCpu as (options?: object) => Promise<unknown>;
    const message =
      /^cpu: kernels is (undefined|Array|string), must be a list of kernels: convolution, inference or kernels of @conv\/kernels-cpu\/core, or some kernels of it$/;
    for (const options of [undefined, {}, { kernels: "igemm" }, { kernels: ["igemm"] }])
      await expect(without(options)).rejects.toThrow(message);
    await expect(without({ kernels: "all" })).rejects.toMatchObject({
      name: "RangeError",
      code: "kernels",
      values: { kernels: "string" },
    });
    await expect(without({ kernels, simd256: true })).rejects.toThrow(
      "cpu: simd256 is boolean, must be simd256 of @conv/kernels-cpu/core",
    );
  });
});

describe("createCpu of the main entry point", () => {
  it("takes a list, too", async () => {
    using cpu = await createWhole({ kernels: [igemm, fused], threads: 1 });
    const product = jit((a: Value) => matmul(a, a));
    expect(() => product(tensor(cpu, data(4), [2, 2]))).toThrow(
      `matmul: no kernel of the list computes this op (inputs float32 2×2, float32 2×2); the list has igemm, elementwise; ${OTHERS}`,
    );
  });
});
