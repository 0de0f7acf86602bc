// The memory between input and output at each step, with the peak.

import { formatBytes, type Memory } from "@conv/analysis";
import type { Mark } from "vega";
import {
  axis,
  beside,
  colors,
  dashed,
  heading,
  label,
  levels,
  textWidth,
  type Picture,
} from "./draw.ts";

const [LEFT, HEIGHT] = [52, 150];
const BACKWARD = "backward pass →";

/** A power of 1024 and its name, in which the peak has one to four digits. */
function unitOf(bytes: number): readonly [size: number, name: string] {
  const power = bytes < 1024 ? 0 : Math.min(3, Math.floor(Math.log2(bytes) / 10));
  return [1024 ** power, power ? `${"KMG".charAt(power - 1)}iB` : "bytes"];
}

export function timePicture(
  title: string,
  { timeline, peak }: Memory,
  color: string,
  width: number,
): Picture {
  const inner = width - LEFT - 10;
  const steps = Math.max(1, timeline.length);
  const [size, unit] = unitOf(peak.bytes);
  const top = timeline.findIndex((m) => m.bytes === peak.bytes);
  const back = timeline.findIndex((m) => !m.forward);
  const x = (step: number) => (step / steps) * inner;
  const most = (peak.bytes / size) * 1.25 || 1;
  const y = HEIGHT * (1 - peak.bytes / size / most);
  const text = named(`${formatBytes(peak.bytes)} at `, peak.path || peak.op || "(model)", inner);
  const marks: Mark[] = [
    {
      type: "area",
      from: { data: "held" },
      encode: {
        update: {
          interpolate: { value: "step-after" },
          x: { scale: "x", field: "step" },
          y: { scale: "y", field: "held" },
          y2: { scale: "y", value: 0 },
          fill: { value: color },
          fillOpacity: { value: 0.3 },
          stroke: { value: color },
        },
      },
    },
    {
      type: "symbol",
      encode: {
        update: {
          x: { value: x(top) },
          y: { value: y },
          fill: { value: colors.red },
          size: { value: 50 },
        },
      },
    },
    label(0, y - 9, text, { fill: { value: colors.red }, ...beside(x(top), text, inner) }),
    heading(`${title}, ${unit}`),
  ];
  if (back > 0)
    marks.push(
      dashed([x(back), y], [x(back), HEIGHT], "currentColor"),
      label(0, HEIGHT - 8, BACKWARD, beside(x(back), BACKWARD, inner)),
    );
  return {
    description: `${title}: memory between input and output at each step`,
    width: inner,
    height: HEIGHT,
    padding: { left: LEFT, right: 10, top: 26, bottom: 36 },
    data: [
      {
        name: "held",
        values: [
          ...coarse(timeline, Math.ceil(steps / inner)).map((m) => ({ ...m, held: m.held / size })),
          { step: steps, held: 0 },
        ],
      },
    ],
    scales: [
      { name: "x", type: "linear", domain: [0, steps], range: [0, inner] },
      { name: "y", type: "linear", domain: [0, most], range: [HEIGHT, 0] },
    ],
    axes: [
      levels({ encode: undefined }),
      axis("bottom", "x", {
        title: "step",
        format: "d",
        labelFlush: 20,
        tickMinStep: 1,
        tickCount: Math.min(10, Math.round(inner / 60)),
      }),
    ],
    marks,
  };
}

/** The largest of every so many steps: no more points than pixels. */
const coarse = (timeline: Memory["timeline"], every: number): { step: number; held: number }[] =>
  Array.from({ length: Math.ceil(timeline.length / every) }, (_, i) => ({
    step: i * every,
    held: Math.max(...timeline.slice(i * every, (i + 1) * every).map((m) => m.bytes)),
  }));

/** The words and a layer's name, without its outer modules where there is no room. */
function named(words: string, path: string, width: number): string {
  const parts = path.split(".");
  const text = (from: number) => `${words}${from ? "…" : ""}${parts.slice(from).join(".")}`;
  const from = parts.findIndex((_, i) => textWidth(text(i)) + 10 <= width);
  return text(from < 0 ? parts.length - 1 : from);
}
