// `conv explain`: which kernels can compute a convolution, the predicted time of each and its
// parts, and which one is chosen.

import { wrap } from "@conv/analysis";
import { createCpu } from "@conv/kernels-cpu";
import {
  explain,
  measure,
  type Candidate,
  type Explanation,
  type Part,
} from "@conv/kernels-cpu/explain";
import {
  convGeometry,
  convGradInputOp,
  convGradWeightOp,
  convOp,
  mustDivide,
  wShape,
  xShape,
  yShape,
  type ConvGeometry,
  type PerAxis,
} from "@conv/ops";
import { node, sizeOf, spec, trace, type Op } from "@conv/tensor";
import { kernelSizes } from "../kernel.ts";
import { print } from "../output.ts";
import { aligned, described } from "../table.ts";
import { colorsOf, columns, edge } from "../terminal.ts";

export const directions = ["forward", "gradInput", "gradWeight"] as const;
type Direction = (typeof directions)[number];

export interface ExplainOptions {
  readonly stride: PerAxis;
  readonly padding: PerAxis | "same";
  readonly dilation: PerAxis;
  readonly groups: number;
  readonly batch: number;
  readonly direction: Direction;
  readonly threads?: number;
  readonly simd256: boolean;
  readonly measure: boolean;
  readonly json: boolean;
}

/** The op, operands and result of each direction. */
const meaning: Record<
  Direction,
  {
    op: Op<ConvGeometry>;
    operands: readonly ((g: ConvGeometry) => number[])[];
    result: (g: ConvGeometry) => number[];
    text: string;
  }
> = {
  forward: { op: convOp, operands: [xShape, wShape], result: yShape, text: "output" },
  gradInput: {
    op: convGradInputOp,
    operands: [yShape, wShape],
    result: xShape,
    text: "gradient with respect to the input",
  },
  gradWeight: {
    op: convGradWeightOp,
    operands: [yShape, xShape],
    result: wShape,
    text: "gradient with respect to the weight",
  },
};

/** A candidate with its shortest measured time in seconds, where it was measured. */
type Contender = Candidate & { readonly measured?: number };

export async function explainConv(
  input: readonly number[],
  kernel: readonly number[],
  channels: number,
  options: ExplainOptions,
): Promise<void> {
  const { batch, groups, direction, threads, simd256, json } = options;
  const [ic] = input;
  const taps = kernelSizes(kernel, input);
  mustDivide("explain", "input channels", ic, groups);
  const geometry = convGeometry(
    spec([batch, ...input]),
    spec([channels, ic / groups, ...taps]),
    options,
  );
  const { op, operands, result } = meaning[direction];
  const specs = operands.map((shape) => spec(shape(geometry)));
  const graph = trace((a, b) => node(op, geometry, [a, b])[0], specs);
  const cpu = await createCpu({ ...(threads === undefined ? {} : { threads }), simd256 });
  try {
    const [{ chosen, candidates, declined }] = explain(graph, cpu.caps);
    let contenders: readonly Contender[] = candidates;
    if (options.measure) {
      const inputs = specs.map(({ shape }, i) =>
        Float32Array.from({ length: sizeOf(shape) }, (_, j) => Math.sin(j * (i + 1))),
      );
      const times = await measure(cpu, graph, { inputs, kernels: candidates.map((c) => c.kernel) });
      contenders = candidates.map((c, i) => ({ ...c, measured: times[i] }));
    }
    const { macs } = op.cost(specs, geometry);
    const { relaxed, threads: used } = cpu.caps;
    if (json) {
      const caps = { threads: used, relaxed, simd256: cpu.caps.simd256 };
      print(
        JSON.stringify(
          {
            direction,
            geometry,
            output: result(geometry),
            macs,
            caps,
            chosen,
            candidates: contenders,
            declined,
          },
          null,
          2,
        ),
      );
      return;
    }
    const what = `${xShape(geometry).join("×")} by ${wShape(geometry).join("×")}`;
    const threadCount = used === 1 ? "one thread" : `${used} threads`;
    const on = `${threadCount}${cpu.caps.simd256 ? ", 256-bit registers" : ""}`;
    const count = `${macs.toLocaleString("en-US")} multiply-accumulates`;
    print(
      wrap(
        `conv of ${what}; ${meaning[direction].text} ${result(geometry).join("×")}, ` +
          `${count}; ${on}`,
        edge(),
      ).join("\n"),
    );
    if (cpu.simd256Reason) print(`without 256-bit registers: ${cpu.simd256Reason}`);
    print(`\n${explanationText({ chosen, candidates: contenders, declined }, columns())}`);
  } finally {
    cpu.dispose();
  }
}

