// The pictures of a network's costs, as descriptions for Vega: along the depth, over time, over the image, and under the roofline.

import type { Field, LayerSummary, Memory } from "@conv/analysis";
import type { Axis, GroupMark, Mark, Scale, Spec } from "vega";
import type { StepTime, Timing } from "../timing.ts";

const WIDTH = 860;
const SCHEMA = "https://vega.github.io/schema/vega/v6.json";
const INK = "#1b1f24";
const FAINT = "#dadde1";

/** Kinds of layers and their colours. */
const kinds: readonly (readonly [kind: string, color: string, types: readonly string[]])[] = [
  ["convolution", "#1f6feb", ["conv", "convGradInput"]],
  ["matrix product", "#8250df", ["matmul"]],
  ["normalisation", "#2da44e", ["batchNorm", "groupNorm", "layerNorm", "instanceNorm"]],
  ["pool", "#d4760a", ["maxPool", "avgPool"]],
  ["other", "#8a8f98", []],
];

const kindOf = (type: string): string => (kinds.find(([, , types]) => types.includes(type)) ?? kinds[kinds.length - 1])[0];

/** Layers without parts, in the order in which they compute. */
export const leavesOf = (layers: readonly LayerSummary[]): LayerSummary[] => layers.flatMap((l) => (l.parts.length ? leavesOf(l.parts) : [l]));

const GROUPS = 5; // names along the depth say where one is

/** For each leaf the module that it stands in, as far out as gives some groups. */
function modulesOf(leaves: readonly LayerSummary[]): string[] {
  const at = (depth: number) => leaves.map((l) => l.path.split(".").slice(0, depth).join(".") || "(model)");
  const depth = [1, 2, 3].find((d) => new Set(at(d)).size >= GROUPS) ?? 1;
  return at(depth);
}

const sized = (width: number, height: number) => ({ update: { width: { value: width }, height: { value: height } } });
const axis = (orient: "left" | "bottom", scale: string, title: string, more: Partial<Axis> = {}): Axis => ({
  orient,
  scale,
  title,
  labelColor: INK,
  titleColor: INK,
  titleFontWeight: "normal",
  tickCount: 5,
  ...more,
});

/** Where parameters, operations and memory sit: a bar for each layer, in the order in which they compute. */
export function depthSpec(layers: readonly LayerSummary[], convention: keyof LayerSummary["operations"], head: string): Spec {
  const leaves = leavesOf(layers);
  const rows = leaves.map((l, i) => ({
    i,
    name: l.path,
    kind: kindOf(l.type),
    parameters: l.parameters,
    operations: l.operations[convention],
    activations: l.activationBytes,
  }));
  const modules = modulesOf(leaves);
  const starts = modules.flatMap((module, i) => (modules[i - 1] === module ? [] : [{ i, module }]));
  // Names stand apart; those of modules with most layers come first.
  const held = (s: (typeof starts)[number]) => (starts[starts.indexOf(s) + 1]?.i ?? leaves.length) - s.i;
  const shown = starts
    .toSorted((p, q) => held(q) - held(p) || p.i - q.i)
    .reduce<typeof starts>((chosen, s) => (chosen.some((c) => Math.abs(c.i - s.i) < leaves.length / 55) ? chosen : [...chosen, s]), []);
  const panel = (field: "parameters" | "operations" | "activations", title: string, unit: string, last: boolean): GroupMark => ({
    type: "group",
    encode: sized(WIDTH, 130),
    scales: [{ name: "y", type: "linear", domain: { data: "rows", field }, range: [130, 0], nice: true, zero: true }],
    axes: [
      axis("left", "y", title, { grid: true, gridColor: FAINT, format: unit, titleAngle: -90, tickCount: 4 }),
      axis("bottom", "x", "", {
        values: shown.map((s) => s.i),
        labels: last,
        ticks: last,
        labelAngle: -45,
        labelAlign: "right",
        encode: { labels: { update: { text: { signal: `data('starts')[indexof(pluck(data('starts'), 'i'), datum.value)].module` } } } },
      }),
    ],
    marks: [
      {
        type: "rect",
        from: { data: "rows" },
        encode: {
          update: {
            x: { scale: "x", field: "i" },
            width: { scale: "x", band: 1 },
            y: { scale: "y", field },
            y2: { scale: "y", value: 0 },
            fill: { scale: "color", field: "kind" },
            tooltip: { signal: `datum.name + ': ' + format(datum.${field}, ',')` },
          },
        },
      },
    ],
  });
  const used = kinds.filter(([kind]) => rows.some((r) => r.kind === kind));
  return {
    $schema: SCHEMA,
    description: "Parameters, operations and memory of each layer, in the order in which they compute",
    padding: 5,
    layout: { columns: 1, padding: 14 },
    data: [
      { name: "rows", values: rows },
      { name: "starts", values: shown },
    ],
    scales: [
      { name: "x", type: "band", domain: rows.map((r) => r.i), range: [0, WIDTH], paddingInner: leaves.length > 200 ? 0 : 0.15 },
      { name: "color", type: "ordinal", domain: used.map(([kind]) => kind), range: used.map(([, color]) => color) },
    ],
    legends: [{ fill: "color", orient: "top", direction: "horizontal", symbolType: "square" }],
    marks: [
      panel("parameters", "parameters", "~s", false),
      panel("operations", head, "~s", false),
      panel("activations", "output, bytes", "~s", true),
    ],
  };
}

