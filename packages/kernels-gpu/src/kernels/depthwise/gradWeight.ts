// The gradient of a depthwise convolution (one source channel per group, any multiplier and rank)
// to its weight:
//   dw[oc, tap] = Σ over (image, p) of dy[oc, p] · x[c, p·stride + tap·dilation − padLo]
// Its outputs are few and its sums long. A workgroup goes through strips of dy (some neighbors of
// a row) of one channel, each thread with a sum for every tap in registers; then the threads' sums
// are added in order. Where channels are too few to fill the device, strips are divided among
// workgroups, and a second stage adds what they found.

import { cellsOf } from "@conv/compiler";
import { convGradWeightOp, type ConvGeometry } from "@conv/ops";
import { sizeOf, stridesOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import { inputAt, outputAt, scratchAt, type GpuKernel, type GpuStage } from "../../compile/code.ts";
import { coordinates, emitEpilogue, indent, mainOf, guarded, plus } from "../../wgsl/wgsl.ts";
import { loopInBlocks } from "../gemm/sums.ts";
import { addParts } from "../gemm/tiled.ts";

const SIZE = 64;
/**
 * Sums of a thread: with a strip of dy and of x they have to fit the registers, and SIZE times as
 * many workgroup memory.
 */
const SUMS = 32;
/** Neighbors in a strip, at most: a divisor of the row. */
const STRIP = 8;
/** Kernels above this many taps go through dy too often. */
const MOST_TAPS = 144;
/** Threads that fill a device, and a software adapter of two processors. */
const FILLS = { device: 65536, software: 4 * SIZE };

/**
 * Lines of taps that one pass sums, each with what it meets: the combinations of taps along all
 * axes but the last.
 */
interface Pass {
  readonly lines: readonly (readonly number[])[];
  readonly first: number;
  readonly taps: number;
}

function shapeOf(g: ConvGeometry, caps: Caps) {
  const width = g.output.at(-1)!;
  const strip = [8, 7, 6, 5, 4, 3, 2, 1].find((n) => n <= STRIP && width % n === 0)!;
  const strips = (g.n * sizeOf(g.output)) / strip;
  const across = g.kernel.at(-1)!;
  const lines = cellsOf(g.kernel.slice(0, -1));
  const perPass = Math.max(1, Math.floor(SUMS / across));
  const passes = Array.from({ length: Math.ceil(lines.length / perPass) }, (_, i): Pass => {
    const own = lines.slice(i * perPass, (i + 1) * perPass);
    return { lines: own, first: i * perPass * across, taps: own.length * across };
  });
  const wanted = Math.ceil((caps.software ? FILLS.software : FILLS.device) / (g.oc * SIZE));
  const perPart = Math.ceil(strips / Math.min(wanted, Math.ceil(strips / SIZE)));
  return { strip, strips, passes, perPart, parts: Math.ceil(strips / perPart) };
}

/** Coordinates of x, relative to its first, that a line of taps meets from a strip. */
function met(g: ConvGeometry, strip: number): number[] {
  const [stride, dilation, taps] = [g.stride.at(-1)!, g.dilation.at(-1)!, g.kernel.at(-1)!];
  const all = Array.from({ length: strip }, (_, j) =>
    Array.from({ length: taps }, (__, k) => j * stride + k * dilation),
  ).flat();
  return [...new Set(all)].sort((a, b) => a - b);
}

export const depthwiseGradWeight: GpuKernel = {
  name: "depthwiseGradWeight",
  fuses: ["element"],
  unsupportedReason(task) {
    if (task.op !== convGradWeightOp) return "does the gradient of convolution to the weight";
    const g = task.params as ConvGeometry;
    if (g.ic !== g.groups) return `takes one source channel per group, not ${g.ic / g.groups}`;
    if (!g.n || !sizeOf(g.output)) return "has nothing to sum";
    const [taps, across] = [sizeOf(g.kernel), g.kernel.at(-1)!];
    if (across > SUMS) return `sums along at most ${SUMS} taps of a row, not ${across}`;
    return taps > MOST_TAPS ? `sums for at most ${MOST_TAPS} taps, not ${taps}` : null;
  },
  estimate(task, caps) {
    const g = task.params as ConvGeometry;
    const { strip, strips, passes, parts } = shapeOf(g, caps);
    const inputs = met(g, strip).length;
    return passes.reduce(
      (total, { lines, taps }) => {
        const loads = strip + lines.length * inputs;
        if (caps.software) {
          const { load, mac, copy, loop, thread } = SOFTWARE;
          const own = loads * load + taps * (strip * mac + copy) + loop;
          return (
            total +
            1e-9 *
              ((g.oc * strips * own) / 4 +
                g.oc * parts * ((SIZE / 4) * thread + SIZE * taps * load)) +
            caps.launch
          );
        }
        const instructions = g.oc * strips * (taps * strip + 4 * loads + 30);
        const busy = Math.min(1, (g.oc * parts * SIZE) / FILLS.device);
        return (
          total +
          Math.max(instructions / (caps.macs * busy), task.cost.bytesRead / caps.bandwidth) +
          caps.launch
        );
      },
      parts > 1 ? caps.launch : 0,
    );
  },
  build(task, caps) {
    const g = task.params as ConvGeometry;
    const { passes, parts } = shapeOf(g, caps);
    const size = g.oc * sizeOf(g.kernel);
    const epilogue = emitEpilogue(task.epilogue, 2);
    const alone = parts === 1;
    const stages = passes.map((pass): GpuStage => ({
      label: "depthwise gradient to the weight",
      reads: [
        { name: "dy", place: inputAt(0) },
        { name: "x", place: inputAt(1) },
        ...(alone ? epilogue.reads : []),
      ],
      writes: [{ name: "dw", place: alone ? outputAt(0) : scratchAt(0) }],
      ...passCode(g, pass, caps, alone ? epilogue : emitEpilogue(null, 2)),
    }));
    if (alone) return { scratch: [], stages };
    const add = addParts(
      parts,
      size,
      { plane: sizeOf(g.kernel), channels: 1, columns: 1 },
      epilogue,
    );
    const reads = [{ name: "parts", place: scratchAt(0) }, ...epilogue.reads];
    return {
      scratch: [{ bytes: 4 * size * parts }],
      stages: [
        ...stages,
        {
          label: "depthwise gradient to the weight, parts added",
          reads,
          writes: [{ name: "y", place: outputAt(0) }],
          ...add,
        },
      ],
    };
  },
};

/**
 * Nanoseconds for four lanes on SwiftShader: twice those of direct.ts, as was seen with 32 and 512
 * channels.
 */
const SOFTWARE = { load: 25, mac: 1, copy: 10, loop: 200, thread: 600 };

function passCode(
  g: ConvGeometry,
  { lines, first, taps }: Pass,
  caps: Caps,
  epilogue: ReturnType<typeof emitEpilogue>,
) {
  const { strip, strips, perPart, parts } = shapeOf(g, caps);
  const rank = g.output.length;
  const last = rank - 1;
  const [xStrides, yStrides] = [stridesOf(g.input), stridesOf(g.output)];
  const allTaps = sizeOf(g.kernel);
  const across = g.kernel[last];
  const inputs = met(g, strip);
  const axes = g.output.map((_, a) => `o${a}`);
  // Whether some output meets padding along an axis.
  const leaves = g.input.map(
    (size, a) =>
      g.padLo[a] > 0 ||
      (g.output[a] - 1) * g.stride[a] + (g.kernel[a] - 1) * g.dilation[a] - g.padLo[a] >= size,
  );
  const sums = Array.from({ length: taps }, (_, i) => `s${i}`);
  const loads: string[] = [
    coordinates(
      "at",
      [g.n, ...g.output.map((size, a) => (a === last ? size / strip : size))],
      ["image", ...axes],
    ),
    ...axes.map(
      (o, a) =>
        `let i${a} = ${plus(`i32(${o})${a === last && strip > 1 ? ` * ${strip}` : ""} * ${g.stride[a]}`, -g.padLo[a])};`,
    ),
    `let y_at = (image * ${g.oc} + channel) * ${sizeOf(g.output)} + ${axes.map((o, a) => `${o} * ${yStrides[a] * (a === last ? strip : 1)}`).join(" + ")};`,
    `let x_at = i32((image * ${g.ic} + channel / ${g.oc / g.ic}) * ${sizeOf(g.input)}) + ${axes.map((_, a) => `i${a} * ${xStrides[a]}`).join(" + ")};`,
    ...Array.from({ length: strip }, (_, j) => `let d${j} = f32(dy[${plus("y_at", j)}]);`),
    ...(leaves[last]
      ? inputs.map((i) => `let in${i} = u32(${plus(`i${last}`, i)}) < ${g.input[last]};`)
      : []),
  ];
  const multiplyInto = (into: readonly string[]) => {
    const body = [...loads];
    lines.forEach((line, l) => {
      const moved = line.map((k, a) => k * g.dilation[a]);
      const rows = line.flatMap((_, a) =>
        leaves[a] ? [`(u32(${plus(`i${a}`, moved[a])}) < ${g.input[a]})`] : [],
      );
      if (rows.length) body.push(`let row${l} = ${rows.join(" & ")};`);
      const offset = moved.reduce((sum, d, a) => sum + d * xStrides[a], 0);
      for (const i of inputs) {
        const tests = [...(rows.length ? [`row${l}`] : []), ...(leaves[last] ? [`in${i}`] : [])];
        const value = `f32(x[${plus("x_at", offset + i)}])`;
        body.push(`let x${l}_${i} = ${guarded(value, tests)};`);
      }
      for (let k = 0; k < across; k++) {
        const own = into[l * across + k];
        let sum = own;
        for (let j = 0; j < strip; j++) {
          const next = `${own}_${j}`;
          body.push(
            `let ${next} = fma(d${j}, x${l}_${j * g.stride[last] + k * g.dilation[last]}, ${sum});`,
          );
          sum = next;
        }
        body.push(`${own} = ${sum};`);
      }
    });
    return body.join("\n");
  };
  const whole = parts * perPart === strips;
  const groups = g.oc * parts;
  const element = `channel * ${allTaps} + ${plus("tap", first)}`;
  const main = [
    coordinates("group", [parts, g.oc], ["part", "channel"]),
    sums.map((s) => `var ${s} = 0.0;`).join(" "),
    `let end = ${whole ? `(part + 1) * ${perPart}` : `min((part + 1) * ${perPart}, ${strips})`};`,
    loopInBlocks({
      at: "at",
      from: `part * ${perPart} + lane`,
      to: "end",
      step: SIZE,
      turns: Math.ceil(perPart / SIZE),
      terms: strip,
      sums,
      T: "f32",
      body: multiplyInto,
    }),
    ...sums.map((s, i) => `sums[${i * (SIZE + 1)} + lane] = ${s};`),
    "workgroupBarrier();",
    `if (lane < ${taps}) {`,
    indent(
      [
        "let tap = lane;",
        "var sum = 0.0;",
        `for (var i = 0u; i < ${SIZE}; i++) { sum += sums[tap * ${SIZE + 1} + i]; }`,
        epilogue.store({ r: "sum", channel: "0", column: "0", element }, "out"),
        `dw[${parts > 1 ? `part * ${g.oc * allTaps} + ` : ""}${element}] = Dw(out);`,
      ].join("\n"),
    ),
    "}",
  ];
  return {
    code: [
      `var<workgroup> sums: array<f32, ${taps * (SIZE + 1)}>;`,
      epilogue.functions,
      mainOf(groups, SIZE, main.join("\n")),
    ]
      .filter(Boolean)
      .join("\n\n"),
    groups,
  };
}
