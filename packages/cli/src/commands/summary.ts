// `conv summary`: the costs of each layer of a network, on the terminal, for other programs, or as
// a page. A back end is loaded only to predict or measure times.

import {
  csvOf,
  evaluatePolynomial,
  formatBytes,
  formatSummary,
  formulasOf,
  growthOf,
  markdownOf,
  memoryOf,
  summarize,
  trainingMemoryOf,
  widthGrowth,
  wrap,
  type Memory,
  type NumberType,
  type Traced,
} from "@conv/analysis";
import { adam, traceModel, traceStep, type Model } from "@conv/layers";
import { ShapeError, type Graph } from "@conv/tensor";
import { about } from "../errors.ts";
import { modelOf } from "../model.ts";
import { write } from "../output.ts";
import type { Costs, Growth, SummaryOptions } from "../report/costs.ts";
import { reservedRows } from "../reserved.ts";
import { aligned, fitted, shortened } from "../table.ts";
import { colorsOf, columns } from "../terminal.ts";
import type { StepTime, Timing } from "../timing.ts";

const ADAM = 2; // state tensors for each parameter

export async function summary(name: string, options: SummaryOptions): Promise<void> {
  const { input, batch, out, predict, measure, dtype, convention, backward, depth } = options;
  const format = options.json ? "json" : options.format;
  const plain = modelOf(name);
  const model = input ? { ...plain, input } : plain;
  if (out !== undefined)
    await about(out, async () => (await import("@conv/layers/node")).checkSave(out));
  const traced = traceModel(model, { batch });
  const result = summarize(traced, { modules: true });
  const costs = async (): Promise<Costs> => ({
    summary: result,
    inference: memoryOf(traced, { dtype }),
    ...trainingOf(model, batch, dtype),
    ...((predict || measure) && {
      timing: await (
        await import("../timing.ts")
      ).timeLayers({
        ...options,
        graph: traced.graph,
        training: stepOf(model, batch),
        run: measure,
      }),
    }),
  });
  const text = await {
    text: async () => textOf(await costs(), options, out === undefined),
    json: async () => {
      const { summary: counts, ...others } = await costs();
      const { inference, training, timing } = others;
      const [formulas, growth] = [formulasOf(traced), growthTable(model, batch)];
      return JSON.stringify(
        { ...counts, memory: { inference, training }, formulas, growth, timing },
        null,
        2,
      );
    },
    csv: () => csvOf(result, { convention, backward, depth }),
    markdown: () => markdownOf(result, { convention, backward, depth }),
    html: async () =>
      (await import("../report/page.ts")).pageOf(await costs(), {
        ...options,
        formulas: formulasOf(traced),
        growth: growthTable(model, batch),
      }),
  }[format]();
  if (out === undefined) write(text.endsWith("\n") ? text : `${text}\n`);
  else {
    const { saveFile } = await import("@conv/layers/node");
    await about(out, () =>
      saveFile(out, new TextEncoder().encode(text.endsWith("\n") ? text : `${text}\n`)),
    );
  }
}

/** Memory of training; batch normalization of a single value is an error, which is reported. */
function trainingOf(
  model: Model,
  batch: number,
  dtype: NumberType,
): Pick<Costs, "training" | "untrainable"> {
  try {
    return {
      training: trainingMemoryOf(traceModel(model, { batch, training: true }), {
        dtype,
        slots: ADAM,
      }),
    };
  } catch (error) {
    if (error instanceof ShapeError) return { training: null, untrainable: error.message };
    throw error;
  }
}

/**
 * The graph of a training step; null where there is none, for example where the loss takes other
 * labels than classes.
 */
function stepOf(model: Model, batch: number): Graph | null {
  try {
    return traceStep(model, adam(), batch).graph;
  } catch (error) {
    if (error instanceof ShapeError) return null;
    throw error;
  }
}

function growthTable(model: Model, batch: number): Growth[] {
  const [channels, ...space] = model.input;
  const at = (input: readonly number[], n: number) => () =>
    traceModel({ ...model, input }, { batch: n });
  const traces: [string, () => Traced][] = [
    [`twice the batch size, ${2 * batch}`, at(model.input, 2 * batch)],
    [
      `twice the resolution, ${space.map((s) => 2 * s).join("×")}`,
      at([channels, ...space.map((s) => 2 * s)], batch),
    ],
  ];
  const rows = traces.flatMap(([what, trace]): Growth[] => {
    try {
      const [{ macs, parameters, activationBytes }] = growthOf(trace, [2]);
      return [{ what, macs, parameters, activations: activationBytes }];
    } catch (error) {
      if (error instanceof ShapeError) return []; // a network may accept one image size only
      throw error;
    }
  });
  const { macs, weights } = widthGrowth(at(model.input, batch)());
  const [wide, heavy] = [macs, weights].map((p) => evaluatePolynomial(p, 2));
  return [
    ...rows,
    {
      what: "twice the width (products and their weights)",
      macs: wide,
      parameters: heavy,
      activations: null,
    },
  ];
}