/** Kinds of work, as columns of the table. */
const groups: readonly {
  readonly head: string;
  readonly kinds: readonly Part["kind"][];
  readonly saves: string;
}[] = [
  { head: "products", kinds: ["products", "steps"], saves: "in products" },
  {
    head: "elements",
    kinds: ["moved", "gathered", "transformed"],
    saves: "in moving and transforming elements",
  },
  { head: "bytes", kinds: ["streamed"], saves: "in memory traffic" },
  { head: "edges", kinds: ["tiles"], saves: "at the starts of rows and tiles" },
  { head: "call", kinds: ["call"], saves: "per call" },
];

const secondsOf = ({ parts }: Candidate, kinds: readonly Part["kind"][]) =>
  parts.filter((p) => kinds.includes(p.kind)).reduce((sum, p) => sum + p.seconds, 0);

/**
 * The table of candidates, why one is chosen, and why the others cannot compute it. The last parts
 * are left out where the table would be too wide.
 */
export function explanationText(
  { chosen, candidates, declined }: Omit<Explanation, "nodes">,
  width: number,
): string {
  const contenders: readonly Contender[] = candidates;
  const timed = contenders.every((c) => c.measured !== undefined);
  const [unit, scale] =
    contenders[0].estimate < 1e-3 ? (["µs", 1e6] as const) : (["ms", 1e3] as const);
  const cell = (seconds: number) => (seconds === 0 ? "·" : three(seconds * scale));
  const table = (parts: typeof groups) =>
    aligned([
      [
        "kernel",
        "estimate",
        ...(timed ? ["measured"] : []),
        ...parts.map((g) => g.head),
        "roundoff",
      ],
      ...contenders.map((c) => [
        c.kernel,
        cell(c.estimate),
        ...(c.measured === undefined ? [] : [cell(c.measured)]),
        ...parts.map((g) => cell(secondsOf(c, g.kinds))),
        c.roundoff === undefined ? "·" : `${c.roundoff}`,
      ]),
    ]);
  let shown = groups;
  while (shown.length && table(shown)[0].length > width) shown = shown.slice(0, -1);
  const [head, ...lines] = table(shown);
  const colors = colorsOf(process.stdout);
  const body = lines.map((line, i) => (contenders[i].kernel === chosen ? colors.bold(line) : line));
  const own = declined.filter((d) => !d.foreign);
  const foreign = declined.filter((d) => d.foreign).map((d) => d.kernel);
  return [
    [
      head,
      ...body,
      ...wrap(
        `estimates in ${unit}, and their parts; ` +
          "roundoff: the stated factor of Winograd's rounding errors",
        width,
      ),
    ],
    [
      whyText(chosen, contenders, unit, scale),
      ...(timed ? [measuredText(chosen, contenders)] : []),
    ].flatMap((text) => wrap(text, width)),
    ...(own.length
      ? [
          [
            "Kernels that cannot compute it:",
            ...described(
              own.map((d) => [`  ${d.kernel}`, d.reason]),
              width,
            ),
          ],
        ]
      : []),
    wrap(`Kernels of other ops: ${foreign.join(", ")}`, width),
  ]
    .map((lines) => lines.join("\n"))
    .join("\n\n");
}

/** One sentence: how much faster the chosen kernel is than the next, and in which part. */
function whyText(
  chosen: string,
  contenders: readonly Contender[],
  unit: string,
  scale: number,
): string {
  const winner = contenders.find((c) => c.kernel === chosen) ?? contenders[0];
  const second = contenders.find((c) => c !== winner);
  if (!second) return `${chosen} is chosen: no other kernel can compute it.`;
  const saved = (g: (typeof groups)[number]) =>
    secondsOf(second, g.kinds) - secondsOf(winner, g.kinds);
  const most = groups.reduce((a, b) => (saved(b) > saved(a) ? b : a));
  const [less, more] = [winner, second].map((c) => three(secondsOf(c, most.kinds) * scale));
  const ratio = (second.estimate / winner.estimate).toFixed(2);
  return (
    `${chosen} is chosen: it is estimated to be ${ratio} times as fast as ${second.kernel}; ` +
    `most is saved ${most.saves}, ${less} ${unit} instead of ${more}.`
  );
}

function measuredText(chosen: string, contenders: readonly Contender[]): string {
  const time = (c: Contender) => c.measured ?? Infinity;
  const best = contenders.reduce((a, b) => (time(b) < time(a) ? b : a));
  const winner = contenders.find((c) => c.kernel === chosen) ?? best;
  if (best === winner) return "It is also the fastest measured.";
  const percent = (100 * (time(winner) / time(best) - 1)).toFixed(0);
  return `The fastest measured is ${best.kernel}; ${chosen} takes ${percent} % longer.`;
}

/** Three significant digits, no exponent. */
const three = (v: number): string =>
  v >= 100 ? v.toFixed(0) : v < 0.01 ? v.toFixed(3) : v.toPrecision(3);
