// The generated code of small programs, as text beside this file: a change of a generator shows
// what it does to the code.

import {
  avgPoolGradOp,
  conv,
  matmul,
  maxPool,
  oneHot,
  padWith,
  poolGeometry,
  relu,
  select,
  softmax,
  sum,
  gather,
  tanh,
  transpose,
  upsample,
} from "@conv/ops";
import { node, spec, trace, type Spec, type Value } from "@conv/tensor";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createCpu, type CpuBackend } from "../src/index.ts";
import { moduleText } from "../src/wasm/text.ts";

let cpu: CpuBackend;
// Chosen by name: new figures for estimates change nothing here.
beforeAll(
  async () => void (cpu = await createCpu({ threads: 1, prefer: ["igemm", "thinMatmul"] })),
);
afterAll(() => cpu.dispose());

const programs: [string, Spec[], (...xs: Value[]) => Value][] = [
  ["relu of 7", [spec([7])], (x) => relu(x)],
  ["tanh of 3 by 5", [spec([3, 5])], (x) => tanh(x)],
  ["sum of 2 by 3 by 6 over the ends", [spec([2, 3, 6])], (x) => sum(x, [0, 2])],
  ["sum of 5 by 6 over the rows", [spec([5, 6])], (x) => sum(x, 0)],
  ["max pool 2 by 2 of 4 by 10", [spec([1, 2, 4, 10])], (x) => maxPool(x, 2)],
  [
    "average pool gradient 2 by 2 of 4 by 8",
    [spec([1, 1, 2, 4])],
    (dy) =>
      node(avgPoolGradOp, { ...poolGeometry(spec([1, 1, 4, 8]), 2), countIncludePad: true }, [
        dy,
      ])[0],
  ],
  ["softmax of rows of 10", [spec([3, 10])], (x) => softmax(x)],
  ["transpose of 6 by 9", [spec([6, 9])], (x) => transpose(x)],
  ["reflected 6 by 10", [spec([1, 2, 6, 10])], (x) => padWith(x, [2, 2], [1, 1], "reflect")],
  ["bilinear 4 by 6", [spec([1, 2, 4, 6])], (x) => upsample(x, { scaleFactor: 2, mode: "linear" })],
  ["some of rows of 9", [spec([3, 9])], (x) => select(x, [8, 0, 4, 4, 1])],
  [
    "taken from 5 rows of 9",
    [spec([1, 5, 9]), spec([1, 6], "int32")],
    (x, index) => gather(x, index),
  ],
  ["one-hot rows of 10", [spec([4], "int32")], (x) => oneHot(x, 10)],
  [
    "pointwise convolution and relu",
    [spec([1, 4, 4, 4]), spec([6, 4, 1, 1])],
    (x, w) => relu(conv(x, w)),
  ],
  ["matrix product 3 by 4 by 5", [spec([3, 4]), spec([4, 5])], (x, w) => matmul(x, w)],
];

async function matchesText(
  backend: CpuBackend,
  name: string,
  specs: readonly Spec[],
  fn: (...xs: Value[]) => Value,
): Promise<void> {
  const program = backend.compile(trace(fn, specs));
  await expect(`${moduleText(program.module)}\n`).toMatchFileSnapshot(
    `./__snapshots__/${name.replaceAll(" ", "-")}.txt`,
  );
  program.dispose();
}

it.each(programs)("%s", (name, specs, fn) => matchesText(cpu, name, specs, fn));

it("two steps shared by two threads", async () => {
  const two = await createCpu({ threads: 2 });
  await matchesText(two, "relu and transpose of 30 by 40 on two threads", [spec([30, 40])], (x) =>
    transpose(relu(x)),
  );
  two.dispose();
});
