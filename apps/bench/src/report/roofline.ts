// The roofline of the machine with each case a dot for each competitor: what bandwidth and
// arithmetic allow, and what was reached. Williams, Waterman & Patterson, Roofline: an insightful
// visual performance model for multicore architectures (2009).

import type { Spec } from "vega";
import type { Machine } from "../machine.ts";
import { competitorsOf, type Row } from "./result.ts";

/** Both axes logarithmic; a line for each measured peak, which the slope of the memory meets. */
export function rooflineSpec(rows: readonly Row[], { peaks }: Machine): Spec {
  const { bandwidth } = peaks[0];
  const dots = rows
    .filter((r) => r.verified)
    .map(({ case: name, competitor, intensity, gflops }) => ({
      name,
      competitor,
      intensity,
      gflops,
    }));
  // All dots, and where each roof meets the slope.
  const seen = [...dots.map((d) => d.intensity), ...peaks.map((p) => p.gflops / bandwidth)];
  const [least, most] = [Math.min(...seen) / 2, Math.max(...seen) * 2];
  const roofs = peaks.flatMap(({ gflops }, roof) =>
    [least, gflops / bandwidth, most].map((intensity) => ({
      roof,
      intensity,
      gflops: Math.min(gflops, intensity * bandwidth),
    })),
  );
  const place = {
    x: { scale: "intensity", field: "intensity" },
    y: { scale: "speed", field: "gflops" },
  };
  const shapes = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down"];
  return {
    $schema: "https://vega.github.io/schema/vega/v6.json",
    description: "GFLOP/s over arithmetic intensity, under the roofs of this machine",
    width: 760,
    height: 420,
    padding: 5,
    data: [
      { name: "dots", values: dots },
      { name: "roofs", values: roofs },
    ],
    scales: [
      { name: "intensity", type: "log", domain: [least, most], range: "width" },
      {
        name: "speed",
        type: "log",
        domain: {
          fields: [
            { data: "dots", field: "gflops" },
            { data: "roofs", field: "gflops" },
          ],
        },
        range: "height",
        nice: true,
      },
      {
        name: "color",
        type: "ordinal",
        domain: competitorsOf(rows),
        range: { scheme: "tableau10" },
      },
      { name: "shape", type: "ordinal", domain: competitorsOf(rows), range: shapes },
    ],
    axes: [
      {
        orient: "bottom",
        scale: "intensity",
        title: "FLOP a byte, if operands and result are moved once",
        grid: true,
        tickCount: 6,
      },
      { orient: "left", scale: "speed", title: "GFLOP/s", grid: true, tickCount: 6 },
    ],
    legends: [{ fill: "color", shape: "shape", orient: "top", direction: "horizontal" }],
    marks: [
      {
        type: "group",
        from: { facet: { data: "roofs", name: "roof", groupby: "roof" } },
        marks: [
          {
            type: "line",
            from: { data: "roof" },
            encode: {
              enter: { ...place, stroke: { value: "#57606a" }, strokeWidth: { value: 1.5 } },
            },
          },
        ],
      },
      {
        type: "symbol",
        from: { data: "dots" },
        encode: {
          enter: {
            ...place,
            fill: { scale: "color", field: "competitor" },
            shape: { scale: "shape", field: "competitor" },
            size: { value: 60 },
            tooltip: { signal: "datum.name + ', ' + datum.competitor" },
          },
        },
      },
    ],
  };
}
