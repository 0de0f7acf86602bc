// Convolution with large kernels by Fourier transforms (overlap-save): tiles of the source are
// transformed, multiplied by the conjugate of the kernel's transform, summed over channels, and
// transformed back; of n outputs in a row n − taps + 1 come out right.
//   y[oc, tile] = F⁻¹[ Σ over c of conj(F·w[oc, c]) ⊙ F·x[c, tile] ]
// Over many channels each frequency is a matrix product. With one source channel a vector holds
// four channels instead of four tiles, and all happens in a thread's own memory. Stride 1, one or
// two inner axes, dilation, groups; and the gradient to the input. Mathieu, Henaff & LeCun, Fast
// Training of Convolutional Networks through FFTs (2014).

import { gatherOf, readLayout } from "@conv/compiler";
import { convGradInputOp, convOp, type ConvGeometry } from "@conv/ops";
import { bytesOf, exactly, sizeOf, stridesOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import {
  draft,
  inputAt,
  operandsAt,
  outputAt,
  type CpuKernel,
  type Place,
  type Stage,
  type Task,
} from "../../compile/code.ts";
import { f32x4, i32, v128, type Code, type Local } from "../../wasm/asm.ts";
import { madd } from "../../wasm/math.ts";
import { fitted } from "../fitted.ts";
import { columnsPerTile, rowsPerTile } from "../gemm/blocking.ts";
import { epilogueName } from "../gemm/tile.ts";
import { paddedInput } from "../move/pad.ts";
import { RECORD } from "../winograd/tiles.ts";
import type { Complex } from "./lines.ts";
import { outputStage, productStage, sourceStage } from "./products.ts";
import {
  emitRecords,
  firstTap,
  fromFrequencies,
  nameOf,
  pointersTo,
  tilingOf,
  tilingsOf,
  toFrequencies,
  workOf,
  type FftTiling,
} from "./tiles.ts";
import { eachCell, frequencies, lines, loadRows, tileBytes } from "./transforms.ts";

const chosen = (task: Task<ConvGeometry>, caps: Caps): FftTiling =>
  tilingOf(tilingsOf(gatherOf(task)) as FftTiling[], caps);

/**
 * Stated bound of the error: |Δy| ≤ 16 · 2⁻²³ · Σ |x|*·|w|, where |x|* is the largest |x| that
 * shares a tile.
 */
export const fft: CpuKernel = fitted({
  name: "fft",
  fuses: ["channel", "element"],
  roundoff: 16,
  ops: [convOp, convGradInputOp],
  unsupportedReason(task) {
    const ways = tilingsOf(gatherOf(task));
    return typeof ways === "string" ? ways : null;
  },
  persistentBytes: (task, caps) => 4 * weightFloats(chosen(task, caps)) - bytesOf(task.inputs[1]),
  work: (task, caps) => workOf(chosen(task, caps), caps),
  build(task, caps) {
    const t = chosen(task, caps);
    const { g, size, single } = t;
    const code = draft();
    const source = paddedInput(g, 0, code);
    const space = (floats: number, packs?: number) => code.room({ bytes: floats * 4, packs });
    const count = frequencies(size);
    const weights = space(weightFloats(t), 1);
    code.stages.push(weightStage(t, caps, weights));
    if (single) {
      code.stages.push(singleStage(t, task, caps, source, weights));
      return code;
    }
    const columns = Math.ceil(t.tiles / columnsPerTile(caps)) * columnsPerTile(caps);
    const spectrum = space(g.groups * count * columns * 3 * g.from);
    const sums = space(g.groups * count * columns * 2 * g.to);
    code.stages.push(
      sourceStage(t, caps, source, spectrum),
      productStage(t, caps, weights, spectrum, sums),
      outputStage(t, task, caps, sums, source),
    );
    return code;
  },
});

const weightFloats = ({ g, size, single }: FftTiling): number =>
  frequencies(size) *
    (single ? Math.ceil((g.groups * g.to) / 4) * 8 : g.groups * g.to * g.from * 2) +
  4;

/**
 * Transforms the weights: [group][frequency][block of output channels][re, im][channel][row], or
 * [four channels][frequency][re, im][channel].
 */
function weightStage(t: FftTiling, caps: Caps, into: Place): Stage {
  const { g, size, phase, single, reversed } = t;
  const count = frequencies(size);
  const taps = sizeOf(g.kernel);
  const kernel = stridesOf(g.kernel);
  const channels = g.groups * g.to;
  const mr = single ? 4 : rowsPerTile(g.to);
  const perGroup = Math.ceil((single ? channels : g.to) / mr);
  const frequency = single ? 32 : g.to * 2 * g.from * 4;
  return {
    name: `fftWeights${exactly([g.groups, g.to, g.from, g.kernel, g.wTo, g.wFrom, phase.taps.map((x) => [x.count, x.tapFirst]), size, single, reversed, caps.relaxed])}`,
    items: (single ? 1 : g.groups) * perGroup * g.from,
    reads: [inputAt(1)],
    writes: [into],
    threadScratch: tileBytes(size),
    emit(m, f, [from, to], { lo, hi, threadScratch }) {
      const [item, channel, block, group, rows, row, w, d, s] = f.ints(
        "item",
        "channel",
        "block",
        "group",
        "rows",
        "row",
        "w",
        "d",
        "s",
      );
      const part = f.local("i32", "part");
      const pointers = [0, 1, 2, 3].map((l) => f.local("i32", `p${l}`));
      f.for(item, lo, hi, 1, () => {
        f.set(channel, i32.rem(item, g.from));
        f.set(block, i32.div(item, g.from));
        f.set(group, i32.div(block, perGroup));
        f.set(block, i32.rem(block, perGroup));
        f.set(rows, i32.sub(single ? channels : g.to, i32.mul(block, mr)));
        f.set(rows, i32.min(rows, mr));
        f.set(
          w,
          i32.add(
            from,
            i32.add(i32.mul(group, g.to * g.from * taps * 4), i32.mul(channel, g.wFrom * 4)),
          ),
        );
        f.bump(w, i32.add(i32.mul(block, mr * g.wTo * 4), firstTap(t) * 4));
        if (single) {
          f.set(d, i32.add(to, i32.mul(block, count * frequency)));
          f.set(part, 16);
        } else {
          f.set(
            d,
            i32.add(
              to,
              i32.add(i32.mul(group, count * frequency), i32.mul(block, mr * 2 * g.from * 4)),
            ),
          );
          f.bump(d, i32.mul(i32.mul(channel, rows), 4));
          f.set(part, i32.mul(rows, g.from * 4));
        }
        f.for(row, 0, rows, 4, () => {
          pointers.forEach((p, l) => {
            f.set(s, i32.add(row, l));
            f.set(
              p,
              i32.add(w, i32.mul(i32.select(i32.lt(s, rows), s, i32.sub(rows, 1)), g.wTo * 4)),
            );
          });
          f.fill(threadScratch, 0, tileBytes(size));
          const [kh, kw] = [size[0] > 1 ? phase.taps.at(-2)!.count : 1, phase.taps.at(-1)!.count];
          loadRows(f, pointers, threadScratch, size, {
            rows: kh,
            width: kw,
            stepH: kernel.at(-2) ?? 0,
            stepW: 1,
            reversed,
          });
          lines(m, f, caps, threadScratch, size, "rows", false, kh);
          lines(m, f, caps, threadScratch, size, "columns", false);
          const v = f.local("v128", "v");
          const put = (value: Code, at: Code | Local, offset: number) => {
            f.set(v, value);
            if (single) return f.store(at, v, offset);
            f.storeLane(at, v, 0, offset);
            f.block(() => {
              for (let l = 1; l < 4; l++) {
                f.brIf(i32.le(i32.sub(rows, row), l), 0);
                f.storeLane(at, v, l, offset + l * 4);
              }
            });
          };
          f.set(s, i32.add(d, i32.mul(row, 4)));
          eachCell(f, threadScratch, size, "forth", (n, factor, numbers) => {
            const scale = 1 / (sizeOf(size) * factor);
            numbers.forEach(([re, im], i) => {
              put(f32x4.mul(re, scale), s, i * frequency);
              put(im ? f32x4.mul(im, -scale) : f32x4.sub(0, 0), i32.add(s, part), i * frequency);
            });
            f.bump(s, n * frequency);
            return [];
          });
        });
      });
    },
  };
}

/** One source channel a group: a piece of work is four output channels of a tile. */
function singleStage(t: FftTiling, task: Task, caps: Caps, source: Place, weights: Place): Stage {
  const { g, size, tiles } = t;
  const operands = task.epilogue?.operands ?? [];
  return {
    name: `${nameOf("fftSingle", t, caps)}${epilogueName(task.epilogue)}`,
    items: Math.ceil((g.groups * g.to) / 4) * tiles,
    reads: [source, weights, inputAt(1), ...operandsAt(task.epilogue)],
    writes: [outputAt(0)],
    threadScratch: 4 * RECORD.bytes + tileBytes(size),
    emit(m, f, at, { lo, hi, threadScratch }) {
      const [from, packed, given, ...rest] = at.slice(0, -1);
      const y = at.at(-1)!;
      const [item, tile, channel, w] = f.ints("item", "tile", "channel", "w");
      const memory = f.let("i32", "memory", i32.add(threadScratch, 4 * RECORD.bytes));
      const pointers = rest.map((p, i) =>
        operands[i].along === "channel" ? f.local("i32", `c${i}`) : p,
      );
      f.for(item, lo, hi, 1, () => {
        f.set(tile, i32.rem(item, tiles));
        f.set(channel, i32.mul(i32.div(item, tiles), 4));
        emitRecords(f, t, tile, channel, threadScratch);
        toFrequencies(
          m,
          f,
          t,
          caps,
          memory,
          pointersTo(f, threadScratch, from),
          readLayout(g).strides,
        );
        f.set(w, i32.add(packed, i32.mul(channel, frequencies(size) * 8)));
        eachCell(f, memory, size, "both", (n, _, numbers) => {
          const v = (code: Code) => f.let("v128", "p", code);
          const products = numbers.map(([re, im], i): Complex => {
            const wr = v(v128.load(w, i * 32));
            if (!im) return [v(f32x4.mul(re, wr)), null];
            const wi = v(v128.load(w, i * 32 + 16));
            return [
              v(f32x4.sub(f32x4.mul(re, wr), f32x4.mul(im, wi))),
              v(madd(caps, re, wi, f32x4.mul(im, wr))),
            ];
          });
          f.bump(w, n * 32);
          return products;
        });
        rest.forEach(
          (p, i) =>
            operands[i].along === "channel" && f.set(pointers[i], i32.add(p, i32.mul(channel, 4))),
        );
        fromFrequencies(m, f, t, task, caps, {
          tile: memory,
          record: threadScratch,
          y,
          pointers,
          source: from,
          weights: i32.add(given, i32.add(i32.mul(channel, g.wTo * 4), firstTap(t) * 4)),
        });
      });
    },
  };
}
