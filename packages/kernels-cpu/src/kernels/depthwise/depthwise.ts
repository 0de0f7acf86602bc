// Depthwise convolution (one source channel per group, any multiplier, rank, kernel, stride,
// dilation and padding) and its gradient to the input, four neighbors p at a time, from the
// (padded) source:
//   y[c·m + j, p] = Σ over taps of w[c·m + j, tap] · x[c, p·step + offset(tap)]

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
import type { Func } from "../../wasm/module.ts";
import { channelValues, storeNeighbors } from "../direct/store.ts";
import { fitted, paddedElements } from "../fitted.ts";
import { epilogueName } from "../gemm/tile.ts";
import { copyInside, fillRange, loadStepped, padBytes, splitColumn } from "../move/pad.ts";
import { eachCell } from "../move/walk.ts";
import { inPlaceStage } from "./inPlace.ts";

/** Taps that are unrolled at most: beyond them the size of the code costs more than it saves. */
const MOST_TAPS = 128;
/**
 * Weights that fit the registers beside VECTORS sums. More weights are loaded again and again, each
 * for MORE_VECTORS sums.
 */
const KEPT_WEIGHTS = 9;
const VECTORS = 4;
const MORE_VECTORS = 7;
/** Bytes of a padded copy that fit the first-level cache beside source and outputs. */
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
      // Loading a weight for a few sums takes as long as one of the sums.
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
 * Rows of outputs of a band, and of the source that they need, such that the copy fits the
 * first-level cache; null if that of the whole plane does.
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
 * What the code of planes needs to know. Each piece of work is an output plane. A thread copies
 * each padded plane to its memory, where the caches keep it; large planes in bands of rows. With
 * stride 2 the copy has the even columns of each row before the odd ones, so that neighboring
 * outputs read neighbors.
 */
function planOf(g: Gather, { epilogue }: Task, caps: Caps) {
  const rank = g.output.length;
  const last = rank - 1;
  const pads = needsPadding(g);
  const split =
    g.step[last] === 2 && g.source[last] >= 8 && (pads || sizeOf(g.kernel) > KEPT_WEIGHTS);
  const copies = pads || split;
  const half = Math.ceil(g.padded[last] / 2);
  const box = {
    planes: 1,
    source: g.source,
    lo: g.lo,
    padded: split ? g.padded.with(last, 2 * half) : g.padded,
  };
  const band =
    copies && rank > 1 && g.to === 1 && g.phases.length === 1 ? bandOf(g, box.padded) : null;
  const sizes = copies ? box.padded.with(0, band ? band.slabs : box.padded[0]) : g.source;
  const outStepW = g.outStep[last];
  return {
    ...{ g, epilogue, caps, rank, split, copies, half, box, band, sizes, outStepW },
    strides: stridesOf(sizes),
    out: stridesOf(g.output),
    stepW: split ? 1 : g.step[last],
    /** Whether outputs may be computed twice: no operand is at the same addresses. */
    again: outStepW === 1 && !epilogue?.operands.some((o) => o.along === "element"),
  };
}

const VARIABLES = [
  ...["item", "channel", "source", "w", "s", "d", "sRow", "dRow", "column"],
] as const;

/** The plan with what the parts of its code share. */
interface Emission extends ReturnType<typeof planOf> {
  readonly f: Func;
  readonly y: Local;
  readonly threadScratch: Local;
  readonly v: Readonly<Record<(typeof VARIABLES)[number], Local>>;
  readonly weights: readonly Local[];
  readonly acc: readonly Local[];
  /** Emits the store of the outputs in `r`, the first of them `first` after `d`. */
  save(r: Local, first: number, lanes: number): void;
}

