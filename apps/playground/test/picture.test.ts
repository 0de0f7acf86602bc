// The arithmetic page without a page: its numbers are those of @conv/ops, its programs run, its
// setups survive the address.

import { conv, convTranspose } from "@conv/ops";
import { createHost, ShapeError, tensor } from "@conv/tensor";
import { describe, expect, test } from "vitest";
import { convCode, torchCode } from "../src/arithmetic/code.ts";
import { figuresOf, isPadding, pictureOf } from "../src/arithmetic/picture.ts";
import { problemOf, repairsOf } from "../src/arithmetic/problem.ts";
import { DEFAULTS, PRESETS, readSetup, writeSetup, type Setup } from "../src/arithmetic/setup.ts";

const setups: readonly (readonly [string, Setup])[] = [
  ...Object.entries(PRESETS),
  [
    "grouped and dilated",
    { ...DEFAULTS, ic: 4, oc: 2, groups: 2, dilation: [2, 1], padLo: [0, 3], padHi: [2, 1] },
  ],
  [
    "transposed, grouped, uneven, with output padding",
    {
      ...DEFAULTS,
      transposed: true,
      input: [3, 4],
      ic: 2,
      oc: 4,
      groups: 2,
      stride: [3, 2],
      padLo: [1, 0],
      padHi: [2, 1],
      outputPadding: [2, 1],
    },
  ],
  [
    "transposed, dilation above stride",
    {
      ...DEFAULTS,
      transposed: true,
      input: [3, 3],
      stride: [1, 1],
      dilation: [3, 3],
      outputPadding: [2, 2],
    },
  ],
];

const nested = (s: Setup) =>
  [
    [s.padLo[0], s.padHi[0]],
    [s.padLo[1], s.padHi[1]],
  ] as const;

describe.each(setups)("%s", (_, setup) => {
  const picture = pictureOf(setup);
  const inside = (side: typeof picture.wide) =>
    [...side.values].filter((__, i) => !isPadding(side, i));

  test("shows what the op computes", async () => {
    const backend = createHost();
    const { geometry: g, wide, narrow, weights } = picture;
    const w = tensor(backend, weights, [g.oc, g.ic / g.groups, ...g.kernel]);
    const { stride, dilation, groups, outputPadding } = setup;
    const options = { stride, dilation, groups, padding: nested(setup) };
    if (setup.transposed) {
      const y = convTranspose(tensor(backend, narrow.values, [1, g.oc, ...g.output]), w, {
        ...options,
        outputPadding,
      });
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
    run(createHost(), tensor, conv, convTranspose, {
      log: (shape: number[]) => lines.push(shape.join(", ")),
    });
    expect(body).toContain(`// ${lines[0]}`);
    expect(torchCode(setup, picture.geometry)).toContain(`# ${lines[0]}`);
  });

  test("survives the address", () => {
    const written = Object.entries(writeSetup(setup)).flatMap(([name, value]) =>
      value === null ? [] : [[name, value] as const],
    );
    expect(readSetup({ params: new Map(written) })).toEqual({ setup, unused: [] });
  });
});

test("PyTorch pads uneven inputs before and crops uneven outputs after", () => {
  const { uneven } = PRESETS;
  expect(torchCode(uneven, pictureOf(uneven).geometry)).toContain(
    "F.conv2d(F.pad(x, (0, 1, 2, 0)), w, stride=(1, 2))",
  );
  const cropped: Setup = { ...PRESETS.transposed, padLo: [0, 1], padHi: [1, 1] };
  expect(torchCode(cropped, pictureOf(cropped).geometry)).toContain(
    "y = F.conv_transpose2d(x, w, stride=2)\ny = y[:, :, 0:6, 1:6]",
  );
});

test("what an address cannot say is told, with what is used instead; what is large is kept", () => {
  const params = new Map([
    ["input", "224"],
    ["kernel", "99,-3"],
    ["stride", "1,2,3"],
    ["groups", "1e9"],
    ["padLo", ""],
    ["ic", "2,3"],
    ["oc", "99999999"],
    ["dilation", "__proto__"],
  ]);
  const { setup, unused } = readSetup({ params });
  expect(setup).toEqual({ ...DEFAULTS, input: [224, 224] });
  expect(unused).toEqual([
    { name: "kernel", given: "99,-3", used: "3" },
    { name: "stride", given: "1,2,3", used: "2" },
    { name: "dilation", given: "__proto__", used: "1" },
    { name: "padLo", given: "", used: "1" },
    { name: "ic", given: "2,3", used: "1" },
    { name: "oc", given: "99999999", used: "1" },
    { name: "groups", given: "1e9", used: "1" },
  ]);
});

test("the first layer of ResNet has the numbers of its paper", () => {
  const figures = figuresOf({
    ...DEFAULTS,
    input: [224, 224],
    kernel: [7, 7],
    padLo: [3, 3],
    padHi: [3, 3],
    ic: 3,
    oc: 64,
  });
  expect(figures).toMatchObject({
    x: [1, 3, 224, 224],
    w: [64, 3, 7, 7],
    y: [1, 64, 112, 112],
    weights: 9408,
    macs: 118_013_952,
    drawable: false,
  });
});

test("a setup has a problem, by code, where there is no geometry; each repair mends it", () => {
  let state = 5;
  const next = (lo: number, hi: number) =>
    lo + (((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 8) % (hi - lo + 1));
  const pair = (lo: number, hi: number): readonly [number, number] => [next(lo, hi), next(lo, hi)];
  const kinds = new Map<string, number>();
  for (let i = 0; i < 1000; i++) {
    const setup: Setup = {
      transposed: next(0, 1) === 1,
      input: pair(1, 6),
      kernel: pair(1, 6),
      stride: pair(1, 3),
      dilation: pair(1, 3),
      padLo: pair(0, 3),
      padHi: pair(0, 3),
      outputPadding: pair(0, 2),
      ic: next(1, 6),
      oc: next(1, 6),
      groups: next(1, 3),
    };
    const problem = problemOf(setup);
    const attempt = () => pictureOf(setup);
    if (problem) expect(attempt).toThrow(ShapeError);
    else expect(attempt).not.toThrow();
    if (!problem) continue;
    kinds.set(problem.code, (kinds.get(problem.code) ?? 0) + 1);
    const repairs = repairsOf(setup);
    for (const repair of repairs) expect(() => figuresOf(repair.setup)).not.toThrow();
    expect(repairs.length).toBeGreaterThan(0);
  }
  expect([...kinds.keys()].toSorted()).toEqual([
    "channels-not-divisible",
    "kernel-exceeds-input",
    "output-empty",
    "output-padding-too-large",
  ]);
});
