// The vocabulary of padding: every input, kernel, stride and dilation up to 16 against the rules
// that TensorFlow, ONNX and PyTorch publish, written down here on their own; modes against what
// they mean; what is explained, and the text of every message.

import { input, spec, type Value } from "@conv/tensor";
import { describe, expect, test } from "vitest";
import {
  conv,
  convGeometry,
  convTranspose,
  convTransposeGeometry,
  explainPadding,
  formatPadding,
  keepsSize,
  padWith,
  paddingNames,
  resolvePadding,
  type PaddingMode,
  type PaddingName,
} from "../src/index.ts";
import { flat } from "./check.ts";

const x = (...shape: number[]): Value => input(spec(shape));
const MOST = 16;

/** The four numbers of every case, and the effective kernel. */
function everyCase(
  visit: (size: number, kernel: number, stride: number, dilation: number, span: number) => void,
  most = MOST,
): number {
  let cases = 0;
  for (let size = 1; size <= most; size++)
    for (let kernel = 1; kernel <= most; kernel++)
      for (let stride = 1; stride <= most; stride++)
        for (let dilation = 1; dilation <= most; dilation++) {
          visit(size, kernel, stride, dilation, dilation * (kernel - 1) + 1);
          cases++;
        }
  return cases;
}

/** What each system publishes, as [before, after]; null where it refuses. */
const published: Record<
  PaddingName,
  (size: number, kernel: number, stride: number, dilation: number) => [number, number] | null
> = {
  valid: () => [0, 0],
  full: (_, kernel, __, dilation) => [dilation * (kernel - 1), dilation * (kernel - 1)],
  // tensorflow.org/api_docs/python/tf/nn, "Notes on padding": if in % stride is 0, max(filter −
  // stride, 0), else max(filter − in % stride, 0).
  same(size, kernel, stride, dilation) {
    const filter = dilation * (kernel - 1) + 1;
    const along =
      size % stride === 0 ? Math.max(filter - stride, 0) : Math.max(filter - (size % stride), 0);
    const before = Math.floor(along / 2);
    return [before, along - before];
  },
  // onnx/docs/Operators.md, Conv: output_shape[i] = ceil(input_shape[i] / strides[i]); MaxPool:
  // pad_shape[i] = (output_shape[i] − 1)·strides[i] + ((kernel[i] − 1)·dilations[i] + 1) −
  // input_shape[i], "extra padding at the end for SAME_UPPER".
  "same-upper"(...numbers) {
    const [before, after] = onnxSame(...numbers);
    return [Math.min(before, after), Math.max(before, after)];
  },
  "same-lower"(...numbers) {
    const [before, after] = onnxSame(...numbers);
    return [Math.max(before, after), Math.min(before, after)];
  },
  // torch/nn/modules/conv.py: total_padding = d·(k − 1), left_pad = total_padding // 2; refused for
  // strided convolutions.
  "same-pytorch"(_, kernel, stride, dilation) {
    const total = dilation * (kernel - 1);
    return stride === 1 ? [Math.floor(total / 2), total - Math.floor(total / 2)] : null;
  },
  // keras/layers/convolutional/base_conv.py: left_pad = dilation_rate·(kernel_size − 1).
  causal: (_, kernel, __, dilation) => [dilation * (kernel - 1), 0],
};

function onnxSame(
  size: number,
  kernel: number,
  stride: number,
  dilation: number,
): [number, number] {
  const total = Math.max(
    0,
    (Math.ceil(size / stride) - 1) * stride + ((kernel - 1) * dilation + 1) - size,
  );
  return [Math.floor(total / 2), Math.ceil(total / 2)];
}

/** Windows that fit, one by one. */
function countWindows(padded: number, span: number, stride: number): number {
  let count = 0;
  while (count * stride + span <= padded) count++;
  return count;
}