function planes(g: Gather, task: Task, caps: Caps): Stage {
  const k = planOf(g, task, caps);
  const { box, band, sizes, split, copies } = k;
  const channels = g.groups * g.to;
  const operands = task.epilogue?.operands ?? [];
  return {
    name: `depthwise${exactly([g, caps.relaxed])}${epilogueName(task.epilogue)}`,
    items: g.n * channels,
    threadScratch: copies ? padBytes({ ...box, padded: sizes }) : 0,
    reads: [inputAt(0), inputAt(1), ...operandsAt(task.epilogue)],
    writes: [outputAt(0)],
    emit(_, f, at, { lo, hi, threadScratch }) {
      const [x] = at;
      const y = at[at.length - 1];
      const v = f.vars(...VARIABLES);
      const weights = Array.from(
        { length: Math.min(KEPT_WEIGHTS, Math.max(...g.phases.map(tapCount))) },
        (_, i) => f.local("v128", `w${i}`),
      );
      const acc = Array.from({ length: Math.max(VECTORS, MORE_VECTORS) }, (_, i) =>
        f.local("v128", `acc${i}`),
      );
      const { perChannel, load } = channelValues(f, task.epilogue);
      // The distance of an element operand from y.
      const element = operands.map((o, i) =>
        o.along === "element" ? f.let("i32", `${o.name}_y`, i32.sub(at[2 + i], y)) : null,
      );
      const e: Emission = {
        ...{ ...k, f, y, threadScratch, v, weights, acc },
        save: (r, first, lanes) =>
          storeNeighbors(f, caps, task.epilogue, r, {
            address: v.d,
            offset: first * k.outStepW * 4,
            lanes,
            step: k.outStepW,
            perChannel,
            operandAt: (i) => i32.add(v.d, element[i]!),
          }),
      };
      // The padding is written once: copies change the inside only.
      if (copies) fillRange(f, threadScratch, sizeOf(sizes) * 4, 0);
      f.for(v.item, lo, hi, 1, () => {
        f.set(v.channel, i32.rem(v.item, channels));
        f.set(v.w, i32.add(at[1], i32.mul(v.channel, sizeOf(g.kernel) * 4)));
        load((i) => i32.add(at[2 + i], i32.mul(v.channel, 4)));
        f.set(v.source, i32.add(x, i32.mul(i32.div(v.item, g.to), sizeOf(g.source) * 4)));
        if (copies && !band) {
          const copy = () => copyInside(f, box, v.source, threadScratch, split);
          if (g.to === 1) copy();
          else f.if(i32.or(i32.eq(v.item, lo), i32.eqz(i32.rem(v.item, g.to))), copy);
          f.set(v.source, threadScratch);
        }
        g.phases.forEach((phase) => emitPhase(e, phase));
      });
    },
  };
}

/**
 * Emits the copy of `slabs` rows of the first axis, from `top` on, to the memory of the thread:
 * zeros outside the source.
 */
function copyBand(
  { f, g, box, split, strides, threadScratch, v }: Emission,
  top: Local,
  slabs: number,
): void {
  const { from, into, slab } = f.vars("from", "into", "slab");
  const slab4 = strides[0] * 4;
  const inner = { source: g.source.slice(1), lo: g.lo.slice(1), padded: box.padded.slice(1) };
  f.set(into, threadScratch);
  f.for(slab, 0, slabs, 1, () => {
    f.set(from, i32.add(top, slab));
    f.if(
      i32.ltU(from, g.source[0]),
      () => {
        f.set(from, i32.add(v.source, i32.mul(from, sizeOf(inner.source) * 4)));
        copyInside(f, inner, from, into, split);
      },
      () => f.fill(into, 0, slab4),
    );
    f.bump(into, slab4);
  });
}

/** A tap: its index in the kernel, and the offset of its element in the source. */
interface Tap {
  readonly tap: number;
  readonly offset: number;
}

