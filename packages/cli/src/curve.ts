// The learning curve as an SVG: loss and accuracy of each epoch, on the training and the validation
// set.

import { parse, View, type GroupMark, type Mark, type Scale, type Spec } from "vega";

/** What is drawn of an epoch. */
export interface CurvePoint {
  readonly epoch: number;
  readonly loss: number;
  readonly accuracy: number;
  readonly test: { readonly loss: number; readonly accuracy: number };
}

const PANEL = { width: 320, height: 240 };
const TRAIN = "training";
const TEST = "validation";

/**
 * The SVG's text. Accuracies are drawn in percent, the loss on a logarithmic axis where it can be.
 */
export function drawCurve(title: string, points: readonly CurvePoint[]): Promise<string> {
  const rows = points.flatMap(({ epoch, loss, accuracy, test }) => [
    { epoch, set: TRAIN, loss, accuracy: 100 * accuracy },
    { epoch, set: TEST, loss: test.loss, accuracy: 100 * test.accuracy },
  ]);
  const spec: Spec = {
    $schema: "https://vega.github.io/schema/vega/v6.json",
    background: "white",
    padding: 16,
    title: { text: title, anchor: "start", fontSize: 15, offset: 14 },
    layout: { columns: 2, padding: 28, align: "all" },
    data: [{ name: "rows", values: rows }],
    scales: [
      { name: "color", type: "ordinal", domain: [TRAIN, TEST], range: ["#8a8f98", "#1f6feb"] },
    ],
    legends: [{ stroke: "color", orient: "right", symbolType: "stroke", symbolStrokeWidth: 3 }],
    marks: [
      panel("loss", "loss", rows.every((r) => r.loss > 0) ? "log" : "linear"),
      panel("accuracy", "accuracy, %", "linear"),
    ],
  };
  return new View(parse(spec), { renderer: "none" }).toSVG();
}

function panel(field: "loss" | "accuracy", label: string, type: "log" | "linear"): GroupMark {
  const domain = { data: "rows", field };
  const y: Scale = {
    name: "y",
    type: "linear",
    domain,
    range: [PANEL.height, 0],
    nice: true,
    zero: false,
  };
  return {
    type: "group",
    encode: { update: { width: { value: PANEL.width }, height: { value: PANEL.height } } },
    scales: [
      {
        name: "x",
        type: "point",
        domain: { data: "rows", field: "epoch" },
        range: [0, PANEL.width],
        padding: 0.5,
      },
      type === "log" ? { ...y, type, zero: undefined } : y,
    ],
    axes: [
      { orient: "bottom", scale: "x", title: "epoch", labelOverlap: true },
      {
        orient: "left",
        scale: "y",
        title: label,
        grid: true,
        gridScale: "x",
        gridColor: "#dadde1",
        tickCount: 6,
      },
    ],
    marks: [
      {
        type: "group",
        from: { facet: { name: "series", data: "rows", groupby: "set" } },
        marks: [mark("line", field), mark("symbol", field)],
      },
    ],
  };
}

function mark(type: "line" | "symbol", field: string): Mark {
  const color = { scale: "color", field: "set" };
  const place = { x: { scale: "x", field: "epoch" }, y: { scale: "y", field } };
  const look =
    type === "line"
      ? { stroke: color, strokeWidth: { value: 2 } }
      : { fill: color, size: { value: 28 } };
  return { type, from: { data: "series" }, encode: { update: { ...place, ...look } } };
}
