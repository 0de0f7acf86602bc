// Depthwise convolution (one source channel per group, any multiplier, rank, kernel, stride, dilation and padding) and its
// gradient to the input: y[c·m + j, p] = Σ over taps of w[c·m + j, tap] · x[c, p·step + offset(tap)], four neighbours p at a time,
// straight from the (padded) source.

import { stridesOf } from "@conv/tensor";
import type { Caps } from "../caps.ts";
import { inputAt, outputAt, type CpuKernel, type Place, type Scratch, type Stage, type Task } from "../code.ts";
import { i32, v128, type Local } from "../wasm/asm.ts";
import { madd } from "../wasm/math.ts";
import { epilogueName, hash } from "../wasm/tile.ts";
import { copySeconds, gatherMacs, readLayout, tapCount, volume, type Gather, type Phase } from "./gather.ts";
import { gatherOf, isConvOrGradInput } from "./igemm.ts";
import { loadStepped, paddedInput } from "./pad.ts";
import { storeNeighbours } from "./store.ts";

/** Taps that are unrolled at most; beyond them the generated code outgrows what it saves. */
const MOST_TAPS = 128;

export const depthwise: CpuKernel = {
  name: "depthwise",
  fuses: ["channel", "element"],
  declines(task) {
    if (!isConvOrGradInput(task)) return "does convolution and its gradient to the input";
    const g = gatherOf(task);
    if (g.from !== 1) return `takes one source channel per group, not ${g.from}`;
    const most = Math.max(0, ...g.phases.map(tapCount));
    return most > MOST_TAPS ? `unrolls at most ${MOST_TAPS} taps, not ${most}` : null;
  },
  // 35 GFLOP/s over rows rounded up to whole vectors, and the copy of the source.
  estimate(task, { threads }) {
    const g = gatherOf(task);
    return ((2 * gatherMacs(g, 4)) / 35e9 + copySeconds(g)) / threads + 2e-6;
  },
  build(task, caps) {
    const g = gatherOf(task);
    const scratch: Scratch[] = [];
    const stages: Stage[] = [];
    const source = paddedInput(g, 0, scratch, stages);
    g.phases.forEach((phase, i) => stages.push({ ...planeStage(g, phase, task, caps, source), beside: i > 0 }));
    return { scratch, stages };
  },
};

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

function planeStage(g: Gather, phase: Phase, task: Task, caps: Caps, source: Place): Stage {
  const rank = phase.grid.length;
  const { strides, plane } = readLayout(g);
  const out = stridesOf(g.output);
  const outPlane = volume(g.output);
  const width = phase.grid[rank - 1];
  const stepW = g.step[rank - 1];
  const outStepW = g.outStep[rank - 1];
  const taps = tapsOf(phase, stridesOf(g.kernel), strides);
  const channels = g.groups * g.to;
  const operands = task.epilogue?.operands ?? [];
  return {
    name: `depthwise_${hash(JSON.stringify([g, phase, caps.relaxed]))}${epilogueName(task.epilogue)}`,
    items: g.n * channels,
    reads: [source, inputAt(1), ...operands.map((_, i) => inputAt(2 + i))],
    writes: [outputAt(0)],
    emit(_, f, at, { lo, hi }) {
      const [x, w] = at;
      const y = at[at.length - 1];
      const [item, channel, s, d, sRow, dRow, column] = f.ints("item", "channel", "s", "d", "sRow", "dRow", "column");
      const weights = taps.map(({ tap }) => f.local("v128", `w${tap}`));
      const acc = f.local("v128", "acc");
      const perChannel = new Map<string, Local>();
      // The address of an element operand runs beside that of y.
      const element = operands.map((o, i) => (o.along === "element" ? f.let("i32", `${o.name}_y`, i32.sub(at[2 + i], y)) : null));

      const compute = (lanes: number) => {
        f.set(acc, 0);
        taps.forEach(({ offset }, i) => f.set(acc, madd(caps, loadStepped(f, s, offset * 4, stepW, "x"), weights[i], acc)));
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
      f.for(item, lo, hi, 1, () => {
        f.set(channel, i32.rem(item, channels));
        taps.forEach(({ tap }, i) => f.set(weights[i], v128.loadSplat(i32.add(w, i32.mul(channel, volume(g.kernel) * 4)), tap * 4)));
        operands.forEach(({ name, along }, i) => {
          if (along === "element") return;
          const v = perChannel.get(name) ?? f.local("v128", name);
          perChannel.set(name, v);
          f.set(v, v128.loadSplat(i32.add(at[2 + i], i32.mul(channel, 4))));
        });
        f.set(sRow, i32.add(x, i32.mul(i32.div(item, g.to), plane * 4)));
        f.set(
          dRow,
          i32.add(
            y,
            i32.add(
              i32.mul(item, outPlane * 4),
              phase.origin.reduce((sum, o, a) => sum + o * out[a] * 4, 0),
            ),
          ),
        );
        rows(0);
      });
    },
  };
}