test("every name at every size up to 16 pads as published, and makes as many outputs as windows fit", () => {
  const wrong: string[] = [];
  const cases = everyCase((size, kernel, stride, dilation, span) => {
    const { choices } = explainPadding({ input: size, kernel, stride, dilation });
    for (const [i, name] of paddingNames.entries()) {
      const { padLo, padHi, output } = choices[i];
      const want = published[name](size, kernel, stride, dilation);
      const outputs = want ? countWindows(size + want[0] + want[1], span, stride) : 0;
      const asMany =
        keepsSize(name) || name === "causal"
          ? Math.ceil(size / stride)
          : name === "full" && stride === 1
            ? size + span - 1
            : outputs;
      if (
        choices[i].name !== name ||
        padLo[0] !== want?.[0] ||
        padHi[0] !== want?.[1] ||
        (output?.[0] ?? 0) !== outputs ||
        outputs !== asMany
      )
        wrong.push(
          `${name} ${size}, ${kernel}, ${stride}, ${dilation}: ${padLo} + ${padHi} → ${output}, want ${want} → ${outputs}, ${asMany}`,
        );
    }
  });
  expect(cases).toBe(MOST ** 4);
  expect(wrong.slice(0, 10)).toEqual([]);
}, 60_000);

test("transposed: the same names give back the size that the convolution took, or input·stride", () => {
  const wrong: string[] = [];
  everyCase((size, kernel, stride, dilation, span) => {
    for (const padding of ["same", "same-lower", "valid", "full", "causal"] as const) {
      const outputSize = keepsSize(padding) ? undefined : stride * size;
      const whole = size * stride;
      const { padLo, padHi } = resolvePadding("conv", padding, [whole], [span], [stride]);
      if (!keepsSize(padding) && countWindows(whole + padLo[0] + padHi[0], span, stride) !== size)
        continue;
      const g = convTransposeGeometry(spec([1, 1, size]), spec([1, 1, kernel]), {
        stride,
        dilation,
        padding,
        outputSize,
      });
      const forward = convGeometry(spec([1, 1, whole]), spec([1, 1, kernel]), {
        stride,
        dilation,
        padding,
      });
      if (JSON.stringify(g) !== JSON.stringify(forward))
        wrong.push(`${padding} ${size}, ${kernel}, ${stride}, ${dilation}`);
    }
  }, 7);
  expect(wrong.slice(0, 10)).toEqual([]);
});

describe("values", () => {
  const row: [number[], number[]] = [
    [1, 1, 4],
    [1, 2, 3, 4],
  ];
  test.each<[PaddingMode, number[]]>([
    ["zeros", [0, 0, 1, 2, 3, 4, 0, 0, 0]],
    ["reflect", [3, 2, 1, 2, 3, 4, 3, 2, 1]],
    ["replicate", [1, 1, 1, 2, 3, 4, 4, 4, 4]],
    ["circular", [3, 4, 1, 2, 3, 4, 1, 2, 3]],
  ])("%s", (mode, want) => expect(flat((v) => padWith(v, [2], [3], mode), row)).toEqual(want));

  test("names for each axis on its own, with numbers and pairs beside them", () => {
    const y = conv(x(1, 1, 9, 9, 9), x(1, 1, 3, 3, 4), {
      padding: ["causal", [0, 1], "same"],
      stride: [1, 2, 2],
    });
    expect(y.shape).toEqual([1, 1, 9, 4, 5]);
    expect(y.node!.params).toMatchObject({ padLo: [2, 0, 1], padHi: [0, 1, 2] });
  });
});

