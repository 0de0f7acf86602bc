// Losses on tensors, and what they refuse; their values and gradients are held against PyTorch's in @conv/testkit.

import { createHost, tensor } from "@conv/tensor";
import { describe, expect, test } from "vitest";
import { absoluteError, binaryCrossEntropy, crossEntropy, dice, hinge, huber } from "../src/index.ts";

const host = createHost();
const zeros = (...shape: number[]) => tensor(host, new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);
const labels = (...values: number[]) => tensor(host, values, [values.length], "int32");

test("run on tensors at once, class weights too, and leave nothing behind", async () => {
  const before = host.memory().buffers;
  {
    using x = tensor(host, [0, Math.log(3), 0, 0], [2, 2]);
    using y = labels(1, 0);
    using loss = crossEntropy(x, y, { weights: [1, 3] });
    const [value] = await loss.read();
    expect(value).toBeCloseTo((-3 * Math.log(0.75) - Math.log(0.5)) / 4, 6);
  }
  expect(host.memory().buffers).toBe(before);
});

test("a logarithm of 0 counts as −100", async () => {
  const [value] = await binaryCrossEntropy(tensor(host, [0, 1]), tensor(host, [1, 1])).read();
  expect(value).toBe(50);
});

describe("errors", () => {
  test.each([
    [() => crossEntropy(zeros(2, 3), labels(1)), "crossEntropy: logits 2×3 and labels 1 are not n×classes and n"],
    [() => crossEntropy(zeros(2, 3, 4), labels(1)), "crossEntropy: logits 2×3×4 and labels 1 are not n×classes×space and n×space"],
    [() => crossEntropy(zeros(0, 3), labels()), "crossEntropy: the batch is empty (axis 0)"],
    [() => crossEntropy(zeros(1, 3), labels(1), { labelSmoothing: 1 }), "crossEntropy: label smoothing 1 is not in [0, 1)"],
    [() => crossEntropy(zeros(1, 3), labels(1), { weights: [1] }), "crossEntropy: 1 weights for 3 classes"],
    [() => absoluteError(zeros(2), zeros(3)), "absoluteError: output has shape 2, target has 3"],
    [() => huber(zeros(2), zeros(2), { delta: 0 }), "huber: delta 0 is not a finite number > 0"],
    [() => hinge(zeros(2, 3), labels(0)), "hinge: scores 2×3 and labels 1 are not n×classes and n"],
    [() => dice(zeros(2, 3), zeros(2, 3)), "dice: output has shape 2×3, needs samples, channels and space"],
  ])("%#", (run, message) => expect(run).toThrow(message));
});
