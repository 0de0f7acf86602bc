// The gradient of a convolution to its weight, of any rank, kernel, stride, dilation, padding and
// group, as a matrix product over output positions: dw[oc, (channel, tap)] = Σ over (image, p) of
// dy[oc, p] · x[channel, p·stride + offset(tap)]

import { gatherAll, leavesTaps, readLayout, remembered, unfold, type Gather } from "@conv/compiler";
import { convGradWeightOp, type ConvGeometry } from "@conv/ops";
import { exactly, sizeOf } from "@conv/tensor";
import { draft, inputAt, type CpuKernel } from "../../compile/code.ts";
import { i32 } from "../../wasm/asm.ts";
import { fitted, gemmWork, paddedElements } from "../fitted.ts";
import { paddedInput } from "../move/pad.ts";
import { locate } from "../move/walk.ts";
import { columnsPerTile } from "./blocking.ts";
import { gemmStage, type Gemm } from "./gemm.ts";
import { eachColumn, packRows, transposedPanel } from "./panel.ts";
import { epilogueName } from "./tile.ts";

export const gradWeight: CpuKernel = fitted({
  name: "gradWeight",
  fuses: ["element"],
  ops: [convGradWeightOp],
  work(task, caps) {
    const g = unfold(task.params);
    const columns = (g.ic / g.groups) * sizeOf(g.kernel);
    const positions = g.n * sizeOf(g.output);
    const width = g.output[g.output.length - 1];
    const filled = g.groups * columns * positions;
    return {
      ...gemmWork(caps, g.groups, g.oc / g.groups, positions, columns),
      moved: paddedElements(withZeros(g).gather) + g.oc * positions + filled,
      // Each row of a panel begins with a single element, and ends with less than a vector.
      gathered:
        (filled / width) * (1 + (width % 4)) + (g.stride[g.stride.length - 1] > 2 ? filled : 0),
    };
  },
  build(task, caps) {
    const g = unfold(task.params);
    const { gather, zeros } = withZeros(g);
    const icg = g.ic / g.groups;
    const ocg = g.oc / g.groups;
    const taps = sizeOf(g.kernel);
    const positions = sizeOf(g.output);
    const rank = g.output.length;
    const width = g.output[rank - 1];
    const rows = positions / width;
    const nr = columnsPerTile(caps);
    const code = draft();
    const source = paddedInput(gather, 1, code);
    const packed = code.room({ bytes: (g.n * g.oc * positions + 16) * 4 });
    const left = {
      problems: g.groups,
      m: ocg,
      pieces: g.n,
      k: positions,
      problemStride: ocg * positions,
      rowStride: positions,
      pieceStride: g.oc * positions,
      kStride: 1,
    };
    code.stages.push(packRows(left, inputAt(0), packed));

    const { strides, plane } = readLayout(gather);
    const name = `gradWeight${exactly([g, caps])}${epilogueName(task.epilogue)}`;
    const gemm: Gemm = {
      name,
      m: ocg,
      units: g.n * rows,
      unit: width,
      columns: icg * taps,
      problems: g.groups,
      rowBytes: icg * taps * 4,
      epilogue: task.epilogue,
      tileBytes: nr * 4,
      yBase: (group) => i32.mul(group, ocg * icg * taps * 4),
      channelBase: () => i32.mul(0, 0),
      tile: (t) =>
        eachColumn(t, (c) => {
          const [rest, src] = t.f.ints("rest", "src");
          t.f.set(
            src,
            i32.add(
              t.source,
              i32.mul(i32.add(i32.mul(t.problem, icg), i32.div(c, taps)), plane * 4),
            ),
          );
          t.f.set(rest, i32.rem(c, taps));
          for (let a = rank - 1; a >= 0; a--) {
            const { first, tapFirst, count } = gather.phases[0].taps[a];
            const tap = t.f.let(
              "i32",
              "tap",
              i32.sub(a ? i32.rem(rest, g.kernel[a]) : rest, tapFirst),
            );
            const seen = i32.add(i32.mul(tap, g.dilation[a]), first);
            t.f.bump(
              src,
              i32.mul(
                count < g.kernel[a] ? i32.select(i32.ltU(tap, count), seen, zeros[a]) : seen,
                strides[a] * 4,
              ),
            );
            if (a) t.f.set(rest, i32.div(rest, g.kernel[a]));
          }
          return src;
        }),
      panel(f, { first, units, own, into }) {
        const [row, last, offset] = f.ints("row", "last", "offset");
        const pointers = Array.from({ length: nr }, (_, i) => f.local("i32", `p${i}`));
        f.set(last, i32.add(first, units));
        f.for(row, first, last, 1, () => {
          const axes = g.output
            .slice(0, -1)
            .map((size, a) => ({ size, strides: [g.stride[a] * strides[a]] }));
          locate(f, i32.rem(row, rows), axes, [
            { at: offset, base: i32.mul(i32.div(row, rows), g.ic * plane * 4), stride: 0 },
          ]);
          pointers.forEach((p, i) => f.set(p, i32.add(i32.load(own, i * 4), offset)));
          transposedPanel(f, pointers, into, width, g.stride[rank - 1]);
        });
      },
    };
    code.stages.push(gemmStage(gemm, caps, source, packed));
    return code;
  },
});

/**
 * The source with zeros after it along each axis with taps that are always in the padding: these
 * taps read from `zeros` on.
 */
const withZeros = remembered((g: ConvGeometry): { gather: Gather; zeros: readonly number[] } => {
  const gather = gatherAll(g);
  const zeros = gather.padded.map((size, a) => Math.max(size, gather.lo[a] + gather.source[a]));
  if (!leavesTaps(gather)) return { gather, zeros };
  const reach = g.output.map((outputs, a) => (outputs - 1) * g.stride[a] + 1);
  const padded = gather.padded.map((size, a) =>
    gather.phases[0].taps[a].count < g.kernel[a] ? zeros[a] + reach[a] : size,
  );
  return { gather: { ...gather, padded }, zeros };
});
