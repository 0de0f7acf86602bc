// The networks of the literature answer and learn as PyTorch says, with the same weights.

import { createCpu } from "@conv/kernels-cpu";
import { crossEntropy, grad } from "@conv/ops";
import {
  bytesOf,
  createHost,
  graphOf,
  input,
  optimize,
  sizeOf,
  spec,
  type Backend,
} from "@conv/tensor";
import { networkGoldens, networkGradientGoldens, type NetworkGolden } from "@conv/testkit/goldens";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPredictor, traceModel } from "../src/index.ts";
import { make, scramble, weightsOf } from "./published.ts";

async function answers(
  backend: Backend,
  { name, input = [], step = 1, outputs = [] }: NetworkGolden,
) {
  const small = { ...make(name), input };
  using predictor = createPredictor(backend, small, weightsOf(small), { batch: 1 });
  const y = await predictor.predict(scramble("x", sizeOf(input), 2, -1));
  const largest = Math.max(...outputs.map(Math.abs));
  expect(largest).toBeGreaterThan(0);
  outputs.forEach((v, i) =>
    expect(
      Math.abs(y[step * i] - v) / largest,
      `output ${step * i}: ${y[step * i]}, want ${v}`,
    ).toBeLessThan(1e-4),
  );
}

describe("answers as PyTorch", () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await createCpu({ threads: 1 });
  });
  afterAll(() => backend.dispose());

  test.each(networkGoldens.filter((g) => g.outputs))("$name", { timeout: 60_000 }, (golden) =>
    answers(backend, golden),
  );
});

describe("learns as PyTorch", () => {
  test.each(networkGradientGoldens)(
    "$name",
    { timeout: 60_000 },
    async ({ name, input: sample, loss, norms, after }) => {
      const model = { ...make(name), input: sample };
      const { x, output, entries, values, updates } = traceModel(model, {
        batch: 2,
        training: true,
      });
      const labels = input(spec([2], "int32"), "labels");
      const error = crossEntropy(output, labels);
      const indexOf = ([tensor]: (typeof norms)[number]) =>
        entries.findIndex((e) => e.name === tensor);
      const gradients = grad(
        error,
        norms.map((row) => values[indexOf(row)]),
      );
      const outputs = [error, ...gradients, ...after.map((row) => updates[indexOf(row)] ?? error)];
      const backend = await createCpu({ threads: 1 });
      const program = backend.compile(optimize(graphOf([x, labels, ...values], outputs)));
      const put = (data: Float32Array | Int32Array) => {
        const buffer = backend.alloc(data.byteLength);
        backend.write(buffer, data);
        return buffer;
      };
      const images = scramble("x", 2 * sizeOf(sample), 2, -1);
      const results = outputs.map((v) => backend.alloc(bytesOf(v.spec)));
      program.run(
        [
          put(images),
          put(Int32Array.of(3, 7)),
          ...[...weightsOf(model).values()].map(({ data }) => put(data)),
        ],
        results,
      );
      const got = await Promise.all(
        results.map(async (buffer) =>
          Math.sqrt(
            new Float32Array(await backend.read(buffer)).reduce((sum, v) => sum + v * v, 0),
          ),
        ),
      );
      // PyTorch's own float32 is off by up to 8e-4 from the float64 of the goldens: units change
      // sides at the edge of a relu.
      [["loss", loss], ...norms, ...after].forEach(([what, want], i) =>
        expect(
          Math.abs(got[i] / Number(want) - 1),
          `${what}: ${got[i]}, want ${want}`,
        ).toBeLessThan(5e-3),
      );
      backend.dispose();
    },
  );
});

test("the host answers as PyTorch too", { timeout: 60_000 }, async () => {
  await answers(
    createHost(),
    networkGoldens.find((g) => g.name === "mobilenetV3Small")!,
  );
});