/** What is held between input and output, step after step, with the peak. */
export function memorySpec(memories: readonly { readonly title: string; readonly memory: Memory }[]): Spec {
  const panel = ({ title, memory }: (typeof memories)[number], i: number): GroupMark => {
    const { timeline, peak } = memory;
    const top = timeline.findIndex((m) => m.bytes === peak.bytes);
    const back = timeline.findIndex((m) => !m.forward);
    const right = top > timeline.length * 0.6;
    const label = `${(peak.bytes / 2 ** 20).toFixed(2)} MiB at ${peak.path || peak.op}`;
    const marks: Mark[] = [
      {
        type: "area",
        from: { data: `m${i}` },
        encode: {
          update: {
            interpolate: { value: "step-after" },
            x: { scale: "x", field: "i" },
            y: { scale: "y", field: "mib" },
            y2: { scale: "y", value: 0 },
            fill: { value: i ? "#8250df" : "#1f6feb" },
            fillOpacity: { value: 0.35 },
            stroke: { value: i ? "#8250df" : "#1f6feb" },
          },
        },
      },
      {
        type: "symbol",
        encode: {
          update: { x: { scale: "x", value: top }, y: { scale: "y", value: peak.bytes / 2 ** 20 }, fill: { value: "#cf222e" }, size: { value: 50 } },
        },
      },
      {
        type: "text",
        encode: {
          update: {
            x: { scale: "x", value: top, offset: right ? -8 : 8 },
            y: { scale: "y", value: peak.bytes / 2 ** 20, offset: -6 },
            text: { value: label },
            align: { value: right ? "right" : "left" },
            fill: { value: "#cf222e" },
          },
        },
      },
    ];
    if (back > 0)
      marks.push(
        {
          type: "rule",
          encode: {
            update: { x: { scale: "x", value: back }, y: { value: 0 }, y2: { value: 150 }, stroke: { value: INK }, strokeDash: { value: [4, 3] } },
          },
        },
        {
          type: "text",
          encode: {
            update: { x: { scale: "x", value: back, offset: 5 }, y: { value: 144 }, text: { value: "the way back →" }, fill: { value: INK } },
          },
        },
      );
    return {
      type: "group",
      encode: sized(WIDTH, 150),
      title: { text: title, anchor: "start", fontWeight: "normal", color: INK },
      scales: [
        { name: "x", type: "linear", domain: [0, timeline.length], range: [0, WIDTH] },
        { name: "y", type: "linear", domain: [0, (peak.bytes / 2 ** 20) * 1.15 || 1], range: [150, 0] },
      ],
      axes: [axis("left", "y", "MiB held", { grid: true, gridColor: FAINT }), axis("bottom", "x", "step")],
      marks,
    };
  };
  return {
    $schema: SCHEMA,
    description: "Memory held between input and output, step after step",
    padding: 5,
    layout: { columns: 1, padding: 18 },
    data: memories.map(({ memory }, i) => ({
      name: `m${i}`,
      values: [...memory.timeline.map((m, at) => ({ i: at, mib: m.bytes / 2 ** 20 })), { i: memory.timeline.length, mib: 0 }],
    })),
    marks: memories.map(panel),
  };
}

/** A field of the middle unit of a layer. */
interface Framed {
  readonly name: string;
  readonly x: number;
  readonly x2: number;
  readonly y: number;
  readonly y2: number;
  readonly size: number;
}

const FRAMES = 9;