/** Emits the outputs of a phase: row by row, and band by band where the plane is in bands. */
function emitPhase(e: Emission, phase: Phase): void {
  const { f, g, y, rank, split, half, sizes, strides, out, band, threadScratch, v, weights } = e;
  const taps = tapsOf(phase, stridesOf(g.kernel), strides).map(({ tap, offset }): Tap => {
    const c = offset % sizes[rank - 1];
    return { tap, offset: split ? offset - c + splitColumn(c, half) : offset };
  });
  const outer = phase.grid
    .slice(0, -1)
    .map((size, a) => ({ size, strides: [g.step[a] * strides[a], g.outStep[a] * out[a]] }));
  const rows = (from: number) => {
    const walkers = [v.sRow, v.dRow].map((at, stride) => ({ at, stride }));
    eachCell(f, outer.slice(from), walkers, () => emitRow(e, taps, phase.grid[rank - 1]));
  };
  if (taps.length <= KEPT_WEIGHTS)
    taps.forEach(({ tap }, i) => f.set(weights[i], v128.loadSplat(v.w, tap * 4)));
  f.set(v.sRow, v.source);
  const origin = phase.origin.reduce((sum, o, a) => sum + o * out[a] * 4, 0);
  f.set(v.dRow, i32.add(y, i32.add(i32.mul(v.item, sizeOf(g.output) * 4), origin)));
  if (!band) return rows(0);
  const { first, top, end, line } = f.vars("first", "top", "end", "line");
  f.for(first, 0, g.output[0], band.rows, () => {
    f.set(top, i32.sub(i32.mul(first, g.step[0]), g.lo[0]));
    copyBand(e, top, band.slabs);
    f.set(v.sRow, threadScratch);
    f.set(end, i32.sub(g.output[0], first));
    f.for(line, 0, i32.min(end, band.rows), 1, () => {
      rows(1);
      f.bump(v.sRow, g.step[0] * strides[0] * 4);
      f.bump(v.dRow, out[0] * 4);
    });
  });
}

/** Emits a row of `width` outputs, in blocks of some vectors. */
function emitRow(e: Emission, taps: readonly Tap[], width: number): void {
  const { f, v, stepW, outStepW, again } = e;
  const most = taps.length <= KEPT_WEIGHTS ? VECTORS : MORE_VECTORS;
  const perBlock = Math.ceil(Math.ceil(width / 4) / Math.ceil(width / (4 * most)));
  const blocks = Math.floor(width / (4 * perBlock));
  const vectors = (count: number, lanes = 4): Vector[] =>
    Array.from({ length: count }, (_, i) => ({ first: i * 4, lanes: i < count - 1 ? 4 : lanes }));
  f.set(v.s, v.sRow);
  f.set(v.d, v.dRow);
  const move = (outputs: number) => {
    f.bump(v.s, outputs * stepW * 4);
    f.bump(v.d, outputs * outStepW * 4);
  };
  f.for(v.column, 0, blocks, 1, () => {
    emitBlock(e, taps, vectors(perBlock));
    move(4 * perBlock);
  });
  const left = width - blocks * 4 * perBlock;
  const count = Math.ceil(left / 4);
  if (left % 4 === 0 || !again || width < 4)
    return emitBlock(e, taps, vectors(count, left % 4 || 4));
  // The last vector begins four outputs before the end.
  if (!blocks)
    return emitBlock(e, taps, vectors(count).with(count - 1, { first: width - 4, lanes: 4 }));
  move(left - 4 * count);
  emitBlock(e, taps, vectors(count));
}

/** A vector of outputs: how many it has, and the first of them after those at `d`. */
interface Vector {
  readonly first: number;
  readonly lanes: number;
}

/** Emits some vectors of outputs: Σ over taps of weight · source, the epilogue, and the stores. */
function emitBlock(e: Emission, taps: readonly Tap[], vectors: readonly Vector[]): void {
  const { f, caps, stepW, v, weights, acc } = e;
  const kept = taps.length <= KEPT_WEIGHTS;
  vectors.forEach((_, i) => f.set(acc[i], 0));
  taps.forEach(({ tap, offset }, t) => {
    if (!kept) f.set(weights[0], v128.loadSplat(v.w, tap * 4));
    vectors.forEach(({ first, lanes }, i) => {
      const from = (offset + first * stepW) * 4;
      const loaded =
        stepW === 1 ? v128.load(v.s, from) : loadStepped(f, v.s, from, stepW, "x", lanes);
      f.set(acc[i], madd(caps, loaded, weights[kept ? t : 0], acc[i]));
    });
  });
  vectors.forEach(({ first, lanes }, i) => e.save(acc[i], first, lanes));
}
