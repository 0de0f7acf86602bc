// The arithmetic page without a page: its numbers are those of @conv/ops, its programs run, its setups survive the address.

import { conv, convTranspose } from "@conv/ops";
import { createHost, ShapeError, tensor } from "@conv/tensor";
import { describe, expect, test } from "vitest";
import { convCode, torchCode } from "../src/arithmetic/code.ts";
import { isPadding, pictureOf } from "../src/arithmetic/picture.ts";
import { DEFAULTS, PRESETS, readSetup, writeSetup, type Setup } from "../src/arithmetic/setup.ts";

const setups: readonly (readonly [string, Setup])[] = [
  ...Object.entries(PRESETS),
  ["grouped and dilated", { ...DEFAULTS, ic: 4, oc: 2, groups: 2, dilation: [2, 1], padLo: [0, 3], padHi: [2, 1] }],
  [
    "transposed, grouped, uneven, with output padding",
    { ...DEFAULTS, transposed: true, input: [3, 4], ic: 2, oc: 4, groups: 2, stride: [3, 2], padLo: [1, 0], padHi: [2, 1], outputPadding: [2, 1] },
  ],
  ["transposed, dilation above stride", { ...DEFAULTS, transposed: true, input: [3, 3], stride: [1, 1], dilation: [3, 3], outputPadding: [2, 2] }],
];

const nested = (s: Setup) =>
  [
    [s.padLo[0], s.padHi[0]],
    [s.padLo[1], s.padHi[1]],
  ] as const;

describe.each(setups)("%s", (_, setup) => {
  const picture = pictureOf(setup);
  const inside = (side: typeof picture.wide) => [...side.values].filter((__, i) => !isPadding(side, i));

  test("shows what the op computes", async () => {
    const backend = createHost();
    const { geometry: g, wide, narrow, weights } = picture;
    const w = tensor(backend, weights, [g.oc, g.ic / g.groups, ...g.kernel]);
    const { stride, dilation, groups, outputPadding } = setup;
    const options = { stride, dilation, groups, padding: nested(setup) };
    if (setup.transposed) {
      const y = convTranspose(tensor(backend, narrow.values, [1, g.oc, ...g.output]), w, { ...options, outputPadding });
      expect(inside(wide)).toEqual([...(await y.read())]);
    } else {
      const y = conv(tensor(backend, inside(wide), [1, g.ic, ...g.input]), w, options);
      expect([...narrow.values]).toEqual([...(await y.read())]);
    }
  });

  test("prints a program that runs and says its own output", async () => {
    const lines: string[] = [];
    const body = convCode(setup, picture.geometry)
      .replaceAll(/^import .*$/gm, "")
      .replace("await createCpu()", "backend");
    const run = new Function("backend", "tensor", "conv", "convTranspose", "console", body);
    run(createHost(), tensor, conv, convTranspose, { log: (shape: number[]) => lines.push(shape.join(", ")) });
    expect(body).toContain(`// ${lines[0]}`);
    expect(torchCode(setup, picture.geometry)).toContain(`# ${lines[0]}`);
  });

  test("survives the address", () => {
    const written = Object.entries(writeSetup(setup)).flatMap(([name, value]) => (value === null ? [] : [[name, value] as const]));
    expect(readSetup({ page: "arithmetic", params: new Map(written) })).toEqual(setup);
  });
});

test("PyTorch pads uneven inputs before and crops uneven outputs after", () => {
  const { uneven } = PRESETS;
  expect(torchCode(uneven, pictureOf(uneven).geometry)).toContain("F.conv2d(F.pad(x, (0, 1, 2, 0)), w, stride=(1, 2))");
  const cropped: Setup = { ...PRESETS.transposed, padLo: [0, 1], padHi: [1, 1] };
  expect(torchCode(cropped, pictureOf(cropped).geometry)).toContain("y = F.conv_transpose2d(x, w, stride=2)\ny = y[:, :, 0:6, 1:6]");
});

test("an address of nonsense is the defaults, clamped", () => {
  const params = new Map([
    ["input", "lots"],
    ["kernel", "99,-3"],
    ["stride", "1,2,3"],
    ["groups", "1e9"],
    ["padLo", ""],
  ]);
  expect(readSetup({ page: "arithmetic", params })).toEqual({ ...DEFAULTS, kernel: [7, 1] });
});

test("what does not fit says why", () => {
  const message = (changes: Partial<Setup>) => {
    try {
      pictureOf({ ...DEFAULTS, ...changes });
    } catch (error) {
      if (error instanceof ShapeError) return error.message;
      throw error;
    }
    return "";
  };
  expect(message({ input: [3, 3], kernel: [5, 5], dilation: [2, 2] })).toBe("conv: kernel 5 with dilation 2 spans 9, padded input has 5 (axis h)");
  expect(message({ ic: 3, groups: 2 })).toBe("conv: 3 input channels do not divide into 2 groups");
  expect(message({ transposed: true, ic: 2, oc: 3, groups: 2 })).toBe("convTranspose: 3 output channels do not divide into 2 groups");
  expect(message({ transposed: true, outputPadding: [3, 3] })).toContain(
    "convTranspose: outputPadding 3 must be smaller than stride 2 or dilation 1",
  );
});
