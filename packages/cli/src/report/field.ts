// Receptive fields of the middle units of some layers, and their growth along the depth. The last
// two spatial axes are drawn as a plane; another axis, or the only one, as bars.

import { formatCount, type ReceptiveField, type LayerSummary } from "@conv/analysis";
import { scheme, type Mark } from "vega";
import { leavesOf } from "./depth.ts";
import {
  axis,
  colors,
  dashed,
  heading,
  INK,
  label,
  levels,
  textWidth,
  widths,
  type Picture,
} from "./draw.ts";

/**
 * The receptive field of the middle unit of a layer, for each spatial axis: from inclusive, to
 * exclusive.
 */
interface Framed {
  readonly name: string;
  readonly size: string;
  readonly color: string;
  readonly spans: readonly (readonly [from: number, to: number])[];
}

export interface FieldPictures {
  readonly legend: readonly Omit<Framed, "spans">[];
  /** Pictures of fixed width, and one that fills the room next to them. */
  readonly pictures: readonly Picture[];
  readonly growth: (width: number) => Picture;
}

const FRAMES = 9;
const GAP = 16; // between pictures side by side
const SIDE = Math.floor((widths.wide - 2 * GAP) / 3);
const [LEFT, TOP, BOTTOM] = [44, 26, 40];
const EDGE = 20; // half of the last number of an axis

/** Of a network without spatial axes, null. */
export function fieldPictures(
  input: readonly number[],
  layers: readonly LayerSummary[],
): FieldPictures | null {
  const sizes = input.slice(2);
  const rank = sizes.length;
  const seen = leavesOf(layers).filter(
    (l) => l.output.length === input.length && l.receptiveField.every((f) => f.jump > 0),
  );
  if (rank === 0 || seen.length === 0) return null;
  const largest = ({ receptiveField }: LayerSummary) =>
    Math.max(...receptiveField.map((f) => f.size));
  const grown = seen.filter(
    (l, i) => i === 0 || largest(l) > Math.max(...seen.slice(0, i).map(largest)),
  );
  const count = Math.min(FRAMES, grown.length);
  const shade = scheme("viridis");
  const color = (i: number): string =>
    typeof shade === "function" ? shade(0.15 + (0.8 * i) / Math.max(1, count - 1)) : colors.blue;
  const frames = Array.from({ length: count }, (_, i): Framed => {
    const l = grown[Math.round((i * (grown.length - 1)) / Math.max(1, count - 1))];
    const span = (f: ReceptiveField, size: number): readonly [number, number] => {
      const first = f.start + Math.floor(size / 2) * f.jump;
      return [first, first + f.size];
    };
    const size = l.receptiveField.map((f) => formatCount(f.size)).join("×");
    return {
      name: l.path || "(model)",
      size,
      color: color(i),
      spans: l.receptiveField.map((f, a) => span(f, l.output[a + 2])),
    };
  });
  const names = ["depth", "row", "column"].slice(-Math.min(3, rank));
  const pictures = [
    ...(rank >= 2 ? [planePicture(sizes.slice(-2), frames)] : []),
    ...(rank === 2
      ? []
      : [barsPicture(rank === 1 ? "input position" : `input ${names[0]}`, sizes[0], frames)]),
  ];
  const growth = (width: number) =>
    growthPicture(
      sizes,
      seen,
      width === widths.wide ? widths.wide - pictures.length * (SIDE + GAP) : width,
    );
  return { legend: frames, pictures, growth };
}

/** Squares over the image, the widest below. */
function planePicture([h, w]: readonly number[], frames: readonly Framed[]): Picture {
  const rects = frames.toReversed().map(({ name, size, color, spans }) => {
    const [[y, y2], [x, x2]] = spans.slice(-2);
    return { text: `${name}: ${size}`, color, x, x2, y, y2 };
  });
  const low = Math.min(0, ...rects.flatMap((r) => [r.x, r.y]));
  const high = Math.max(w, h, ...rects.flatMap((r) => [r.x2, r.y2]));
  const side = SIDE - LEFT - EDGE;
  const at = Object.fromEntries(
    ["x", "x2", "y", "y2"].map((key) => [key, { scale: key.charAt(0), field: key }]),
  );
  return {
    description: "Receptive fields of middle units over the image",
    width: side,
    height: side,
    padding: { left: LEFT, right: EDGE, top: TOP, bottom: BOTTOM },
    data: [
      { name: "frames", values: rects },
      { name: "image", values: [{ x: 0, x2: w, y: 0, y2: h }] },
    ],
    scales: ["x", "y"].map((name) => ({
      name,
      type: "linear",
      domain: [low, high],
      range: [0, side],
    })),
    axes: [axis("bottom", "x", { title: "column" }), axis("left", "y")],
    marks: [
      {
        type: "rect",
        from: { data: "image" },
        encode: { update: { ...at, fill: { value: INK }, fillOpacity: { value: 0.15 } } },
      },
      {
        type: "rect",
        from: { data: "frames" },
        encode: {
          update: {
            ...at,
            fill: { field: "color" },
            fillOpacity: { value: 0.15 },
            stroke: { field: "color" },
            strokeWidth: { value: 2 },
            description: { field: "text" },
          },
        },
      },
      heading("row; the gray square is the image"),
    ],
  };
}

