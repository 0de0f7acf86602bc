// Depthwise convolution (one source channel per group, any multiplier, rank, kernel, stride,
// dilation and padding) and its gradient to the input: y[c·m + j, p] = Σ over taps of w[c·m + j,
// tap] · x[c, p·step + offset(tap)], four neighbors p at a time, straight from the (padded)
// source.

import { gatherOf, needsPadding, tapCount, type Gather, type Phase } from "@conv/compiler";
import { convGradInputOp, convOp } from "@conv/ops";
import { exactly, sizeOf, stridesOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import {
  inputAt,
  operandsAt,
  outputAt,
  type CpuKernel,
  type Stage,
  type Task,
} from "../../compile/code.ts";
import { i32, v128, type Local } from "../../wasm/asm.ts";
import { madd } from "../../wasm/math.ts";
import { channelValues, storeNeighbors } from "../direct/store.ts";
import { fitted, paddedElements } from "../fitted.ts";
import { epilogueName } from "../gemm/tile.ts";
import { copyInside, fillRange, loadStepped, padBytes, splitColumn } from "../move/pad.ts";
import { eachCell } from "../move/walk.ts";
import { inPlaceStage } from "./inPlace.ts";

/** Taps that are unrolled at most; beyond them the generated code outgrows what it saves. */
const MOST_TAPS = 128;
/**
 * Weights that stay in registers, with so many sums beside them; weights that do not are loaded for
 * more sums at a time.
 */
const KEPT_WEIGHTS = 9;
const VECTORS = 4;
const MORE_VECTORS = 7;
/** Bytes of a padded copy that the first-level cache keeps beside source and outputs. */
const BAND = 16 * 1024;

export const depthwise: CpuKernel = fitted({
  name: "depthwise",
  fuses: ["channel", "element"],
  ops: [convOp, convGradInputOp],
  unsupportedReason(task) {
    const g = gatherOf(task);
    if (g.from !== 1) return `takes one source channel per group, not ${g.from}`;
    const most = Math.max(0, ...g.phases.map(tapCount));
    return most > MOST_TAPS ? `unrolls at most ${MOST_TAPS} taps, not ${most}` : null;
  },
  work(task, caps) {
    const g = gatherOf(task);
    const last = g.step.length - 1;
    const work = {
      products: 0,
      steps: 0,
      gathered: 0,
      tiles: 0,
      moved: inPlaceStage(g, task, caps) ? 0 : paddedElements(g),
    };
    for (const p of g.phases) {
      const rows = g.n * g.groups * g.to * sizeOf(p.grid.slice(0, -1));
      const vectors = rows * Math.ceil(p.grid[last] / 4);
      // A weight that is loaded for a few sums takes the time of one of them.
      const products =
        4 * vectors * tapCount(p) * (tapCount(p) > KEPT_WEIGHTS ? 1 + 1 / MORE_VECTORS : 1);
      work.products += products;
      work.steps += vectors;
      work.tiles += rows;
      work.gathered +=
        (g.step[last] > 2 ? products : 0) + (g.outStep[last] > 1 ? rows * p.grid[last] : 0);
    }
    return work;
  },
  build(task, caps) {
    const g = gatherOf(task);
    return { scratch: [], stages: [inPlaceStage(g, task, caps) ?? planes(g, task, caps)] };
  },
});

/** Flat kernel index and source offset (elements) of every tap of a phase. */
export function tapsOf(
  phase: Phase,
  kernelStrides: readonly number[],
  sourceStrides: readonly number[],
): { tap: number; offset: number }[] {
  return phase.taps.reduce<{ tap: number; offset: number }[]>(
    (all, t, a) =>
      all.flatMap(({ tap, offset }) =>
        Array.from({ length: t.count }, (_, j) => ({
          tap: tap + (t.tapFirst + j * t.tapDelta) * kernelStrides[a],
          offset: offset + (t.first + j * t.delta) * sourceStrides[a],
        })),
      ),
    [{ tap: 0, offset: 0 }],
  );
}

/**
 * Rows of outputs, and of the source that they see, whose copy fits beside the outputs in the
 * first-level cache; null if all do.
 */
function bandOf(g: Gather, padded: readonly number[]): { rows: number; slabs: number } | null {
  const slab = sizeOf(padded.slice(1)) * 4;
  const span = padded[0] - (g.output[0] - 1) * g.step[0];
  const most = Math.max(1, Math.floor((BAND - span * slab) / (g.step[0] * slab)) + 1);
  if (most >= g.output[0]) return null;
  const rows = Math.ceil(g.output[0] / Math.ceil(g.output[0] / most));
  return { rows, slabs: (rows - 1) * g.step[0] + span };
}

/**
 * One piece of work is an output plane. Padding is made plane by plane in the thread's own memory,
 * where the caches keep it: in bands of rows, if a plane is too large for that. With stride 2 the
 * copy has the even columns of each row before the odd ones, so that what neighbors see of a tap
 * are neighbors too.
 */
function planes(g: Gather, task: Task, caps: Caps): Stage {
  const rank = g.output.length;
  const pads = needsPadding(g);
  const split =
    g.step[rank - 1] === 2 && g.source[rank - 1] >= 8 && (pads || sizeOf(g.kernel) > KEPT_WEIGHTS);
  const copies = pads || split;
  const half = Math.ceil(g.padded[rank - 1] / 2);
  const box = {
    planes: 1,
    source: g.source,
    lo: g.lo,
    padded: split ? g.padded.with(rank - 1, 2 * half) : g.padded,
  };
  const band =
    copies && rank > 1 && g.to === 1 && g.phases.length === 1 ? bandOf(g, box.padded) : null;
  const sizes = copies ? box.padded.with(0, band ? band.slabs : box.padded[0]) : g.source;
  const strides = stridesOf(sizes);
  const out = stridesOf(g.output);
  const stepW = split ? 1 : g.step[rank - 1];
  const outStepW = g.outStep[rank - 1];
  const channels = g.groups * g.to;
  const operands = task.epilogue?.operands ?? [];
  // Outputs may be made twice unless an operand lies where they do.
  const again = outStepW === 1 && operands.every((o) => o.along !== "element");
  return {
    name: `depthwise${exactly([g, caps.relaxed])}${epilogueName(task.epilogue)}`,
    items: g.n * channels,
    threadScratch: copies ? padBytes({ ...box, padded: sizes }) : 0,
    reads: [inputAt(0), inputAt(1), ...operandsAt(task.epilogue)],
    writes: [outputAt(0)],
    emit(_, f, at, { lo, hi, threadScratch }) {
      const [x] = at;
      const y = at[at.length - 1];
      const [item, channel, source, w, s, d, sRow, dRow, column] = f.ints(
        "item",
        "channel",
        "source",
        "w",
        "s",
        "d",
        "sRow",
        "dRow",
        "column",
      );
      const weights = Array.from(
        { length: Math.min(KEPT_WEIGHTS, Math.max(...g.phases.map(tapCount))) },
        (_, i) => f.local("v128", `w${i}`),
      );
      const acc = Array.from({ length: Math.max(VECTORS, MORE_VECTORS) }, (_, i) =>
        f.local("v128", `acc${i}`),
      );
      const { perChannel, load } = channelValues(f, task.epilogue);
      // The address of an element operand runs beside that of y.
      const element = operands.map((o, i) =>
        o.along === "element" ? f.let("i32", `${o.name}_y`, i32.sub(at[2 + i], y)) : null,
      );

      /**
       * Rows `first` … of `size` along the first axis of the source go to the thread's memory; what
       * lies outside is zero.
       */
      const copyBand = (top: Local, slabs: number) => {
        const [from, into, slab] = f.ints("from", "into", "slab");
        const slab4 = strides[0] * 4;
        const inner = { source: g.source.slice(1), lo: g.lo.slice(1), padded: box.padded.slice(1) };
        f.set(into, threadScratch);
        f.for(slab, 0, slabs, 1, () => {
          f.set(from, i32.add(top, slab));
          f.if(
            i32.ltU(from, g.source[0]),
            () => {
              f.set(from, i32.add(source, i32.mul(from, sizeOf(inner.source) * 4)));
              copyInside(f, inner, from, into, split);
            },
            () => f.fill(into, 0, slab4),
          );
          f.bump(into, slab4);
        });
      };

      const onePhase = (phase: Phase) => {
        const taps = tapsOf(phase, stridesOf(g.kernel), strides).map(({ tap, offset }) => {
          const c = offset % sizes[rank - 1];
          return { tap, offset: split ? offset - c + splitColumn(c, half) : offset };
        });
        const kept = taps.length <= KEPT_WEIGHTS;
        const width = phase.grid[rank - 1];
        const most = kept ? VECTORS : MORE_VECTORS;
        const perBlock = Math.ceil(Math.ceil(width / 4) / Math.ceil(width / (4 * most)));
        const blocks = Math.floor(width / (4 * perBlock));
        const block = (vectors: readonly { first: number; lanes: number }[]) => {
          vectors.forEach((_, v) => f.set(acc[v], 0));
          taps.forEach(({ tap, offset }, i) => {
            if (!kept) f.set(weights[0], v128.loadSplat(w, tap * 4));
            vectors.forEach(({ first, lanes }, v) => {
              const from = (offset + first * stepW) * 4;
              const loaded =
                stepW === 1 ? v128.load(s, from) : loadStepped(f, s, from, stepW, "x", lanes);
              f.set(acc[v], madd(caps, loaded, weights[kept ? i : 0], acc[v]));
            });
          });
          vectors.forEach(({ first, lanes }, v) =>
            storeNeighbors(f, caps, task.epilogue, acc[v], {
              address: d,
              offset: first * outStepW * 4,
              lanes,
              step: outStepW,
              perChannel,
              operandAt: (i) => i32.add(d, element[i]!),
            }),
          );
        };
        const vectors = (count: number, lanes = 4) =>
          Array.from({ length: count }, (_, v) => ({
            first: v * 4,
            lanes: v < count - 1 ? 4 : lanes,
          }));
        const row = () => {
          f.set(s, sRow);
          f.set(d, dRow);
          const move = (outputs: number) => {
            f.bump(s, outputs * stepW * 4);
            f.bump(d, outputs * outStepW * 4);
          };
          f.for(column, 0, blocks, 1, () => {
            block(vectors(perBlock));
            move(4 * perBlock);
          });
          const left = width - blocks * 4 * perBlock;
          const count = Math.ceil(left / 4);
          if (left % 4 === 0 || !again || width < 4) return block(vectors(count, left % 4 || 4));
          // The last vector begins where it has four outputs.
          if (!blocks) return block(vectors(count).with(count - 1, { first: width - 4, lanes: 4 }));
          move(left - 4 * count);
          block(vectors(count));
        };
        const outer = phase.grid
          .slice(0, -1)
          .map((size, a) => ({ size, strides: [g.step[a] * strides[a], g.outStep[a] * out[a]] }));
        const rows = (from: number) => {
          const walkers = [sRow, dRow].map((at, stride) => ({ at, stride }));
          eachCell(f, outer.slice(from), walkers, row);
        };
        if (kept) taps.forEach(({ tap }, i) => f.set(weights[i], v128.loadSplat(w, tap * 4)));
        f.set(sRow, source);
        const origin = phase.origin.reduce((sum, o, a) => sum + o * out[a] * 4, 0);
        f.set(dRow, i32.add(y, i32.add(i32.mul(item, sizeOf(g.output) * 4), origin)));
        if (!band) return rows(0);
        const [first, top, end, line] = f.ints("first", "top", "end", "line");
        f.for(first, 0, g.output[0], band.rows, () => {
          f.set(top, i32.sub(i32.mul(first, g.step[0]), g.lo[0]));
          copyBand(top, band.slabs);
          f.set(sRow, threadScratch);
          f.set(end, i32.sub(g.output[0], first));
          f.for(line, 0, i32.min(end, band.rows), 1, () => {
            rows(1);
            f.bump(sRow, g.step[0] * strides[0] * 4);
            f.bump(dRow, out[0] * 4);
          });
        });
      };
      // What stands around the plane is made once: only the inside changes.
      if (copies) fillRange(f, threadScratch, sizeOf(sizes) * 4, 0);
      f.for(item, lo, hi, 1, () => {
        f.set(channel, i32.rem(item, channels));
        f.set(w, i32.add(at[1], i32.mul(channel, sizeOf(g.kernel) * 4)));
        load((i) => i32.add(at[2 + i], i32.mul(channel, 4)));
        f.set(source, i32.add(x, i32.mul(i32.div(item, g.to), sizeOf(g.source) * 4)));
        if (copies && !band) {
          const copy = () => copyInside(f, box, source, threadScratch, split);
          if (g.to === 1) copy();
          else f.if(i32.or(i32.eq(item, lo), i32.eqz(i32.rem(item, g.to))), copy);
          f.set(source, threadScratch);
        }
        g.phases.forEach(onePhase);
      });
    },
  };
}
