// The entry point without the kernels of training: the same results, and errors that name the other
// entry point.

import { avgPool, conv, grad, maxPool, relu, sum } from "@conv/ops";
import { jit, tensor, UnsupportedError, type Value } from "@conv/tensor";
import { expect, it } from "vitest";
import { createCpu as createWhole } from "../src/index.ts";
import { createCpu } from "../src/inference.ts";

const data = (n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i));
const layer = (x: Value, w: Value) => maxPool(relu(conv(x, w, { padding: 1 })), 2);

it("gives the results of the whole back end", async () => {
  const results = [createCpu, createWhole].map(async (create) => {
    using cpu = await create({ threads: 1 });
    const [x, w] = [
      tensor(cpu, data(3 * 144), [1, 3, 12, 12]),
      tensor(cpu, data(8 * 27), [8, 3, 3, 3]),
    ];
    return [...(await jit(layer)(x, w).read())];
  });
  const [some, all] = await Promise.all(results);
  expect(some).toEqual(all);
});

it.each([
  ["convGradWeight", (x: Value, w: Value) => grad(sum(conv(x, w)), [w])],
  ["maxPoolGrad", (x: Value) => grad(sum(maxPool(x, 2)), [x])],
  ["avgPoolGrad", (x: Value) => grad(sum(avgPool(x, 2)), [x])],
])("refuses %s and says where its kernels are", async (op, gradient) => {
  using cpu = await createCpu({ threads: 1 });
  const [x, w] = [
    tensor(cpu, data(3 * 144), [1, 3, 12, 12]),
    tensor(cpu, data(8 * 27), [8, 3, 3, 3]),
  ];
  const run = () => jit((a, b) => [...gradient(a, b)])(x, w);
  expect(run).toThrow(UnsupportedError);
  expect(run).toThrow(
    new RegExp(
      `^${op}: no kernel for inputs float32 .*; createCpu of @conv/kernels-cpu has the kernels that only training needs\\)$`,
    ),
  );
});

it("takes the options of the whole back end and no others", async () => {
  using cpu = await createCpu({ threads: 2, precision: "exact", prefer: ["igemm"] });
  expect(cpu.caps).toMatchObject({ threads: 2, roundoff: 0, prefer: ["igemm"] });
  await expect(createCpu(Object.assign({ threads: 1 }, { kernels: [] }))).rejects.toThrow(
    /^cpu: there is no option "kernels"; there are threads, /,
  );
});