function textOf(
  { summary: counts, inference, training, untrainable, timing }: Costs,
  options: SummaryOptions,
  toTerminal: boolean,
): string {
  const color = colorsOf(process.stdout);
  const paint = toTerminal ? { bold: color.bold, dim: color.dim, heavy: color.yellow } : undefined;
  const dim = paint?.dim ?? ((line: string) => line);
  const width = columns();
  const rows =
    toTerminal && process.stdout.isTTY ? Math.max(8, process.stdout.rows - 28) : undefined;
  const { convention, backward, depth } = options;
  const table = formatSummary(counts, { convention, backward, depth, width, rows, paint });
  // next to the longest head and two gaps
  const room = Math.floor((width - 33) / (training ? 2 : 1));
  const at = ({ peak }: Memory) => shortened(peak.path || "(model)", room);
  const pass = ({ peak }: Memory) => (peak.forward ? "forward" : "backward");
  const memory = aligned(
    [
      ["memory", "inference", ...(training ? ["training, Adam"] : [])],
      [
        "parameters, buffers",
        formatBytes(inference.parameters + inference.buffers),
        ...(training ? [formatBytes(training.parameters + training.buffers)] : []),
      ],
      ...(training
        ? [["gradients, optimizer", "–", formatBytes(training.gradients + training.optimizer)]]
        : []),
      ...(training ? [["activations kept for backward", "–", formatBytes(training.kept)]] : []),
      [
        "peak",
        formatBytes(inference.peak.bytes),
        ...(training ? [formatBytes(training.peak.bytes)] : []),
      ],
      ["  at", at(inference), ...(training ? [at(training)] : [])],
      ...(training ? [["  in the pass", pass(inference), pass(training)]] : []),
      ["total", formatBytes(inference.total), ...(training ? [formatBytes(training.total)] : [])],
      ...(timing && !timing.reserved
        ? [
            [
              "reserved by the program",
              formatBytes(timing.programBytes),
              ...(training ? ["–"] : []),
            ],
          ]
        : []),
    ],
    [0, 1, 2],
  );
  const reserved = timing?.reserved
    ? ["", ...aligned(reservedRows(timing.reserved, timing.on))]
    : [];
  const { torchinfo } = counts;
  const mega = (bytes: number) => (bytes / 1e6).toFixed(2);
  const notes = [
    ...(untrainable
      ? [`training is not possible at batch ${counts.input[0]}: ${untrainable}`]
      : []),
    `memory: ${inference.dtype}, node by node, without fusion; a result may reuse the memory of ` +
      "its inputs",
    `memory by torchinfo (MB of 1,000,000, float32): input ${mega(torchinfo.input)}, ` +
      `forward/backward pass ${mega(torchinfo.passes)}, params ${mega(torchinfo.parameters)}, ` +
      `total ${mega(torchinfo.total)}`,
  ].flatMap((note) => wrap(note, width));
  return [
    table,
    "",
    ...memory,
    ...reserved,
    "",
    ...notes.map(dim),
    ...(timing ? ["", ...timingText(timing, width)] : []),
  ].join("\n");
}

/** Predicted and measured time, the slowest layers first. */
function timingText({ on, predicted, measured, roofs, layers }: Timing, width: number): string[] {
  const ms = (seconds: number) => (seconds * 1e3).toPrecision(3);
  const ran = measured !== undefined;
  const taken = (l: StepTime) => l.measured ?? l.predicted;
  const total = (of: (l: StepTime) => number) => layers.reduce((sum, l) => sum + of(l), 0);
  const share = (part: number, whole: number) => `${((100 * part) / whole).toFixed(1)} %`;
  const [all, sum] = [total((l) => l.predicted), total(taken)];
  const rows = layers.toSorted((a, b) => taken(b) - taken(a)).slice(0, 20);
  const lines = fitted(
    [
      [
        "layer",
        "predicted ms",
        "share",
        ...(ran ? ["measured ms", "share"] : []),
        "GFLOP/s",
        "kernel",
      ],
      ...rows.map((l) => [
        shortened(l.path || "(model)", width - 52),
        ms(l.predicted),
        share(l.predicted, all),
        ...(ran ? [ms(taken(l)), share(taken(l), sum)] : []),
        l.macs ? ((2 * l.macs) / taken(l) / 1e9).toFixed(1) : "–",
        l.kernel,
      ]),
    ],
    width,
    ran ? [2, 4] : [2],
  );
  const how = ran
    ? `measured: the minimum of several runs of each step; the whole network, ${ms(measured)} ms. `
    : "";
  return [
    ...wrap(
      `time on the ${on}: predicted ${ms(predicted)} ms, by the estimates of the kernels` +
        (ran ? `; measured ${ms(measured)} ms` : ""),
      width,
    ),
    "",
    ...lines,
    ...(layers.length > rows.length ? [`and ${layers.length - rows.length} more`] : []),
    "",
    ...wrap(
      `${how}Peak: ${Number(roofs.gflops.toPrecision(3))} GFLOP/s in a large matrix product, ` +
        `${Number(roofs.bandwidth.toPrecision(3))} GB/s in a copy`,
      width,
    ),
  ];
}
