// Convolution of any rank, kernel, stride, dilation, padding and group, and its gradient to the
// input, as a matrix product whose right side is never stored as a whole: panels of eight output
// positions are gathered when they are needed.
//   y[oc, p] = Σ over (channel, tap) of w[oc, channel, tap] · x[channel, p·step + offset(tap)]

import {
  gatherOf,
  readLayout,
  tapCount,
  type Axis,
  type AxisTaps,
  type Gather,
  type Phase,
} from "@conv/compiler";
import { convGradInputOp, convOp } from "@conv/ops";
import { exactly, sizeOf, stridesOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import {
  draft,
  inputAt,
  type CpuCode,
  type CpuKernel,
  type Place,
  type Stage,
  type Task,
} from "../../compile/code.ts";
import { i32, v128, type Local } from "../../wasm/asm.ts";
import type { Func } from "../../wasm/module.ts";
import { fitted, gemmWork, paddedElements } from "../fitted.ts";
import { loadStepped, paddedInput } from "../move/pad.ts";
import { locate as locatePointers, partAt } from "../move/walk.ts";
import { columnsPerTile, rowsPerTile } from "./blocking.ts";
import { gemmStage, type Gemm, type TileSetup } from "./gemm.ts";
import { epilogueName } from "./tile.ts";

export const igemm: CpuKernel = fitted({
  name: "igemm",
  fuses: ["channel", "element"],
  ops: [convOp, convGradInputOp],
  work(task, caps) {
    const g = gatherOf(task);
    const nr = columnsPerTile(caps);
    const last = g.step.length - 1;
    const work = {
      products: 0,
      steps: 0,
      streamed: 0,
      tiles: 0,
      moved: paddedElements(g),
      gathered: 0,
    };
    for (const p of g.phases) {
      const columns = g.n * sizeOf(p.grid);
      const k = g.from * tapCount(p);
      const product = gemmWork(caps, g.groups, g.to, k, columns);
      for (const kind of ["products", "steps", "streamed", "tiles"] as const)
        work[kind] += product[kind];
      // Panels are filled in vectors where a tile is in one row, else element by element.
      const width = p.grid[last];
      const inRow = g.step[last] > 2 ? 0 : width % nr ? Math.max(0, width - nr + 1) / width : 1;
      const filled = g.groups * k * nr * Math.ceil(columns / nr);
      work.moved += filled * inRow;
      work.gathered += filled * (1 - inRow) + (g.outStep[last] > 1 ? g.groups * g.to * columns : 0);
    }
    return work;
  },
  build(task, caps) {
    const g = gatherOf(task);
    return gatherCode(g, (phase, source, packed) =>
      productStage(g, phase, task, caps, source, packed),
    );
  },
});

/** The code of all phases: the padded source, and for each the packed weights and its stage. */
export function gatherCode(
  g: Gather,
  compute: (phase: Phase, source: Place, packed: Place) => Stage,
): CpuCode {
  const code = draft();
  const source = paddedInput(g, 0, code);
  g.phases.forEach((phase, i) => {
    const packed = code.room({ bytes: g.groups * g.to * g.from * tapCount(phase) * 4, packs: 1 });
    if (tapCount(phase)) code.stages.push(packStage(g, phase, inputAt(1), packed));
    code.stages.push({ ...compute(phase, source, packed), disjointFromPrevious: i > 0 });
  });
  return code;
}

/**
 * Calls `block` with the byte offsets of the taps, in order. Up to 32 taps are unrolled; axes
 * beyond that become loops that move the pointers.
 */
export function eachTap(
  f: Func,
  taps: readonly { count: number; first: number; delta: number }[],
  strides: readonly number[],
  pointers: readonly Local[],
  block: (offsets: number[]) => void,
): void {
  const inner: number[] = [0];
  let axis = taps.length;
  while (axis > 0 && inner.length * taps[axis - 1].count <= 32) {
    axis--;
    const { count, first, delta } = taps[axis];
    const outer = Array.from({ length: count }, (_, j) => (first + j * delta) * strides[axis] * 4);
    inner.splice(0, inner.length, ...outer.flatMap((o) => inner.map((i) => o + i)));
  }
  const loops = (a: number) => {
    if (a === axis) return block(inner);
    const { count, first, delta } = taps[a];
    const move = (by: number) => pointers.forEach((p) => f.bump(p, by * strides[a] * 4));
    move(first);
    f.repeat(count, `tap${a}`, () => {
      loops(a + 1);
      move(delta);
    });
    move(-first - count * delta);
  };
  loops(0);
}

/**
 * The stage that packs w: [group][block of output channels][source channel][tap][row of the block].
 */
function packStage(g: Gather, phase: Phase, w: Place, into: Place): Stage {
  const mr = rowsPerTile(g.to);
  const perGroup = Math.ceil(g.to / mr);
  const taps = tapCount(phase);
  const strides = stridesOf(g.kernel);
  const own: readonly AxisTaps[] = phase.taps;
  return {
    name: `pack${exactly([g.groups, g.to, g.from, g.kernel, g.wTo, g.wFrom, own.map((t) => [t.count, t.tapFirst, t.tapDelta])])}`,
    items: g.groups * perGroup,
    reads: [w],
    writes: [into],
    emit(_, f, [from, to], { lo, hi }) {
      const [item, s, d, channel, block, group] = f.ints(
        "item",
        "s",
        "d",
        "channel",
        "block",
        "group",
      );
      f.for(item, lo, hi, 1, () => {
        f.set(group, i32.div(item, perGroup));
        f.set(block, i32.rem(item, perGroup));
        f.set(
          s,
          i32.add(
            from,
            i32.add(
              i32.mul(group, g.to * g.from * sizeOf(g.kernel) * 4),
              i32.mul(block, mr * g.wTo * 4),
            ),
          ),
        );
        f.set(
          d,
          i32.add(
            to,
            i32.add(
              i32.mul(group, g.to * g.from * taps * 4),
              i32.mul(block, mr * g.from * taps * 4),
            ),
          ),
        );
        const rows = (count: number) =>
          f.for(channel, 0, g.from, 1, () => {
            eachTap(
              f,
              own.map((t) => ({ count: t.count, first: t.tapFirst, delta: t.tapDelta })),
              strides,
              [s],
              (offsets) => {
                offsets.forEach((o, t) => {
                  for (let r = 0; r < count; r++)
                    f.storeLane(d, v128.loadZero32(s, o + r * g.wTo * 4), 0, (t * count + r) * 4);
                });
                f.bump(d, offsets.length * count * 4);
              },
            );
            f.bump(s, g.wFrom * 4);
          });
        partAt(f, block, g.to, mr, rows);
      });
    },
  };
}

/** The outputs of a phase, with strides of the source and of y, and the first of them in y. */
export function outputsOf(g: Gather, phase: Phase): { axes: Axis[]; origin: number } {
  const { strides } = readLayout(g);
  const out = stridesOf(g.output);
  return {
    axes: phase.grid.map((size, a) => ({
      size,
      strides: [g.step[a] * strides[a], g.outStep[a] * out[a]],
    })),
    origin: phase.origin.reduce((sum, o, a) => sum + o * out[a], 0),
  };
}

/**
 * A tile's record: whether its columns are `step` apart in the source, then their addresses (or the
 * first alone).
 */
const RECORD = { row: 0, pointers: 4 };

function productStage(
  g: Gather,
  phase: Phase,
  task: Task,
  caps: Caps,
  source: Place,
  packed: Place,
): Stage {
  const nr = columnsPerTile(caps);
  const outPlane = sizeOf(g.output);
  const gemm: Gemm = {
    name: `igemm${exactly([g, phase, caps.relaxed])}${epilogueName(task.epilogue)}`,
    m: g.to,
    units: tapCount(phase) ? g.from : 0,
    unit: tapCount(phase),
    columns: g.n * sizeOf(phase.grid),
    problems: g.groups,
    rowBytes: outPlane * 4,
    epilogue: task.epilogue,
    tileBytes: RECORD.pointers + nr * 4,
    yBase: (group) => i32.mul(group, g.to * outPlane * 4),
    channelBase: (group) => i32.mul(group, g.to),
    tile: (t) => emitTile(g, phase, t),
    panel: (f, p) => emitPanel(g, phase, nr, f, p),
  };
  return gemmStage(gemm, caps, source, packed);
}

/**
 * Emits the setup of a tile: where its columns are in the source and in y. If they are in one row,
 * the first address stands for all.
 */
function emitTile(
  g: Gather,
  phase: Phase,
  { f, source: from, problem, columns: nr, column, lanes, own, joined, scattered }: TileSetup,
): void {
  const rank = phase.grid.length;
  const { plane } = readLayout(g);
  const { axes, origin } = outputsOf(g, phase);
  const outPlane = sizeOf(g.output);
  const positions = sizeOf(phase.grid);
  const width = phase.grid[rank - 1];
  const { c, rest, src, dst, position } = f.vars("c", "rest", "src", "dst", "position");
  // The addresses of column c in the source and in y.
  const locate = () => {
    f.set(rest, i32.div(c, positions));
    f.set(position, i32.rem(c, positions));
    const image = i32.mul(rest, g.groups * g.from * plane * 4);
    const base = i32.add(from, i32.add(image, i32.mul(problem, g.from * plane * 4)));
    const into = i32.add(i32.mul(rest, g.groups * g.to * outPlane * 4), origin * 4);
    locatePointers(f, position, axes, [
      { at: src, base, stride: 0 },
      { at: dst, base: into, stride: 1 },
    ]);
  };
  f.set(c, column);
  locate();
  const inRow =
    rank > 1
      ? i32.le(i32.add(i32.rem(position, width), nr), width)
      : i32.le(i32.add(position, nr), width);
  f.if(
    inRow,
    () => {
      f.storeI32(own, 1, RECORD.row);
      f.storeI32(own, src, RECORD.pointers);
      if (g.outStep[rank - 1] === 1) joined(dst);
      else
        for (let lane = 0; lane < nr; lane++)
          scattered(lane, i32.add(dst, lane * g.outStep[rank - 1] * 4));
    },
    () => {
      f.storeI32(own, 0, RECORD.row);
      if (positions === outPlane) f.if(i32.le(i32.add(position, nr), positions), () => joined(dst));
      const lane = f.local("i32", "lane");
      f.for(lane, 0, nr, 1, () => {
        f.set(c, i32.add(column, i32.select(i32.lt(lane, lanes), lane, i32.sub(lanes, 1))));
        locate();
        f.storeI32(i32.add(own, i32.mul(lane, 4)), src, RECORD.pointers);
        scattered(lane, dst);
      });
    },
  );
}

/** Emits a panel: for each channel and tap the elements that the columns of a tile multiply. */
function emitPanel(
  g: Gather,
  phase: Phase,
  nr: number,
  f: Func,
  { first, units, own, into }: Readonly<Record<"first" | "units" | "own" | "into", Local>>,
): void {
  const { strides, plane } = readLayout(g);
  const stepW = g.step[phase.grid.length - 1];
  const channel = f.local("i32", "channel");
  const skip = f.let("i32", "skip", i32.mul(first, plane * 4));
  const fill = (pointers: readonly Local[], load: (offset: number, half: number) => Local) =>
    f.for(channel, 0, units, 1, () => {
      eachTap(f, phase.taps, strides, pointers, (offsets) => {
        offsets.forEach((o, i) => {
          for (let half = 0; half < nr / 4; half++)
            f.store(into, load(o, half), i * nr * 4 + half * 16);
        });
        f.bump(into, offsets.length * nr * 4);
      });
      for (const p of pointers) f.bump(p, plane * 4);
    });
  f.if(
    i32.load(own, RECORD.row),
    () => {
      const p = f.let("i32", "p", i32.add(i32.load(own, RECORD.pointers), skip));
      fill([p], (offset, half) => loadStepped(f, p, offset + half * 4 * stepW * 4, stepW, "v"));
    },
    () => {
      const pointers = Array.from({ length: nr }, (_, i) =>
        f.let("i32", `p${i}`, i32.add(i32.load(own, RECORD.pointers + i * 4), skip)),
      );
      const v = f.local("v128", "v");
      fill(pointers, (offset, half) => {
        f.set(v, v128.loadZero32(pointers[half * 4], offset));
        for (let lane = 1; lane < 4; lane++)
          f.set(v, v128.loadLane(pointers[half * 4 + lane], v, lane, offset));
        return v;
      });
    },
  );
}