/** The fields of the middle units of some layers over the image, and the size of the field along the depth. Only for inputs with two spatial axes. */
export function fieldSpec(input: readonly number[], layers: readonly LayerSummary[]): Spec | null {
  if (input.length !== 4) return null;
  const [h, w] = input.slice(2);
  const maps = leavesOf(layers).filter((layer) => layer.output.length === 4 && layer.receptiveField.every((f) => f.jump > 0));
  const frame = (layer: LayerSummary): Framed => {
    const [rows, columns] = layer.receptiveField;
    const span = (f: Field, size: number): [number, number] => {
      const first = f.start + Math.floor(size / 2) * f.jump;
      return [first, first + f.size];
    };
    const [[y, y2], [x, x2]] = [span(rows, layer.output[2]), span(columns, layer.output[3])];
    return { name: `${layer.path} (${rows.size}×${columns.size})`, x, x2, y, y2, size: rows.size };
  };
  const all = maps.map(frame);
  const grown = all.filter((f, i) => i === 0 || f.size > all[i - 1].size);
  const frames = Array.from(
    { length: Math.min(FRAMES, grown.length) },
    (_, i) => grown[Math.round((i * (grown.length - 1)) / Math.max(1, Math.min(FRAMES, grown.length) - 1))],
  );
  if (frames.length === 0) return null;
  const [low, high] = [Math.min(0, ...frames.flatMap((f) => [f.x, f.y])), Math.max(w, h, ...frames.flatMap((f) => [f.x2, f.y2]))];
  const side = 380;
  const place: Scale = { name: "x", type: "linear", domain: [low, high], range: [0, side] };
  const rect = (data: string, update: Record<string, object>): Mark => ({
    type: "rect",
    from: { data },
    encode: {
      update: {
        x: { scale: "x", field: "x" },
        x2: { scale: "x", field: "x2" },
        y: { scale: "y", field: "y" },
        y2: { scale: "y", field: "y2" },
        ...update,
      },
    },
  });
  return {
    $schema: SCHEMA,
    description: "Receptive fields of the middle units over the image, and their size along the depth",
    padding: 5,
    layout: { columns: 2, padding: 60, align: "each" },
    data: [
      { name: "frames", values: frames.toReversed() },
      { name: "image", values: [{ x: 0, x2: w, y: 0, y2: h }] },
      { name: "sizes", values: all.map((f, i) => ({ i, size: f.size, name: f.name })) },
    ],
    scales: [{ name: "color", type: "ordinal", domain: frames.map((f) => f.name), range: { scheme: "viridis" } }],
    legends: [
      {
        fill: "color",
        orient: "right",
        title: "layer, size of its field",
        titleFontWeight: "normal",
        titleLimit: 260,
        symbolType: "square",
        labelLimit: 260,
      },
    ],
    marks: [
      {
        type: "group",
        encode: sized(side, side),
        scales: [place, { ...place, name: "y" }],
        axes: [axis("bottom", "x", "column of the input; the grey square is the image"), axis("left", "y", "row")],
        marks: [
          rect("image", { fill: { value: "#c9ced6" } }),
          rect("frames", {
            fill: { scale: "color", field: "name" },
            fillOpacity: { value: 0.18 },
            stroke: { scale: "color", field: "name" },
            strokeWidth: { value: 2 },
            tooltip: { field: "name" },
          }),
        ],
      },
      {
        type: "group",
        encode: sized(side - 60, side),
        scales: [
          { name: "x", type: "linear", domain: [0, Math.max(1, all.length - 1)], range: [0, side - 60] },
          { name: "y", type: "log", domain: [1, Math.max(h, ...all.map((f) => f.size))], range: [side, 0] },
        ],
        axes: [
          axis("left", "y", "size of the field (rows)", { grid: true, gridColor: FAINT, format: "d", tickCount: 6 }),
          axis("bottom", "x", "layer"),
        ],
        marks: [
          {
            type: "line",
            from: { data: "sizes" },
            encode: {
              update: {
                interpolate: { value: "step-after" },
                x: { scale: "x", field: "i" },
                y: { scale: "y", field: "size" },
                stroke: { value: "#1f6feb" },
                strokeWidth: { value: 2 },
              },
            },
          },
          {
            type: "rule",
            encode: {
              update: {
                x: { value: 0 },
                x2: { value: side - 60 },
                y: { scale: "y", value: h },
                stroke: { value: "#cf222e" },
                strokeDash: { value: [4, 3] },
              },
            },
          },
          {
            type: "text",
            encode: {
              update: { x: { value: 6 }, y: { scale: "y", value: h, offset: -5 }, text: { value: `the image: ${h}` }, fill: { value: "#cf222e" } },
            },
          },
        ],
      },
    ],
  };
}

