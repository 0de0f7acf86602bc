// Depthwise convolution (one source channel per group, any multiplier, rank, kernel, stride, dilation and padding) and its
// gradient to the input: y[c·m + j, p] = Σ over taps of w[c·m + j, tap] · x[c, p·step + offset(tap)], four neighbours p at a time,
// straight from the (padded) source.

import { stridesOf } from "@conv/tensor";
import type { Caps } from "../caps.ts";
import { inputAt, outputAt, type CpuKernel, type Stage, type Task } from "../code.ts";
import { i32, v128, type Code, type Func, type Local } from "../wasm/asm.ts";
import { madd } from "../wasm/math.ts";
import { epilogueName, hash } from "../wasm/tile.ts";
import { fitted, paddedElements } from "./fitted.ts";
import { needsPadding, readLayout, tapCount, volume, type Gather, type Phase } from "./gather.ts";
import { gatherOf, isConvOrGradInput } from "./igemm.ts";
import { copyInside, fillRange, loadStepped, padBytes } from "./pad.ts";
import { storeNeighbours } from "./store.ts";

/** Taps that are unrolled at most; beyond them the generated code outgrows what it saves. */
const MOST_TAPS = 128;

export const depthwise: CpuKernel = fitted({
  name: "depthwise",
  fuses: ["channel", "element"],
  declines(task) {
    if (!isConvOrGradInput(task)) return "does convolution and its gradient to the input";
    const g = gatherOf(task);
    if (g.from !== 1) return `takes one source channel per group, not ${g.from}`;
    const most = Math.max(0, ...g.phases.map(tapCount));
    return most > MOST_TAPS ? `unrolls at most ${MOST_TAPS} taps, not ${most}` : null;
  },
  work(task) {
    const g = gatherOf(task);
    const last = g.step.length - 1;
    const work = { products: 0, steps: 0, gathered: 0, tiles: 0, moved: paddedElements(g) };
    for (const p of g.phases) {
      const rows = g.n * g.groups * g.to * volume(p.grid.slice(0, -1));
      const vectors = rows * Math.ceil(p.grid[last] / 4);
      const products = 4 * vectors * tapCount(p);
      work.products += products;
      work.steps += vectors;
      work.tiles += rows;
      work.gathered += (g.step[last] > 2 ? products : 0) + (g.outStep[last] > 1 ? rows * p.grid[last] : 0);
    }
    return work;
  },
  build: (task, caps) => ({ scratch: [], stages: [planes(gatherOf(task), task, caps)] }),
});

