// `conv receptive`: the receptive field of each layer, exact and effective.

import {
  conventions,
  effectiveField,
  formatCount,
  inputRegion,
  receptiveFields,
  wrap,
  type EffectiveField,
  type ReceptiveField,
  type Region,
} from "@conv/analysis";
import { createRandom, initialize, traceModel, type Model, type TracedModel } from "@conv/layers";
import { formatShape, nearest, quoted, sizeOf, type Value } from "@conv/tensor";
import type { DeviceOptions } from "../backend.ts";
import { UserError } from "../errors.ts";
import { modelOf } from "../model.ts";
import { print } from "../output.ts";
import { aligned, fitted } from "../table.ts";
import { colorsOf, columns } from "../terminal.ts";

export interface ReceptiveOptions extends DeviceOptions {
  readonly input?: readonly number[];
  readonly at?: string;
  readonly unit?: readonly number[];
  readonly effective: boolean;
  readonly json: boolean;
}

const SAMPLES = 4; // random inputs that the effective field is averaged over

/**
 * The receptive fields of the values of a model, and the output of each layer and module.
 */
function seenIn({ graph, x }: TracedModel) {
  const fields = receptiveFields(graph, x);
  const outputs = new Map<string, Value>();
  for (const n of graph.nodes)
    if (fields.has(n.outputs[0]))
      n.path
        .split(".")
        .forEach((_, i, names) => outputs.set(names.slice(0, i + 1).join("."), n.outputs[0]));
  return { x, fields, outputs };
}

export async function receptive(name: string, options: ReceptiveOptions): Promise<void> {
  const plain = modelOf(name);
  const model = options.input ? { ...plain, input: options.input } : plain;
  const traced = traceModel(model);
  const { graph, x } = traced;
  const seen = seenIn(traced);
  const { fields, outputs } = seen;
  const paths = [
    ...new Set(graph.nodes.flatMap((n) => (fields.has(n.outputs[0]) ? [n.path] : []))),
  ];
  const layers = paths.map((path) => ({
    path,
    output: outputs.get(path)!.shape,
    field: fields.get(outputs.get(path)!)!,
  }));
  const asked =
    options.at ??
    (options.unit || options.effective
      ? layers.findLast((l) => l.output.slice(2).some((size) => size > 1))?.path
      : undefined);
  const details = asked === undefined ? null : await detailsOf(asked, seen, model, options);
  if (options.json) {
    print(JSON.stringify({ model: name, input: x.shape, layers, ...details }, null, 2));
    return;
  }
  const color = colorsOf(process.stdout);
  const [head, ...lines] = fitted(
    [
      ["layer", "output", "size", "jump", "start"],
      ...layers.map((l) => [
        l.path || "(model)",
        formatShape(l.output),
        ...(["size", "jump", "start"] as const).map((key) => perAxis(l.field, key)),
      ]),
    ],
    columns(),
    [1],
    [0, 1],
  );
  const shown = details ? detailsText(details) : [color.bold(head), ...lines];
  const notes = [
    `size, jump, start: ${conventions.receptiveField}`,
    ...(details?.effective
      ? [
          "effective size: side of a square as large as all positions with more than 4.55 % of the " +
            "largest gradient (Luo, Li, Urtasun and Zemel 2016)",
        ]
      : []),
  ];
  const note = notes.flatMap((text) => wrap(text, columns())).map((line) => color.dim(line));
  print(
    [`${color.bold(name)}, input ${formatShape(x.shape)}`, "", ...shown, "", ...note].join("\n"),
  );
}

const perAxis = (list: readonly ReceptiveField[], key: keyof ReceptiveField): string =>
  list.map((f) => formatCount(f[key]).replace("-", "−")).join("×");

interface Details {
  readonly at: string;
  readonly output: readonly number[];
  readonly field: readonly ReceptiveField[];
  readonly unit: readonly number[];
  readonly region: readonly Region[] | null;
  readonly effective?: EffectiveField;
}

async function detailsOf(
  at: string,
  { x, fields, outputs }: ReturnType<typeof seenIn>,
  model: Model,
  { unit: asked, effective, ...options }: ReceptiveOptions,
): Promise<Details> {
  const value = outputs.get(at);
  if (!value) {
    const { name: near } = nearest(at, [...outputs.keys()]);
    throw new UserError(`${model.name} has no layer ${quoted(at)}; the nearest name is ${near}`);
  }
  const space = value.shape.slice(2);
  const unit = asked ?? space.map((size) => Math.floor(size / 2));
  if (unit.length !== space.length || unit.some((p, a) => p >= space[a]))
    throw new UserError(
      `${at} has no unit ${unit.join("x")}; its output is ${value.shape.join("x")}`,
    );
  const index = [...value.shape.slice(0, 2).map(() => 0), ...unit];
  return {
    at,
    output: value.shape,
    field: fields.get(value)!,
    unit,
    region: inputRegion(x, value, index),
    ...(effective && { effective: await measured(at, model, unit, options) }),
  };
}

/** The effective field with initial weights, over random images. */
async function measured(
  at: string,
  model: Model,
  unit: readonly number[],
  options: DeviceOptions,
): Promise<EffectiveField> {
  const traced = traceModel(model, { batch: SAMPLES });
  const random = createRandom("effective");
  const state = initialize(model);
  const x = Float32Array.from({ length: sizeOf(traced.x.shape) }, () => random.normal());
  const { openBackend } = await import("../backend.ts");
  const { backend, announce } = await openBackend(options);
  announce();
  try {
    return await effectiveField(backend, traced, {
      at: seenIn(traced).outputs.get(at)!,
      unit,
      inputs: [x, ...traced.entries.map((e) => state.get(e.name)!.data)],
    });
  } finally {
    backend.dispose();
  }
}

function detailsText({ at, output, field, unit, region, effective }: Details): string[] {
  const range = ({ first, last, count }: Region) =>
    `${first} to ${last}${count === last - first + 1 ? "" : `, ${count} of them`}`;
  const rows = [
    ["layer", at],
    ["output", formatShape(output)],
    ["size", perAxis(field, "size")],
    ["jump", perAxis(field, "jump")],
    ["start", perAxis(field, "start")],
    ["unit", unit.join("×") || "0"],
    ["input region", region ? region.map(range).join(" × ") : "nothing"],
  ];
  if (effective)
    rows.push(
      ["effective center", effective.center.map((c) => c.toFixed(1)).join("×")],
      ["standard deviation", effective.deviation.map((d) => d.toFixed(1)).join("×")],
      ["effective size", effective.side.toFixed(1)],
    );
  return aligned(rows, [0, 1]);
}
