// Arithmetic intensity: from the graph alone, and under the measured roofs of a machine (Williams,
// Waterman and Patterson, CACM 52, 2009).

import { formatCount, type LayerSummary } from "@conv/analysis";
import type { Mark } from "vega";
import type { StepTime, Timing } from "../timing.ts";
import { colorOf, leavesOf } from "./depth.ts";
import { axis, colors, heading, INK, label, levels, textWidth, type Picture } from "./draw.ts";
import { decades } from "./field.ts";

interface Dot {
  readonly name: string;
  readonly text: string;
  readonly color: string;
  readonly x: number;
  readonly y: number;
  /** The dots of most weight are labeled. */
  readonly weight: number;
}

/** Colors of the two kinds of times. */
export const timeKinds = { predicted: colors.gray, measured: colors.blue } as const;

/**
 * The limits of arithmetic and memory on this machine, and the speed of each step: predicted and
 * measured.
 */
export function rooflinePicture(
  { layers, roofs: { gflops, bandwidth } }: Timing,
  width: number,
): Picture {
  const timesOf = (l: StepTime) => [
    ["predicted", l.predicted] as const,
    ...(l.measured === undefined ? [] : [["measured", l.measured] as const]),
  ];
  const dots = layers
    .filter((l) => l.macs > 0)
    .flatMap((l) =>
      timesOf(l).map(([kind, seconds]): Dot => {
        const speed = (2 * l.macs) / seconds / 1e9;
        return {
          name: l.path,
          text: `${l.path} (${l.kernel}), ${kind}: ${speed.toFixed(1)} GFLOP/s`,
          color: timeKinds[kind],
          x: (2 * l.macs) / l.bytes,
          y: speed,
          weight: kind === "measured" || l.measured === undefined ? seconds : 0,
        };
      }),
    );
  const ridge = gflops / bandwidth;
  const [least, most] = spread([...dots.map((d) => d.x), ridge]);
  const names = [`${bandwidth.toFixed(1)} GB/s`, undefined, `${gflops.toFixed(0)} GFLOP/s`];
  const roof = [least, ridge, most].map((x, i) => ({
    x,
    y: Math.min(gflops, x * bandwidth),
    name: names[i],
  }));
  return logLog(
    "GFLOP/s of each layer over its arithmetic intensity, under the roofs of this machine",
    {
      dots,
      roof,
      xs: [least, most],
      ys: spread([...dots.map((d) => d.y), ...roof.map((r) => r.y)]),
      titles: ["FLOP per byte, each operand moved once", "GFLOP/s"],
      width,
    },
  );
}

/**
 * Work over arithmetic intensity, which shows whether arithmetic or memory bounds a layer. Null
 * where nothing multiplies.
 */
export function intensityPicture(layers: readonly LayerSummary[], width: number): Picture | null {
  const dots = leavesOf(layers).flatMap((l): Dot[] => {
    if (!l.macs) return [];
    const x = (2 * l.macs) / l.movedBytes;
    return [
      {
        name: l.path || "(model)",
        text: `${l.path || "(model)"}: ${formatCount(l.macs)} MACs, ${x.toFixed(1)} FLOP per byte`,
        color: colorOf(l),
        x,
        y: l.macs,
        weight: l.macs,
      },
    ];
  });
  if (dots.length === 0) return null;
  return logLog("Multiply-accumulates of each layer over its arithmetic intensity", {
    dots,
    roof: [],
    xs: spread(dots.map((d) => d.x)),
    ys: spread(dots.map((d) => d.y)),
    titles: ["FLOP per byte, without fusion", "MACs"],
    width,
  });
}

const spread = (values: readonly number[]): [number, number] => [
  Math.min(...values) / 2,
  Math.max(...values) * 2,
];

interface LogLog {
  readonly dots: readonly Dot[];
  /** From left to right; points may have names at them. */
  readonly roof: readonly { readonly x: number; readonly y: number; readonly name?: string }[];
  readonly xs: readonly [number, number];
  readonly ys: readonly [number, number];
  readonly titles: readonly [x: string, y: string];
  readonly width: number;
}

const [LEFT, NAMED] = [52, 6];

function logLog(description: string, { dots, roof, xs, ys, titles, width }: LogLog): Picture {
  const [inner, height] = [width - LEFT - 10, Math.min(380, Math.round(width * 0.8))];
  const place = (v: number, [low, high]: readonly [number, number]) =>
    Math.log(v / low) / Math.log(high / low);
  const at = ({ x, y }: { readonly x: number; readonly y: number }) => ({
    px: inner * place(x, xs),
    py: height * (1 - place(y, ys)),
  });
  const scaled = { x: { scale: "x", field: "x" }, y: { scale: "y", field: "y" } };
  const roofs = roof.flatMap(({ name, ...point }): Taken[] => {
    if (!name) return [];
    const { px, py } = at(point);
    const from = px > inner / 2 ? px - textWidth(name) - 4 : px + 4;
    return [{ name, from, to: from + textWidth(name), y: Math.max(12, py - 10) }];
  });
  return {
    description,
    width: inner,
    height,
    padding: { left: LEFT, right: 10, top: 26, bottom: 40 },
    data: [
      { name: "dots", values: [...dots] },
      { name: "roof", values: [...roof] },
    ],
    scales: [
      { name: "x", type: "log", domain: [...xs], range: [0, inner] },
      { name: "y", type: "log", domain: [...ys], range: [height, 0] },
    ],
    axes: [
      axis("bottom", "x", { title: titles[0], grid: true, format: "~g", values: decades(...xs) }),
      levels({ values: decades(...ys) }),
    ],
    marks: [
      {
        type: "line",
        from: { data: "roof" },
        encode: { update: { ...scaled, stroke: { value: INK }, strokeWidth: { value: 1.5 } } },
      },
      {
        type: "symbol",
        from: { data: "dots" },
        encode: {
          update: {
            ...scaled,
            fill: { field: "color" },
            fillOpacity: { value: 0.7 },
            size: { value: 55 },
            description: { field: "text" },
          },
        },
      },
      ...roofs.map(({ name, from, y }) => label(from, y, name)),
      ...named(
        dots.map((d) => ({ ...d, ...at(d) })),
        inner,
        roofs,
      ),
      heading(titles[1]),
    ],
  };
}

/** A text and its place. */
interface Taken {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly y: number;
}

/**
 * Labels of the heaviest dots, where they overlap neither each other, nor other text, nor the edge.
 */
function named(
  dots: readonly (Dot & { readonly px: number; readonly py: number })[],
  width: number,
  before: readonly Taken[],
): Mark[] {
  const taken = [...before];
  const marks: Mark[] = [];
  for (const { name, px, py } of dots.toSorted((a, b) => b.weight - a.weight).slice(0, 3 * NAMED)) {
    const wide = textWidth(name);
    const x = px + 8 + wide <= width ? px + 8 : px - 8 - wide;
    const free =
      x >= 0 &&
      taken.every(({ from, to, y }) => Math.abs(y - py) > 14 || x > to + 4 || x + wide < from - 4);
    const clear = dots.every((d) => Math.abs(d.py - py) > 9 || d.px < x - 4 || d.px > x + wide + 4);
    if (!free || !clear || marks.length >= NAMED) continue;
    taken.push({ name, from: x, to: x + wide, y: py });
    marks.push(label(x, py, name, { baseline: { value: "middle" }, fillOpacity: { value: 0.75 } }));
  }
  return marks;
}
