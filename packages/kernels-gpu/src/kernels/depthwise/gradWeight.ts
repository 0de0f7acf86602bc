// The weight gradient of a depthwise convolution (one source channel per group, any multiplier and
// rank):
// dw[oc, tap] = Σ over (image, p) of dy[oc, p] · x[c, p·stride + tap·dilation − padLo] Its outputs
// are few and its sums long. A workgroup walks over strips of dy (neighbors of a row) of one
// channel. Each thread holds a sum for every tap in registers, and then the sums of the threads are
// added in order. Where channels are too few to fill the device, strips are divided among
// workgroups, and a second stage adds their parts.

import { cellsOf } from "@conv/compiler";
import { convGradWeightOp, type ConvGeometry } from "@conv/ops";
import { sizeOf, stridesOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import { inputAt, outputAt, scratchAt, type GpuKernel, type GpuStage } from "../../compile/code.ts";
import { loopInBlocks } from "../../wgsl/sums.ts";
import {
  coordinates,
  each,
  emitEpilogue,
  guarded,
  indent,
  mainOf,
  plus,
  type EmittedEpilogue,
} from "../../wgsl/wgsl.ts";
import { GUESSES, SWIFTSHADER } from "../costs.ts";
import { addPartsStage } from "../gemm/parts.ts";

/** Threads of a workgroup. */
const THREADS = 64;
/**
 * Sums of a thread: they share the registers with a strip of dy and of x, and THREADS times as many
 * lie in workgroup memory.
 */
const SUMS = 32;
/** The most neighbors in a strip, which divide the row. */
const STRIP = 8;

/**
 * Lines of taps that one pass sums: the combinations of taps along all axes but the last, each with
 * all taps of the last.
 */
interface Pass {
  readonly lines: readonly (readonly number[])[];
  readonly first: number;
  readonly taps: number;
}

/** How the sums are divided. */
interface Division {
  readonly strip: number;
  /** Strips of a channel, and those of one workgroup. */
  readonly strips: number;
  readonly perPart: number;
  readonly parts: number;
  readonly passes: readonly Pass[];
}

function divisionOf(g: ConvGeometry, { software }: Caps): Division {
  const width = g.output.at(-1)!;
  const strip = [8, 7, 6, 5, 4, 3, 2, 1].find((n) => n <= STRIP && width % n === 0)!;
  const strips = (g.n * sizeOf(g.output)) / strip;
  const across = g.kernel.at(-1)!;
  const lines = cellsOf(g.kernel.slice(0, -1));
  const perPass = Math.max(1, Math.floor(SUMS / across));
  const passes = each(Math.ceil(lines.length / perPass), (i): Pass => {
    const own = lines.slice(i * perPass, (i + 1) * perPass);
    return { lines: own, first: i * perPass * across, taps: own.length * across };
  });
  const threads = software ? SWIFTSHADER.depthwiseThreads : GUESSES.depthwiseThreads;
  const wanted = Math.ceil(threads / (g.oc * THREADS));
  const perPart = Math.ceil(strips / Math.min(wanted, Math.ceil(strips / THREADS)));
  return { strip, strips, passes, perPart, parts: Math.ceil(strips / perPart) };
}

/** Coordinates of x, relative to the first of a strip, that a line of taps reads. */
function inputsOf(g: ConvGeometry, strip: number): number[] {
  const [stride, dilation, taps] = [g.stride.at(-1)!, g.dilation.at(-1)!, g.kernel.at(-1)!];
  const all = each(strip, (j) => each(taps, (k) => j * stride + k * dilation)).flat();
  return [...new Set(all)].sort((a, b) => a - b);
}

/** Seconds of a pass. */
function secondsOf(
  g: ConvGeometry,
  { strip, strips, parts }: Division,
  { lines, taps }: Pass,
  caps: Caps,
  bytes: number,
): number {
  const loads = strip + lines.length * inputsOf(g, strip).length;
  if (caps.software) {
    const { load, mac, copy, loop, thread } = SWIFTSHADER.depthwise;
    const own = loads * load + taps * (strip * mac + copy) + loop;
    const adding = (THREADS / 4) * thread + THREADS * taps * load;
    return 1e-9 * ((g.oc * strips * own) / 4 + g.oc * parts * adding) + caps.launch;
  }
  const { load, depthwise, depthwiseThreads } = GUESSES;
  const instructions = g.oc * strips * (taps * strip + load * loads + depthwise.turn);
  const busy = Math.min(1, (g.oc * parts * THREADS) / depthwiseThreads);
  return Math.max(instructions / (caps.macs * busy), bytes / caps.bandwidth) + caps.launch;
}

export const depthwiseGradWeight: GpuKernel<ConvGeometry> = {
  ops: [convGradWeightOp],
  name: "depthwiseGradWeight",
  fuses: ["element"],
  unsupportedReason({ params: g }) {
    if (g.ic !== g.groups) return `takes one source channel per group, not ${g.ic / g.groups}`;
    if (!g.n || !sizeOf(g.output)) return "has nothing to sum";
    const [taps, across] = [sizeOf(g.kernel), g.kernel.at(-1)!];
    if (across > SUMS) return `sums along at most ${SUMS} taps of a row, not ${across}`;
    const most = GUESSES.depthwiseTaps;
    return taps > most ? `sums for at most ${most} taps, not ${taps}` : null;
  },
  estimate(task, caps) {
    const g = task.params;
    const division = divisionOf(g, caps);
    return division.passes.reduce(
      (total, pass) => total + secondsOf(g, division, pass, caps, task.cost.bytesRead),
      division.parts > 1 ? caps.launch : 0,
    );
  },
  build(task, caps) {
    const g = task.params;
    const division = divisionOf(g, caps);
    const size = g.oc * sizeOf(g.kernel);
    const alone = division.parts === 1;
    const epilogue = emitEpilogue(alone ? task.epilogue : null, 2);
    const stages = division.passes.map((pass): GpuStage => ({
      label: "depthwise weight gradient",
      reads: [
        { name: "dy", place: inputAt(0) },
        { name: "x", place: inputAt(1) },
        ...epilogue.reads,
      ],
      writes: [{ name: "dw", place: alone ? outputAt(0) : scratchAt(0) }],
      ...passCode(g, division, pass, epilogue),
    }));
    if (alone) return { scratch: [], stages };
    const add = addPartsStage("depthwise weight gradient, parts added", task, {
      splits: division.parts,
      size,
      plane: sizeOf(g.kernel),
      channels: 1,
      columns: 1,
    });
    return { scratch: [{ bytes: 4 * size * division.parts }], stages: [...stages, add] };
  },
};

/** The shader of a pass. */
function passCode(
  g: ConvGeometry,
  division: Division,
  { lines, first, taps }: Pass,
  epilogue: EmittedEpilogue,
): { code: string; groups: number } {
  const { strip, strips, perPart, parts } = division;
  const allTaps = sizeOf(g.kernel);
  const sums = each(taps, (i) => `s${i}`);
  const loads = locateStrip(g, strip);
  const whole = parts * perPart === strips;
  const element = `channel * ${allTaps} + ${plus("tap", first)}`;
  const store = [
    "let tap = lane;",
    "var sum = 0.0;",
    `for (var i = 0u; i < ${THREADS}; i++) { sum += sums[tap * ${THREADS + 1} + i]; }`,
    epilogue.store({ r: "sum", channel: "0", column: "0", element }, "out"),
    `dw[${parts > 1 ? `part * ${g.oc * allTaps} + ` : ""}${element}] = Dw(out);`,
  ];
  const main = [
    coordinates("group", [parts, g.oc], ["part", "channel"]),
    sums.map((s) => `var ${s} = 0.0;`).join(" "),
    `let end = ${whole ? `(part + 1) * ${perPart}` : `min((part + 1) * ${perPart}, ${strips})`};`,
    loopInBlocks({
      at: "at",
      from: `part * ${perPart} + lane`,
      to: "end",
      step: THREADS,
      turns: Math.ceil(perPart / THREADS),
      terms: strip,
      sums,
      T: "f32",
      body: (into) => [...loads, ...multiplyStrip(g, strip, lines, into)].join("\n"),
    }),
    ...sums.map((s, i) => `sums[${i * (THREADS + 1)} + lane] = ${s};`),
    "workgroupBarrier();",
    `if (lane < ${taps}) {`,
    indent(store.join("\n")),
    "}",
  ];
  const groups = g.oc * parts;
  const code = [
    `var<workgroup> sums: array<f32, ${taps * (THREADS + 1)}>;`,
    epilogue.functions,
    mainOf(groups, THREADS, main.join("\n")),
  ];
  return { code: code.filter(Boolean).join("\n\n"), groups };
}

/** Whether some output reads padding along each axis. */
const paddedAxes = (g: ConvGeometry): boolean[] =>
  g.input.map(
    (size, a) =>
      g.padLo[a] > 0 ||
      (g.output[a] - 1) * g.stride[a] + (g.kernel[a] - 1) * g.dilation[a] - g.padLo[a] >= size,
  );

/** Loads strip `at` of dy, and declares where it begins in x. */
function locateStrip(g: ConvGeometry, strip: number): string[] {
  const last = g.output.length - 1;
  const [xStrides, yStrides] = [stridesOf(g.input), stridesOf(g.output)];
  const axes = g.output.map((_, a) => `o${a}`);
  const coordinate = (o: string, a: number) => {
    const output = `i32(${o})${a === last && strip > 1 ? ` * ${strip}` : ""}`;
    return `let i${a} = ${plus(`${output} * ${g.stride[a]}`, -g.padLo[a])};`;
  };
  const yOffset = axes.map((o, a) => `${o} * ${yStrides[a] * (a === last ? strip : 1)}`);
  const xOffset = axes.map((_, a) => `i${a} * ${xStrides[a]}`);
  const channel = `channel / ${g.oc / g.ic}`;
  return [
    coordinates(
      "at",
      [g.n, ...g.output.map((size, a) => (a === last ? size / strip : size))],
      ["image", ...axes],
    ),
    ...axes.map(coordinate),
    `let y_at = (image * ${g.oc} + channel) * ${sizeOf(g.output)} + ${yOffset.join(" + ")};`,
    `let x_at = i32((image * ${g.ic} + ${channel}) * ${sizeOf(g.input)}) + ${xOffset.join(" + ")};`,
    ...each(strip, (j) => `let d${j} = f32(dy[${plus("y_at", j)}]);`),
    ...(paddedAxes(g)[last]
      ? inputsOf(g, strip).map(
          (i) => `let in${i} = u32(${plus(`i${last}`, i)}) < ${g.input[last]};`,
        )
      : []),
  ];
}

/** Adds the products of a strip to a sum for each tap. */
function multiplyStrip(
  g: ConvGeometry,
  strip: number,
  lines: Pass["lines"],
  into: readonly string[],
): string[] {
  const last = g.output.length - 1;
  const xStrides = stridesOf(g.input);
  const padded = paddedAxes(g);
  const inputs = inputsOf(g, strip);
  const across = g.kernel[last];
  return lines.flatMap((line, l) => {
    const moved = line.map((k, a) => k * g.dilation[a]);
    const rows = line.flatMap((_, a) =>
      padded[a] ? [`(u32(${plus(`i${a}`, moved[a])}) < ${g.input[a]})`] : [],
    );
    const offset = moved.reduce((sum, d, a) => sum + d * xStrides[a], 0);
    const load = (i: number) => {
      const tests = [...(rows.length ? [`row${l}`] : []), ...(padded[last] ? [`in${i}`] : [])];
      return `let x${l}_${i} = ${guarded(`f32(x[${plus("x_at", offset + i)}])`, tests)};`;
    };
    const add = (k: number) => {
      const sum = into[l * across + k];
      const products = each(strip, (j) => {
        const x = `x${l}_${j * g.stride[last] + k * g.dilation[last]}`;
        return `let ${sum}_${j} = fma(d${j}, ${x}, ${j ? `${sum}_${j - 1}` : sum});`;
      });
      return [...products, `${sum} = ${sum}_${strip - 1};`];
    };
    return [
      ...(rows.length ? [`let row${l} = ${rows.join(" & ")};`] : []),
      ...inputs.map(load),
      ...each(across, add).flat(),
    ];
  });
}
