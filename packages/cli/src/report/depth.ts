// Where parameters, operations and memory sit: a bar for each layer, in the order in which they
// compute.

import { formatBytes, formatCount, type LayerSummary } from "@conv/analysis";
import type { GroupMark, Mark } from "vega";
import { colors, heading, INK, label, levels, textWidth, type Picture } from "./draw.ts";

/** Kinds of layers and their colors. */
export const kinds: readonly (readonly [kind: string, color: string, types: readonly string[]])[] =
  [
    ["convolution", colors.blue, ["conv", "convGradInput"]],
    ["matrix product", colors.purple, ["matmul"]],
    ["normalization", colors.green, ["batchNorm", "groupNorm", "layerNorm", "instanceNorm2d"]],
    ["pool", colors.orange, ["maxPool", "avgPool"]],
    ["other", colors.gray, []],
  ];

const kindOf = (type: string) =>
  kinds.find(([, , types]) => types.includes(type)) ?? kinds[kinds.length - 1];

/** Layers without parts, in the order in which they compute. */
export const leavesOf = (layers: readonly LayerSummary[]): LayerSummary[] =>
  layers.flatMap((l) => (l.parts.length ? leavesOf(l.parts) : [l]));

/** The kinds that some layers are of, with their colors. */
export const usedKinds = (
  leaves: readonly LayerSummary[],
): (readonly [kind: string, color: string])[] =>
  kinds
    .filter((kind) => leaves.some((l) => kindOf(l.type) === kind))
    .map(([kind, color]) => [kind, color]);

export const colorOf = (layer: LayerSummary): string => kindOf(layer.type)[1];

const GROUPS = 5; // names along the depth say where one is

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
const SLANTED = 15; // pixels that a name needs to stand aslant

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
  const bands = modulesOf(leaves).map((m) => ({
    ...m,
    x: m.from * step,
    wide: (m.to - m.from) * step,
  }));
  const room = ({ name, x, wide }: (typeof bands)[number]) => {
    if (textWidth(name) + 4 <= wide) return "level";
    return wide >= SLANTED && x + wide / 2 + LEFT > textWidth(name) * Math.SQRT1_2
      ? "slanted"
      : "none";
  };
  const slanted = bands.filter((b) => room(b) === "slanted");
  const below = slanted.reduce(
    (most, b) => Math.max(most, textWidth(b.name) * Math.SQRT1_2 + 18),
    22,
  );
  const panels: (readonly [string, string, (l: LayerSummary) => number, (n: number) => string])[] =
    [
      ["parameters", "parameters", (l) => l.parameters, formatCount],
      ["operations", head, (l) => l.operations[convention], formatCount],
      ["activations", "output, bytes", (l) => l.activationBytes, formatBytes],
    ];
  const gap = step > 4 ? step * 0.14 : 0;
  const panel = ([key, title]: (typeof panels)[number], row: number): GroupMark => ({
    type: "group",
    encode: {
      update: {
        y: { value: row * (HEIGHT + GAP) },
        width: { value: inner },
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
            width: { value: Math.max(0.75, step - gap) },
            y: { scale: "y", field: "value" },
            y2: { scale: "y", value: 0 },
            fill: { field: "color" },
            description: { field: "text" },
          },
        },
      },
      heading(title),
    ],
  });
  const bottom = panels.length * (HEIGHT + GAP) - GAP;
  const names = bands.flatMap((b): Mark[] => {
    const [x, how] = [b.x + b.wide / 2, room(b)];
    if (how === "none") return [];
    const turned: Record<string, object> =
      how === "slanted"
        ? { angle: { value: -45 }, align: { value: "right" }, baseline: { value: "middle" } }
        : { align: { value: "center" }, baseline: { value: "top" } };
    return [label(x, bottom + (how === "slanted" ? 8 : 6), b.name, turned)];
  });
  return {
    description:
      "Parameters, operations and memory of each layer, in the order in which they compute",
    width: inner,
    height: bottom,
    padding: { left: LEFT, right: 6, top: 24, bottom: Math.ceil(below) },
    data: [
      ...panels.map(([key, , of, format]) => ({
        name: key,
        values: leaves.flatMap((l, i) => {
          const value = of(l);
          return value
            ? [
                {
                  x: i * step + gap / 2,
                  color: colorOf(l),
                  value,
                  text: `${l.path || "(model)"}: ${format(value)}`,
                },
              ]
            : [];
        }),
      })),
      { name: "bands", values: bands.filter((_, i) => i % 2 === 1) },
    ],
    marks: [...panels.map(panel), ...names],
  };
}
