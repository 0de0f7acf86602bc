// Parameters, operations and memory along the depth: a bar for each layer, in the order of
// computation.

import { formatBytes, formatCount, type LayerSummary } from "@conv/analysis";
import type { GroupMark, Mark } from "vega";
import { colors, heading, INK, label, levels, textWidth, type Picture } from "./draw.ts";

/** Kinds of layers and their colors. */
export const kinds: readonly (readonly [kind: string, color: string, types: readonly string[]])[] =
  [
    ["convolution", colors.blue, ["conv", "convGradInput"]],
    ["matrix product", colors.purple, ["matmul"]],
    ["normalization", colors.green, ["batchNorm", "groupNorm", "layerNorm", "instanceNorm2d"]],
    ["pooling", colors.orange, ["maxPool", "avgPool"]],
    ["other", colors.gray, []],
  ];

const kindOf = (type: string) =>
  kinds.find(([, , types]) => types.includes(type)) ?? kinds[kinds.length - 1];

/** Layers without parts, in the order of computation. */
export const leavesOf = (layers: readonly LayerSummary[]): LayerSummary[] =>
  layers.flatMap((l) => (l.parts.length ? leavesOf(l.parts) : [l]));

/** The kinds of layers that occur, with their colors. */
export const usedKinds = (
  leaves: readonly LayerSummary[],
): (readonly [kind: string, color: string])[] =>
  kinds
    .filter((kind) => leaves.some((l) => kindOf(l.type) === kind))
    .map(([kind, color]) => [kind, color]);

export const colorOf = (layer: LayerSummary): string => kindOf(layer.type)[1];

const GROUPS = 5; // modules that are named along the depth, at least

/**
 * The modules that the leaves stand in, as far out as gives some groups, each with its first leaf
 * and the one after its last.
 */
function modulesOf(leaves: readonly LayerSummary[]): { name: string; from: number; to: number }[] {
  const at = (depth: number) =>
    leaves.map((l) => l.path.split(".").slice(0, depth).join(".") || "(model)");
  const depth = [1, 2, 3].find((d) => new Set(at(d)).size >= GROUPS) ?? 1;
  const names = at(depth);
  const starts = names.flatMap((name, i) => (names[i - 1] === name ? [] : [i]));
  return starts.map((from, s) => ({
    name: names[from].split(".").at(-1)!,
    from,
    to: starts[s + 1] ?? leaves.length,
  }));
}

const [HEIGHT, GAP] = [120, 40];
const LEFT = 52;
const SLANTED = 15; // pixels that a slanted name needs

interface Panel {
  readonly key: string;
  readonly title: string;
  readonly of: (layer: LayerSummary) => number;
  readonly format: (value: number) => string;
}

/** Three panels, one below the other, over bands of modules with their names. */
export function depthPicture(
  layers: readonly LayerSummary[],
  convention: keyof LayerSummary["operations"],
  head: string,
  width: number,
): Picture {
  const leaves = leavesOf(layers);
  const inner = width - LEFT - 6;
  const step = inner / leaves.length;
  const bands = modulesOf(leaves).map((m): Band => {
    const [x, wide] = [m.from * step, (m.to - m.from) * step];
    return { name: m.name, x, wide, fit: fitOf(m.name, x, wide) };
  });
  const below = bands
    .filter((b) => b.fit === "slanted")
    .reduce((most, b) => Math.max(most, textWidth(b.name) * Math.SQRT1_2 + 18), 22);
  const panels: Panel[] = [
    { key: "parameters", title: "parameters", of: (l) => l.parameters, format: formatCount },
    { key: "operations", title: head, of: (l) => l.operations[convention], format: formatCount },
    {
      key: "activations",
      title: "output, bytes",
      of: (l) => l.activationBytes,
      format: formatBytes,
    },
  ];
  const gap = step > 4 ? step * 0.14 : 0;
  const height = panels.length * (HEIGHT + GAP) - GAP;
  return {
    description: "Parameters, operations and memory of each layer, in the order of computation",
    width: inner,
    height,
    padding: { left: LEFT, right: 6, top: 24, bottom: Math.ceil(below) },
    data: [
      ...panels.map((panel) => ({ name: panel.key, values: barsOf(panel, leaves, step, gap) })),
      { name: "bands", values: bands.filter((_, i) => i % 2 === 1) },
    ],
    marks: [
      ...panels.map((panel, i) => panelMark(panel, i, inner, Math.max(0.75, step - gap))),
      ...bands.flatMap((band) => nameMark(band, height)),
    ],
  };
}

/** A module along the depth, and how its name fits below it. */
interface Band {
  readonly name: string;
  readonly x: number;
  readonly wide: number;
  readonly fit: "level" | "slanted" | "none";
}

function fitOf(name: string, x: number, wide: number): Band["fit"] {
  if (textWidth(name) + 4 <= wide) return "level";
  return wide >= SLANTED && x + wide / 2 + LEFT > textWidth(name) * Math.SQRT1_2
    ? "slanted"
    : "none";
}

const barsOf = (
  { of, format }: Panel,
  leaves: readonly LayerSummary[],
  step: number,
  gap: number,
): object[] =>
  leaves.flatMap((l, i) => {
    const value = of(l);
    const text = `${l.path || "(model)"}: ${format(value)}`;
    return value ? [{ x: i * step + gap / 2, color: colorOf(l), value, text }] : [];
  });

function panelMark({ key, title }: Panel, at: number, width: number, bar: number): GroupMark {
  return {
    type: "group",
    encode: {
      update: {
        y: { value: at * (HEIGHT + GAP) },
        width: { value: width },
        height: { value: HEIGHT },
      },
    },
    scales: [
      {
        name: "y",
        type: "linear",
        domain: { data: key, field: "value" },
        range: [HEIGHT, 0],
        nice: true,
        zero: true,
      },
    ],
    axes: [levels()],
    marks: [
      {
        type: "rect",
        from: { data: "bands" },
        encode: {
          update: {
            x: { field: "x" },
            width: { field: "wide" },
            y: { value: 0 },
            height: { value: HEIGHT },
            fill: { value: INK },
            fillOpacity: { value: 0.05 },
          },
        },
      },
      {
        type: "rect",
        from: { data: key },
        encode: {
          update: {
            x: { field: "x" },
            width: { value: bar },
            y: { scale: "y", field: "value" },
            y2: { scale: "y", value: 0 },
            fill: { field: "color" },
            description: { field: "text" },
          },
        },
      },
      heading(title),
    ],
  };
}

/** The name of a module below its band. */
function nameMark({ name, x, wide, fit }: Band, bottom: number): Mark[] {
  if (fit === "none") return [];
  const turned: Record<string, object> =
    fit === "slanted"
      ? { angle: { value: -45 }, align: { value: "right" }, baseline: { value: "middle" } }
      : { align: { value: "center" }, baseline: { value: "top" } };
  return [label(x + wide / 2, bottom + (fit === "slanted" ? 8 : 6), name, turned)];
}