/** What arithmetic and memory of this machine allow, and what each step reaches: measured, and as its kernel estimates (Williams, Waterman and Patterson 2009). */
export function rooflineSpec({ layers, roofs: { gflops, bandwidth } }: Timing): Spec {
  const kindsOf = (l: StepTime) => [["predicted", l.predicted] as const, ...(l.measured === undefined ? [] : [["measured", l.measured] as const])];
  const dots = layers
    .filter((l) => l.macs > 0)
    .flatMap((l) =>
      kindsOf(l).map(([kind, seconds]) => ({
        kind,
        name: `${l.path} (${l.kernel})`,
        intensity: (2 * l.macs) / l.bytes,
        speed: (2 * l.macs) / seconds / 1e9,
      })),
    );
  const ridge = gflops / bandwidth;
  const xs = [...dots.map((d) => d.intensity), ridge];
  const [least, most] = [Math.min(...xs) / 2, Math.max(...xs) * 2];
  const roof = [least, ridge, most].map((intensity) => ({ intensity, speed: Math.min(gflops, intensity * bandwidth) }));
  const speeds = [...dots.map((d) => d.speed), ...roof.map((r) => r.speed)];
  return logLog(
    "GFLOP/s of each layer over its arithmetic intensity, under the roofs of this machine",
    {
      data: dots,
      fields: ["intensity", "speed"],
      domains: [
        [least, most],
        [Math.min(...speeds) / 1.5, Math.max(...speeds) * 1.5],
      ],
      titles: ["FLOP a byte, if operands and result are moved once", "GFLOP/s"],
    },
    [
      ["predicted", "#8a8f98"],
      ["measured", "#1f6feb"],
    ],
    roof,
  );
}

/** Work over arithmetic intensity, as far as the graph tells: whether arithmetic or memory will bound a layer. */
export function intensitySpec(layers: readonly LayerSummary[]): Spec | null {
  const dots = leavesOf(layers).flatMap((l) =>
    l.macs ? [{ kind: kindOf(l.type), name: l.path, intensity: (2 * l.macs) / l.movedBytes, speed: l.macs }] : [],
  );
  if (dots.length === 0) return null;
  const range = (values: readonly number[]): [number, number] => [Math.min(...values) / 2, Math.max(...values) * 2];
  const colors = kinds.filter(([kind]) => dots.some((d) => d.kind === kind)).map(([kind, color]) => [kind, color] as const);
  return logLog(
    "Multiply-accumulates of each layer over its arithmetic intensity",
    {
      data: dots,
      fields: ["intensity", "speed"],
      domains: [range(dots.map((d) => d.intensity)), range(dots.map((d) => d.speed))],
      titles: ["FLOP a byte, if nothing is fused", "MACs"],
    },
    colors,
    [],
  );
}

interface Dots {
  readonly data: readonly object[];
  readonly fields: readonly [string, string];
  readonly domains: readonly [number[], number[]];
  readonly titles: readonly [string, string];
}

function logLog(
  description: string,
  { data, fields: [x, y], domains, titles }: Dots,
  colors: readonly (readonly [string, string])[],
  roof: readonly object[],
): Spec {
  const at = { x: { scale: "x", field: x }, y: { scale: "y", field: y } };
  return {
    $schema: SCHEMA,
    description,
    width: WIDTH,
    height: 380,
    padding: 5,
    data: [
      { name: "dots", values: [...data] },
      { name: "roof", values: [...roof] },
    ],
    scales: [
      { name: "x", type: "log", domain: domains[0], range: "width" },
      { name: "y", type: "log", domain: domains[1], range: "height" },
      { name: "color", type: "ordinal", domain: colors.map(([name]) => name), range: colors.map(([, color]) => color) },
    ],
    legends: [{ fill: "color", orient: "top", direction: "horizontal" }],
    axes: [
      axis("bottom", "x", titles[0], { grid: true, gridColor: FAINT, format: "~g" }),
      axis("left", "y", titles[1], { grid: true, gridColor: FAINT, format: "~s" }),
    ],
    marks: [
      { type: "line", from: { data: "roof" }, encode: { update: { ...at, stroke: { value: INK }, strokeWidth: { value: 1.5 } } } },
      {
        type: "symbol",
        from: { data: "dots" },
        encode: {
          update: { ...at, fill: { scale: "color", field: "kind" }, fillOpacity: { value: 0.75 }, size: { value: 50 }, tooltip: { field: "name" } },
        },
      },
    ],
  };
}