/** Flat kernel index and source offset (elements) of every tap of a phase. */
export function tapsOf(phase: Phase, kernelStrides: readonly number[], sourceStrides: readonly number[]): { tap: number; offset: number }[] {
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

/** One piece of work is an output plane. Padding is made plane by plane in the thread's own memory, where the caches keep it. */
function planes(g: Gather, task: Task, caps: Caps): Stage {
  const rank = g.output.length;
  const { strides, plane } = readLayout(g);
  const out = stridesOf(g.output);
  const stepW = g.step[rank - 1];
  const outStepW = g.outStep[rank - 1];
  const channels = g.groups * g.to;
  const operands = task.epilogue?.operands ?? [];
  const box = { planes: 1, source: g.source, lo: g.lo, padded: g.padded };
  const pads = needsPadding(g);
  return {
    name: `depthwise_${hash(JSON.stringify([g, caps.relaxed]))}${epilogueName(task.epilogue)}`,
    items: g.n * channels,
    perThread: pads ? padBytes(box) : 0,
    reads: [inputAt(0), inputAt(1), ...operands.map((_, i) => inputAt(2 + i))],
    writes: [outputAt(0)],
    emit(_, f, at, { lo, hi, own }) {
      const [x, w] = at;
      const y = at[at.length - 1];
      const [item, channel, source, s, d, sRow, dRow, column] = f.ints("item", "channel", "source", "s", "d", "sRow", "dRow", "column");
      const weights = Array.from({ length: Math.max(...g.phases.map(tapCount)) }, (_, i) => f.local("v128", `w${i}`));
      const acc = f.local("v128", "acc");
      const perChannel = new Map<string, Local>();
      // The address of an element operand runs beside that of y.
      const element = operands.map((o, i) => (o.along === "element" ? f.let("i32", `${o.name}_y`, i32.sub(at[2 + i], y)) : null));

      const onePhase = (phase: Phase) => {
        const taps = tapsOf(phase, stridesOf(g.kernel), strides);
        const width = phase.grid[rank - 1];
        const compute = (lanes: number) => {
          f.set(acc, 0);
          const load = stepW === 2 ? pairLoader(f, s) : (offset: number) => loadStepped(f, s, offset * 4, stepW, "x");
          taps.forEach(({ offset }, i) => f.set(acc, madd(caps, load(offset), weights[i], acc)));
          storeNeighbours(f, caps, task.epilogue, acc, {
            address: d,
            offset: 0,
            lanes,
            step: outStepW,
            perChannel,
            beside: (i) => i32.add(d, element[i]!),
          });
        };
        const row = () => {
          f.set(s, sRow);
          f.set(d, dRow);
          f.for(column, 0, width >> 2, 1, () => {
            compute(4);
            f.bump(s, 16 * stepW);
            f.bump(d, 16 * outStepW);
          });
          if (width % 4) compute(width % 4);
        };
        const rows = (axis: number) => {
          if (axis === rank - 1) return row();
          const [sMove, dMove] = [g.step[axis] * strides[axis] * 4, g.outStep[axis] * out[axis] * 4];
          f.repeat(phase.grid[axis], `left${axis}`, () => {
            rows(axis + 1);
            f.bump(sRow, sMove);
            f.bump(dRow, dMove);
          });
          f.bump(sRow, -sMove * phase.grid[axis]);
          f.bump(dRow, -dMove * phase.grid[axis]);
        };
        taps.forEach(({ tap }, i) => f.set(weights[i], v128.loadSplat(i32.add(w, i32.mul(channel, volume(g.kernel) * 4)), tap * 4)));
        f.set(sRow, source);
        const origin = phase.origin.reduce((sum, o, a) => sum + o * out[a] * 4, 0);
        f.set(dRow, i32.add(y, i32.add(i32.mul(item, volume(g.output) * 4), origin)));
        rows(0);
      };
      // What stands around the plane is made once: only the inside changes.
      if (pads) fillRange(f, own, plane * 4, 0);
      f.for(item, lo, hi, 1, () => {
        f.set(channel, i32.rem(item, channels));
        operands.forEach(({ name, along }, i) => {
          if (along === "element") return;
          const v = perChannel.get(name) ?? f.local("v128", name);
          perChannel.set(name, v);
          f.set(v, v128.loadSplat(i32.add(at[2 + i], i32.mul(channel, 4))));
        });
        f.set(source, i32.add(x, i32.mul(i32.div(item, g.to), volume(g.source) * 4)));
        if (pads) {
          const copy = () => copyInside(f, box, source, own);
          if (g.to === 1) copy();
          else f.if(i32.or(i32.eq(item, lo), i32.eqz(i32.rem(item, g.to))), copy);
          f.set(source, own);
        }
        g.phases.forEach(onePhase);
      });
    },
  };
}

/** Loads every second element from an offset on; two neighbouring taps are the even and the odd lanes of the same two vectors. */
function pairLoader(f: Func, s: Local): (offset: number) => Code {
  const pairs = new Map<number, readonly [Local, Local]>();
  return (offset) => {
    const known = pairs.get(offset - 1);
    if (known) return v128.shuffle(...known, 1, 3, 5, 7);
    const pair = [f.let("v128", "x0", v128.load(s, offset * 4)), f.let("v128", "x1", v128.load(s, offset * 4 + 16))] as const;
    pairs.set(offset, pair);
    return v128.shuffle(...pair, 0, 2, 4, 6);
  };
}