/** A bar for each layer along one axis, the narrowest on top. */
function barsPicture(title: string, size: number, frames: readonly Framed[]): Picture {
  const [inner, height] = [SIDE - 12 - EDGE, SIDE - LEFT - 6];
  const step = height / frames.length;
  const bars = frames.map(({ name, size: own, color, spans: [[x, x2]] }, i) => ({
    text: `${name}: ${own}`,
    color,
    x,
    x2,
    y: i * step + step * 0.15,
  }));
  const domain = [Math.min(0, ...bars.map((b) => b.x)), Math.max(size, ...bars.map((b) => b.x2))];
  const along = { x: { scale: "x", field: "x" }, x2: { scale: "x", field: "x2" } };
  return {
    description: `Receptive fields of middle units along an axis, ${title}`,
    width: inner,
    height,
    padding: { left: 12, right: EDGE, top: TOP, bottom: BOTTOM },
    data: [
      { name: "bars", values: bars },
      { name: "input", values: [{ x: 0, x2: size }] },
    ],
    scales: [{ name: "x", type: "linear", domain, range: [0, inner] }],
    axes: [axis("bottom", "x", { title, format: "d", tickMinStep: 1 })],
    marks: [
      {
        type: "rect",
        from: { data: "input" },
        encode: {
          update: {
            ...along,
            y: { value: 0 },
            y2: { value: height },
            fill: { value: INK },
            fillOpacity: { value: 0.15 },
          },
        },
      },
      {
        type: "rect",
        from: { data: "bars" },
        encode: {
          update: {
            ...along,
            y: { field: "y" },
            height: { value: step * 0.7 },
            fill: { field: "color" },
            fillOpacity: { value: 0.85 },
            description: { field: "text" },
          },
        },
      },
      heading("gray band: the input"),
    ],
  };
}

/**
 * The field size of each layer, and the largest so far; a line for each axis that grows
 * differently.
 */
function growthPicture(
  sizes: readonly number[],
  seen: readonly LayerSummary[],
  wide: number,
): Picture {
  const [width, height] = [wide - LEFT - EDGE, SIDE - LEFT - 6];
  const own = (a: number) => seen.map((l) => l.receptiveField[a].size);
  const alike = sizes.every((size, a) => size === sizes[0] && own(a).join() === own(0).join());
  const last = sizes.length - 1;
  const axes = alike
    ? [last]
    : sizes
        .map((_, a) => a)
        .filter((a) => a === 0 || own(a).join() !== own(a - 1).join() || sizes[a] !== sizes[a - 1]);
  const tints = [colors.blue, colors.orange, colors.green];
  const nameOf = (a: number) =>
    sizes.length <= 3 ? ["depth", "row", "column"].slice(-sizes.length)[a] : `axis ${a + 1}`;
  const most = Math.max(...axes.flatMap((a) => [sizes[a], ...own(a)]));
  const y = (size: number) => height * (1 - Math.log(size) / Math.log(most * 1.3));
  const lines = axes.flatMap((a, k): Mark[] => {
    const text =
      alike || sizes.length === 1
        ? `the ${sizes.length === 1 ? "input" : "image"}: ${sizes[a]}`
        : `${nameOf(a)}s: ${sizes[a]}`;
    // The line of a field is below that of the input until the field is as large, then above.
    const reached = Math.min(
      ...axes.map((b) => own(b).findIndex((size) => size >= sizes[a])).filter((i) => i >= 0),
    );
    const early = (reached / Math.max(1, seen.length - 1)) * width < textWidth(text) + 12;
    const tint = axes.length > 1 ? tints[k % tints.length] : colors.red;
    return [
      {
        type: "line",
        from: { data: `axis${a}` },
        encode: {
          update: {
            interpolate: { value: "step-after" },
            x: { scale: "x", field: "i" },
            y: { scale: "y", field: "most" },
            stroke: { value: tints[k % tints.length] },
            strokeWidth: { value: 2 },
          },
        },
      },
      {
        type: "symbol",
        from: { data: `axis${a}` },
        encode: {
          update: {
            x: { scale: "x", field: "i" },
            y: { scale: "y", field: "size" },
            fill: { value: tints[k % tints.length] },
            fillOpacity: { value: 0.6 },
            size: { value: 18 },
            description: { field: "text" },
          },
        },
      },
      dashed([0, y(sizes[a])], [width, y(sizes[a])], tint),
      label(early ? width : 4, y(sizes[a]) + (early ? 14 : -6), text, {
        fill: { value: tint },
        align: { value: early ? "right" : "left" },
      }),
    ];
  });
  return {
    description: "Size of the receptive field along the depth",
    width,
    height,
    padding: { left: LEFT, right: EDGE, top: TOP, bottom: BOTTOM },
    data: axes.map((a) => ({
      name: `axis${a}`,
      values: own(a).map((size, i, all) => ({
        i,
        size,
        most: all.slice(0, i + 1).reduce((p, q) => Math.max(p, q), 0),
        text: `${seen[i].path || "(model)"}: ${formatCount(size)}`,
      })),
    })),
    scales: [
      { name: "x", type: "linear", domain: [0, Math.max(1, seen.length - 1)], range: [0, width] },
      { name: "y", type: "log", domain: [1, most * 1.3], range: [height, 0] },
    ],
    axes: [
      levels({ values: decades(1, most * 1.3) }),
      axis("bottom", "x", {
        title: "layers, in the order of computation",
        format: "d",
        tickMinStep: 1,
      }),
    ],
    marks: [...lines, heading("size of the receptive field")],
  };
}

/** 1, 2, 5, 10 and so on within bounds; powers of ten alone where these are many. */
export function decades(low: number, high: number): number[] {
  const [from, to] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const steps = to - from > 4 ? [1] : [1, 2, 5];
  return Array.from({ length: to - from + 1 }, (_, p) =>
    steps.map((s) => Number(`${s}e${from + p}`)),
  )
    .flat()
    .filter((v) => v >= low && v <= high);
}
