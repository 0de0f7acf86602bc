// The layers that are measured: thirteen of ResNet-50 and MobileNet, and the public lists of
// DeepBench and oneDNN.

import {
  convGeometry,
  wShape,
  xShape,
  yShape,
  type ConvGeometry,
  type ConvOptions,
} from "@conv/ops";
import { sameShape, spec } from "@conv/tensor";
import deepbench from "../reference/deepbench-conv.json" with { type: "json" };
import onednn from "../reference/onednn-conv-shapes.json" with { type: "json" };

/**
 * Which partial derivative of the trilinear form is computed: y from (x, w), dx from (dy, w), or dw
 * from (dy, x).
 */
export type Direction = "forward" | "gradInput" | "gradWeight";
export const directions: readonly Direction[] = ["forward", "gradInput", "gradWeight"];

export interface LayerCase {
  readonly name: string;
  readonly geometry: ConvGeometry;
}

export type SetName = "resnet" | "deepbench" | "onednn" | "all";
export const setNames: readonly SetName[] = ["resnet", "deepbench", "onednn", "all"];

/**
 * The cases of a set whose names contain `filter`, of more than `over` GMAC; × may be typed x, and
 * → as ->. Equal geometries appear once.
 */
export function layerCases(
  set: SetName,
  { batch = 1, filter = "", over = 0 }: { batch?: number; filter?: string; over?: number } = {},
): LayerCase[] {
  const all = [
    ...(set === "resnet" || set === "all" ? resnet(batch) : []),
    ...(set === "deepbench" || set === "all" ? deepbenchCases(batch) : []),
    ...(set === "onednn" || set === "all" ? onednnCases(batch) : []),
  ];
  const seen = new Set<string>();
  const wanted = fold(filter);
  return all.filter(({ name, geometry }) => {
    const key = JSON.stringify(geometry);
    if (!fold(name).includes(wanted) || macsOf(geometry) <= over * 1e9 || seen.has(key))
      return false;
    seen.add(key);
    return true;
  });
}

/**
 * Multiply-accumulates, the customary count (products with padding included); the same for all
 * three directions.
 */
export const macsOf = (g: ConvGeometry): number =>
  [g.n, g.oc, ...g.output, g.ic / g.groups, ...g.kernel].reduce((a, b) => a * b, 1);

/** Shapes of the two operands and of the result. */
export function shapesOf(
  direction: Direction,
  g: ConvGeometry,
): { operands: [number[], number[]]; result: number[] } {
  const [x, w, y] = [xShape(g), wShape(g), yShape(g)];
  if (direction === "forward") return { operands: [x, w], result: y };
  return direction === "gradInput"
    ? { operands: [y, w], result: x }
    : { operands: [y, x], result: w };
}

const fold = (text: string) => text.toLowerCase().replaceAll("×", "x").replaceAll("→", "->");

/**
 * Two shapes of benchdnn's exist to overflow 32-bit sizes; with several processes holding them they
 * would fill the memory of most machines.
 */
const MOST_BYTES = 2 ** 30;

type Shape2d = readonly [channels: number, height: number, width: number];

function layer(
  name: string,
  n: number,
  [ic, ih, iw]: Shape2d,
  [oc, kh, kw]: Shape2d,
  options: ConvOptions,
): LayerCase {
  return {
    name,
    geometry: convGeometry(
      spec([n, ic, ih, iw]),
      spec([oc, ic / (options.groups ?? 1), kh, kw]),
      options,
    ),
  };
}

const square = (channels: number, size: number): Shape2d => [channels, size, size];

function resnet(n: number): LayerCase[] {
  const same = { padding: 1 };
  return [
    layer("7×7/2 3→64@224", n, square(3, 224), square(64, 7), { stride: 2, padding: 3 }),
    ...(
      [
        [64, 56],
        [128, 28],
        [256, 14],
        [512, 7],
      ] as const
    ).map(([c, size]) => layer(`3×3 ${c}@${size}`, n, square(c, size), square(c, 3), same)),
    layer("1×1 256→64@56", n, square(256, 56), square(64, 1), {}),
    layer("1×1 64→256@56", n, square(64, 56), square(256, 1), {}),
    layer("1×1 512→2048@7", n, square(512, 7), square(2048, 1), {}),
    layer("depthwise 3×3 32@112", n, square(32, 112), square(32, 3), { ...same, groups: 32 }),
    layer("depthwise 3×3 512@14", n, square(512, 14), square(512, 3), { ...same, groups: 512 }),
    layer("3×3 dilation 2 64@56", n, square(64, 56), square(64, 3), { padding: 2, dilation: 2 }),
    layer("3×3 groups 8 64@56", n, square(64, 56), square(64, 3), { ...same, groups: 8 }),
    layer("3×3 256@100", n, square(256, 100), square(256, 3), same),
  ];
}

function deepbenchCases(n: number): LayerCase[] {
  return Object.values(deepbench.sets)
    .flat()
    .map((s) => {
      const options = { stride: [s.stride_h, s.stride_w], padding: [s.pad_h, s.pad_w] };
      return described("deepbench", layer("", n, [s.c, s.h, s.w], [s.k, s.kh, s.kw], options), [
        s.oh,
        s.ow,
      ]);
    });
}

function onednnCases(n: number): LayerCase[] {
  return Object.entries(onednn.sets).flatMap(([set, shapes]) =>
    shapes
      .filter((s) => 4 * (s.ic * s.ih * s.iw + s.oc * s.oh * s.ow) * n < MOST_BYTES)
      .map((s) => {
        const options = {
          stride: [s.sh, s.sw],
          dilation: [s.dil_h, s.dil_w],
          // Where a stride leaves the last rows unread the file has them as negative padding.
          padding: [
            [s.pad_top, Math.max(0, s.pad_bottom)],
            [s.pad_left, Math.max(0, s.pad_right)],
          ] as const,
          groups: s.g,
        };
        return described(
          `onednn ${set}`,
          layer("", n, [s.ic, s.ih, s.iw], [s.oc, s.kh, s.kw], options),
          [s.oh, s.ow],
        );
      }),
  );
}

/**
 * Names a case of a list by all that is particular about it. The output sizes stand guard over the
 * transcription of the published figures.
 */
function described(list: string, { geometry: g }: LayerCase, output: readonly number[]): LayerCase {
  const each = (values: readonly number[]) =>
    values.every((v) => v === values[0]) ? `${values[0]}` : values.join("×");
  const depthwise = g.groups > 1 && g.groups === g.ic;
  const parts = [
    list,
    depthwise ? "depthwise" : "",
    g.kernel.join("×") + (g.stride.some((s) => s > 1) ? `/${each(g.stride)}` : ""),
    g.dilation.some((d) => d > 1) ? `dilation ${each(g.dilation)}` : "",
    g.groups > 1 && !depthwise ? `groups ${g.groups}` : "",
    `${g.ic}→${g.oc}@${each(g.input)}`,
    [...g.padLo, ...g.padHi].some((p) => p > 0) ? `pad ${g.padLo.join()} ${g.padHi.join()}` : "",
  ];
  const name = parts.filter(Boolean).join(" ");
  if (!sameShape(g.output, output))
    throw new Error(
      `${name}: output is ${g.output.join("×")}, the reference says ${output.join("×")}`,
    );
  return { name, geometry: g };
}