test("what is explained for 3×3 and 4 wide, stride 2 and 1", () => {
  expect(formatPadding(explainPadding({ input: [224, 10], kernel: [3, 4], stride: [2, 1] }))).toBe(
    `input 224×10, kernel 3×4, stride 2×1, dilation 1×1

padding     zeros          output  TensorFlow                        Keras                                 PyTorch                 ONNX
valid       0 + 0 · 0 + 0  111×7   "VALID"                           "valid"                               padding=(0, 0)          auto_pad VALID
full        2 + 2 · 3 + 3  113×13  [(0, 0), (2, 2), (3, 3), (0, 0)]  ZeroPadding((2, 2), (3, 3)), "valid"  padding=(2, 3)          pads [2, 3, 2, 3]
same        0 + 1 · 1 + 2  112×10  "SAME"                            "same"                                F.pad(x, (1, 2, 0, 1))  auto_pad SAME_UPPER
same-upper  0 + 1 · 1 + 2  112×10  "SAME"                            "same"                                F.pad(x, (1, 2, 0, 1))  auto_pad SAME_UPPER
same-lower  1 + 0 · 2 + 1  112×10  [(0, 0), (1, 0), (2, 1), (0, 0)]  ZeroPadding((1, 0), (2, 1)), "valid"  F.pad(x, (2, 1, 1, 0))  auto_pad SAME_LOWER
same-pytorch  conv: padding "same-pytorch" takes stride 1 only, as PyTorch does, got 2 (axis h)
causal      2 + 0 · 3 + 0  112×10  [(0, 0), (2, 0), (3, 0), (0, 0)]  ZeroPadding((2, 0), (3, 0)), "valid"  F.pad(x, (3, 0, 2, 0))  pads [2, 3, 0, 0]
symmetric   1 + 1 · 1 + 1  112×9   [(0, 0), (1, 1), (1, 1), (0, 0)]  ZeroPadding((1, 1), (1, 1)), "valid"  padding=(1, 1)          pads [1, 1, 1, 1]

TensorFlow's and Keras's "same" and ONNX's SAME_UPPER pad 0 + 1, SAME_LOWER 1 + 0: the same size, shifted by one (axis h)
PyTorch's "same" refuses stride 2 (axis h)
symmetric padding 1 + 1 gives as many outputs as "same", 0 + 1, but each looks 1 further back (axis h)
TensorFlow's and Keras's "same" and ONNX's SAME_UPPER pad 1 + 2, SAME_LOWER 2 + 1: the same size, shifted by one (axis w)
symmetric padding 1 + 1 gives 9 outputs, "same" 10 (axis w)`,
  );
  const { choices, differences } = explainPadding({ input: 3, kernel: 5, stride: 2, dilation: 2 });
  expect(choices[0]).toEqual({
    name: "valid",
    padLo: [0],
    padHi: [0],
    output: null,
    problem:
      "conv: kernel 5 with dilation 2 covers 9 positions, but the padded input has 3; use a smaller kernel or more padding (axis w)",
    calls: null,
  });
  expect(choices.find((c) => c.name === "causal")!.calls!.keras).toBe('"causal"');
  expect(differences).toEqual([
    `PyTorch's "same" refuses stride 2 (axis w)`,
    "Keras refuses stride 2 together with dilation 2 (axis w)",
  ]);
  expect(explainPadding({ input: 9, kernel: 2, stride: 3 }).differences).toEqual([
    `PyTorch's "same" refuses stride 3 (axis w)`,
    "stride 3 is more than the span 2: inputs between windows are not read (axis w)",
  ]);
});

const messages: [() => unknown, string][] = [
  [
    () => conv(x(1, 1, 5, 5), x(1, 1, 3, 3), { padding: [1] }),
    "conv: padding has 1 entries for 2 spatial axes",
  ],
  [
    () => conv(x(1, 1, 5), x(1, 1, 3), { padding: ["same", "same"] }),
    "conv: padding has 2 entries for 1 spatial axes",
  ],
  [
    () => conv(x(1, 1, 5), x(1, 1, 3), { padding: "sam" as PaddingName }),
    'conv: padding "sam" is none of valid, full, same, same-upper, same-lower, same-pytorch, causal (axis w)',
  ],
  [
    () => conv(x(1, 1, 5, 5), x(1, 1, 3, 3), { padding: "same-pytorch", stride: [1, 2] }),
    'conv: padding "same-pytorch" takes stride 1 only, as PyTorch does, got 2 (axis w)',
  ],
  [
    () => padWith(x(1, 1, 4), [4], [0], "reflect"),
    "padWith: reflect padding 4 + 0 takes more than input 4 has, at most 3 (axis w)",
  ],
  [
    () => padWith(x(1, 1, 4, 9), [0, 1], [5, 0], "circular"),
    "padWith: circular padding 0 + 5 takes more than input 4 has, at most 4 (axis h)",
  ],
  [
    () => padWith(x(1, 1, 0), [1], [0], "replicate"),
    "padWith: replicate padding 1 + 0 takes more than input 0 has, at most 0 (axis w)",
  ],
  [
    () => padWith(x(1, 1, 4), [1, 1], [0], "zeros"),
    "padWith: padding has 2 entries for 1 spatial axes",
  ],
  [
    () => convTranspose(x(1, 1, 5), x(1, 1, 3), { stride: 2, outputSize: 14 }),
    "convTranspose: outputSize 14 cannot be reached; use 11 to 12 (axis w)",
  ],
  [
    () => convTranspose(x(1, 1, 5), x(1, 1, 3), { stride: 2, outputSize: 12, outputPadding: 1 }),
    "convTranspose: outputPadding and outputSize exclude each other; give one of them",
  ],
];
test.each(messages)("message %#", (call, message) => expect(call).toThrow(message));
