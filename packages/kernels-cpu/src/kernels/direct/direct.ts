// Convolution and its gradient to the input for groups with few output channels: without a second
// block of rows, filling panels would take longer than the products. Each row of outputs reads its
// taps from the (padded) source.
//   acc[row, p] += w[row, channel, tap] · x[channel, p·step + offset(tap)]
// A few rows by 8 to 16 neighbors p are in registers.

import { gatherOf, readLayout, tapCount, type Gather, type Phase } from "@conv/compiler";
import { convGradInputOp, convOp } from "@conv/ops";
import { exactly, sizeOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import {
  operandsAt,
  outputAt,
  type CpuKernel,
  type Place,
  type Stage,
  type Task,
} from "../../compile/code.ts";
import { get, i32, v128, type Local, type Operand } from "../../wasm/asm.ts";
import { madd } from "../../wasm/math.ts";
import type { Func, Module } from "../../wasm/module.ts";
import { fitted, LEAST_ROWS, paddedElements } from "../fitted.ts";
import { BLOCK, rowsPerTile } from "../gemm/blocking.ts";
import { eachTap, gatherCode, outputsOf } from "../gemm/igemm.ts";
import { epilogueName } from "../gemm/tile.ts";
import { loadStepped } from "../move/pad.ts";
import { counted, inBlocks, locate } from "../move/walk.ts";
import { channelValues, storeNeighbors } from "./store.ts";

/** Output channels of a group: with more of them panels are faster (igemm.ts). */
const MOST_ROWS = 18;
/**
 * Vectors of outputs of a tile: the sums of `rows` rows, the vectors of a step and one weight fit
 * 15 registers.
 */
const vectorsFor = (rows: number) => Math.min(4, Math.floor(14 / (rows + 1)));

export const direct: CpuKernel = fitted({
  name: "direct",
  fuses: ["channel", "element"],
  ops: [convOp, convGradInputOp],
  unsupportedReason(task) {
    const { to } = gatherOf(task);
    return to > MOST_ROWS
      ? `keeps at most ${MOST_ROWS} output channels per group, not ${to}`
      : null;
  },
  work(task) {
    const g = gatherOf(task);
    const mr = rowsPerTile(g.to);
    const nv = vectorsFor(mr);
    const last = g.step.length - 1;
    const blocks = Math.ceil(g.to / mr);
    // Each block of rows reads the source again.
    const streamed = 4 * blocks * g.n * g.groups * g.from * sizeOf(g.source);
    const work = {
      products: 0,
      steps: 0,
      tiles: 0,
      moved: paddedElements(g),
      gathered: 0,
      streamed,
    };
    for (const p of g.phases) {
      const rows = g.n * g.groups * sizeOf(p.grid.slice(0, -1));
      const k = rows * g.from * tapCount(p);
      const vectors = Math.ceil(p.grid[last] / 4);
      const [whole, rest] = [Math.floor(vectors / nv), vectors % nv];
      // Sums of a step, in vectors: with fewer than 8, each waits for the previous one.
      const sums = (v: number) => v && Math.max(2 * LEAST_ROWS, mr * v);
      work.products += 4 * k * blocks * (whole * sums(nv) + sums(rest));
      if (g.step[last] <= 2) work.steps += k * blocks * vectors * g.step[last];
      else work.gathered += 4 * k * blocks * vectors;
      work.tiles += rows * blocks * (whole + Math.sign(rest));
      if (g.outStep[last] > 1) work.gathered += rows * g.to * p.grid[last];
    }
    return work;
  },
  build(task, caps) {
    const g = gatherOf(task);
    return gatherCode(g, (phase, source, packed) => rowStage(g, phase, task, caps, source, packed));
  },
});

function rowStage(
  g: Gather,
  phase: Phase,
  task: Task,
  caps: Caps,
  source: Place,
  packed: Place,
): Stage {
  const rank = phase.grid.length;
  const { strides, plane } = readLayout(g);
  const { axes, origin } = outputsOf(g, phase);
  const width = phase.grid[rank - 1];
  const stepW = g.step[rank - 1];
  const outStepW = g.outStep[rank - 1];
  const rows = sizeOf(phase.grid.slice(0, -1));
  const mr = rowsPerTile(g.to);
  const nv = vectorsFor(mr);
  const taps = tapCount(phase);
  const name = `direct${exactly([g, phase, caps.relaxed])}${epilogueName(task.epilogue)}`;
  return {
    name,
    items: g.n * g.groups * rows,
    reads: [source, packed, ...operandsAt(task.epilogue)],
    writes: [outputAt(0)],
    emit(m, f, at, { lo, hi }) {
      const [x, w] = at;
      const y = at[at.length - 1];
      const [item, image, rest, s, d, a, channel, p, q, tile] = f.ints(
        "item",
        "image",
        "rest",
        "s",
        "d",
        "a",
        "channel",
        "p",
        "q",
        "tile",
      );
      f.for(item, lo, hi, 1, () => {
        f.set(image, i32.div(item, rows)); // image · groups + group
        f.set(rest, i32.rem(item, rows));
        locate(f, rest, axes.slice(0, -1), [
          { at: s, base: i32.add(x, i32.mul(image, g.from * plane * 4)), stride: 0 },
          {
            at: d,
            base: i32.add(i32.mul(image, g.to * sizeOf(g.output) * 4), origin * 4),
            stride: 1,
          },
        ]);
        f.set(channel, i32.mul(i32.rem(image, g.groups), g.to));
        f.set(a, i32.add(w, i32.mul(channel, g.from * taps * 4)));
        for (let row = 0; row < g.to; row += mr) {
          const count = Math.min(mr, g.to - row);
          f.set(p, s);
          f.set(q, d);
          const run = (vectors: number, lanes: number) =>
            f.call(
              tileFunc(m, caps, task, {
                name,
                g,
                phase,
                strides,
                plane,
                rows: count,
                vectors,
                lanes,
                stepW,
                outStepW,
              }),
              p,
              a,
              q,
              i32.mul(i32.add(channel, row), 4),
              y,
              ...at.slice(2, -1),
            );
          f.for(tile, 0, Math.floor(width / (4 * nv)), 1, () => {
            run(nv, 4);
            f.bump(p, 4 * nv * stepW * 4);
            f.bump(q, 4 * nv * outStepW * 4);
          });
          const left = width % (4 * nv);
          if (left) run(Math.ceil(left / 4), left % 4 || 4);
          f.bump(a, count * g.from * taps * 4);
          f.bump(d, count * sizeOf(g.output) * 4);
        }
      });
    },
  };
}

interface Tile {
  readonly name: string;
  readonly g: Gather;
  readonly phase: Phase;
  readonly strides: readonly number[];
  readonly plane: number;
  readonly rows: number;
  readonly vectors: number;
  /** Of the last vector. */
  readonly lanes: number;
  readonly stepW: number;
  readonly outStepW: number;
}

/** A tile: `rows` channels by `vectors` vectors of neighbors, over all source channels and taps. */
function tileFunc(
  m: Module,
  caps: Caps,
  task: Task,
  { name, g, phase, strides, plane, rows, vectors, lanes, stepW, outStepW }: Tile,
): Func {
  const operands = task.epilogue?.operands ?? [];
  const rowBytes = sizeOf(g.output) * 4;
  return m.func(
    `${name}_${rows}x${vectors * 4 - 4 + lanes}`,
    ["p", "a", "offset", "channel", "y", ...operands.map((o) => o.name)],
    (f) => {
      const [p, a, offset, channel, y, ...pointers] = f.params as [
        Local,
        Local,
        Local,
        Local,
        Local,
        ...Local[],
      ];
      const acc = Array.from({ length: rows }, (_, r) =>
        Array.from({ length: vectors }, (_, i) => f.let("v128", `acc${r}_${i}`, 0)),
      );
      const b = Array.from({ length: vectors }, (_, i) => f.local("v128", `b${i}`));
      const w = f.local("v128", "w");
      const left = f.local("i32", "left");
      const taps = tapCount(phase);
      // The taps of a channel are one block of terms, or several.
      const totals = taps > BLOCK ? counted(f, acc.flat()) : null;
      const eachChannel = () => {
        eachTap(f, phase.taps, strides, [p], (offsets) => {
          offsets.forEach((o, t) => {
            b.forEach((v, i) => {
              const wanted = i === vectors - 1 ? lanes : 4;
              f.set(
                v,
                stepW === 1
                  ? v128.load(p, o + i * 16)
                  : get(loadStepped(f, p, o + i * 16 * stepW, stepW, "x", wanted)),
              );
            });
            acc.forEach((row, r) => {
              f.set(w, v128.loadSplat(a, (t * rows + r) * 4));
              row.forEach((v, i) => f.set(v, madd(caps, w, b[i], v)));
            });
          });
          f.bump(a, offsets.length * rows * 4);
          totals?.add(offsets.length);
        });
        f.bump(p, plane * 4);
      };
      const channels = (count: Operand) => f.for(left, 0, count, 1, eachChannel);
      if (totals) {
        channels(g.from);
        totals.finish();
      } else if (taps) inBlocks(f, acc.flat(), g.from, taps, channels);
      const at = f.let("i32", "at", i32.add(y, offset));
      acc.forEach((row, r) => {
        const { perChannel, load } = channelValues(f, task.epilogue);
        load((j) => i32.add(pointers[j], channel), r * 4);
        row.forEach((v, i) => {
          storeNeighbors(f, caps, task.epilogue, v, {
            address: at,
            offset: r * rowBytes + i * 16 * outStepW,
            lanes: i === vectors - 1 ? lanes : 4,
            step: outStepW,
            perChannel,
            operandAt: (j) => i32.add(pointers[j], offset),
          });
        });
      });
    },
  );
}
