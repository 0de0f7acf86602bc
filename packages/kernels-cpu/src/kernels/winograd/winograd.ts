// Winograd's short convolutions, in one or two dimensions: convolution of any rank with small
// kernels, dilation and groups, and its gradient to the input where its phases are such
// convolutions. Tiles of the source are transformed, multiplied point by point as matrix products
// over channels, and transformed back:
//   y[oc, tile] = Aᵀ[ Σ over c of (G·w[oc, c]·Gᵀ) ⊙ (Bᵀ·x[c, tile]·B) ]A
// A vector holds the same point of four tiles, which may lie anywhere: each has its own address.

import { gatherOf, readLayout, ROUNDOFF, tilings, type Tiling, combinations } from "@conv/compiler";
import { convGradInputOp, convOp } from "@conv/ops";
import { bytesOf, exactly, sizeOf, stridesOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import {
  draft,
  inputAt,
  operandsAt,
  outputAt,
  type CpuCode,
  type CpuKernel,
  type Place,
  type Stage,
  type Task,
} from "../../compile/code.ts";
import { i32, v128, type Code, type Operand } from "../../wasm/asm.ts";
import type { Func, Module } from "../../wasm/module.ts";
import { fitted, gemmWork, paddedElements } from "../fitted.ts";
import { columnsPerTile, rowsPerTile } from "../gemm/blocking.ts";
import { epilogueName, sumsTile } from "../gemm/tile.ts";
import { paddedInput } from "../move/pad.ts";
import { partAt } from "../move/walk.ts";
import { plainTiles } from "./repair.ts";
import { emitRecord, RECORD, stepsOf } from "./tiles.ts";
import { combine } from "./toomCook.ts";
import { emitInput, emitOutput, patchWidth, scratchBytes } from "./transforms.ts";

/** Bytes of transformed tiles and of products that a thread keeps, in the second-level cache. */
const SOURCE_BYTES = 1024 * 1024;
const PRODUCT_BYTES = 256 * 1024;
/** Bytes that the transformed weights of a convolution may take. */
const MOST_BYTES = 2 ** 28;

const packedBytes = (all: readonly Tiling[]): number =>
  all.reduce((sum, { g, depth, points }) => sum + g.groups * g.to * depth * points * 4, 0);

/**
 * How a thread's piece of work is cut: panels of tiles that share each pass over the weights, and
 * rows whose products wait to be transformed.
 */
function blocking({ g, points, tiles, depth }: Tiling, caps: Caps) {
  const nr = columnsPerTile(caps);
  const mr = rowsPerTile(g.to);
  const panels = Math.ceil(tiles / nr);
  const most = Math.max(
    1,
    Math.floor(Math.min(SOURCE_BYTES / depth, PRODUCT_BYTES / mr) / (points * nr * 4)),
  );
  const perGroup = Math.ceil(panels / Math.ceil(panels / most));
  const groups = Math.ceil(panels / perGroup);
  const blocks = Math.ceil(g.to / mr);
  // With fewer groups than threads the rows are divided, and the source is transformed for each
  // part.
  const parts = Math.min(blocks, Math.max(1, Math.ceil(caps.threads / (groups * g.groups))));
  const partBlocks = Math.ceil(blocks / parts);
  const chunk = Math.min(
    partBlocks,
    Math.max(1, Math.floor(PRODUCT_BYTES / (points * perGroup * nr * mr * 4))),
  );
  return {
    nr,
    mr,
    panels,
    perGroup,
    groups,
    parts: Math.ceil(blocks / partBlocks),
    partBlocks,
    chunk,
  };
}

/**
 * The family F(points − taps + 1, taps) along `dims` axes. Stated bound of the error: |Δy| ≤ factor
 * · 2⁻²³ · Σ |x|*·|w|, where |x|* is the largest |x| of the channel's plane; the error itself comes
 * of those that share a tile.
 */
const winograd = (points: 4 | 6 | 8, dims: 1 | 2): CpuKernel =>
  fitted({
    name: `winograd${dims}d${points}`,
    fuses: ["channel", "element"],
    roundoff: ROUNDOFF[points],
    ops: [convOp, convGradInputOp],
    unsupportedReason(task) {
      const t = tilings(gatherOf(task), points, dims);
      if (typeof t === "string") return t;
      const bytes = packedBytes(t);
      return bytes > MOST_BYTES
        ? `transforms weights to at most ${MOST_BYTES} bytes, not ${bytes}`
        : null;
    },
    keeps: (task) =>
      packedBytes(tilings(gatherOf(task), points, dims) as Tiling[]) - bytesOf(task.inputs[1]),
    work(task, caps) {
      const all = tilings(gatherOf(task), points, dims) as Tiling[];
      const { g } = all[0];
      const work = {
        products: 0,
        steps: 0,
        tiles: 0,
        moved: paddedElements(g),
        gathered: 0,
        transformed: 0,
        streamed: 0,
      };
      for (const t of all) {
        const { phase, points, depth } = t;
        const { nr, panels, groups, parts } = blocking(t, caps);
        const { products, steps } = gemmWork(caps, g.groups * points, g.to, depth, panels * nr);
        work.products += products;
        work.steps += steps;
        // Points on the way in, from four places at once; points on the way back, and the outputs
        // that come of them.
        work.gathered +=
          g.groups * points * depth * panels * nr * parts * (g.step.at(-1)! > 1 ? 2 : 1);
        work.transformed += g.groups * points * g.to * panels * nr;
        work.moved += g.n * g.groups * g.to * sizeOf(phase.grid);
        work.streamed += 4 * groups * g.groups * points * depth * g.to;
        work.tiles += g.groups * panels * nr * parts;
      }
      return work;
    },
    build(task, caps): CpuCode {
      const all = tilings(gatherOf(task), points, dims) as Tiling[];
      const code = draft();
      const source = paddedInput(all[0].g, 0, code);
      all.forEach((t, i) => {
        const { g } = t;
        const packed = code.room({
          bytes: (g.groups * g.to * t.depth * t.points + 4) * 4,
          packs: 1,
        });
        code.stages.push(weightStage(t, caps, packed), {
          ...productStage(t, task, caps, source, packed),
          disjointFromPrevious: i > 0,
        });
      });
      return code;
    },
  });

export const winograd2d4: CpuKernel = /* @__PURE__ */ winograd(4, 2);
export const winograd2d6: CpuKernel = /* @__PURE__ */ winograd(6, 2);
export const winograd2d8: CpuKernel = /* @__PURE__ */ winograd(8, 2);
export const winograd1d6: CpuKernel = /* @__PURE__ */ winograd(6, 1);
export const winograd1d8: CpuKernel = /* @__PURE__ */ winograd(8, 1);

/** Transforms the weights: [group][point][block of output channels][depth][row of the block]. */
function weightStage(t: Tiling, caps: Caps, packed: Place): Stage {
  const { g, h, w, axes, depth, points } = t;
  const mr = rowsPerTile(g.to);
  const perGroup = Math.ceil(g.to / mr);
  const strides = stridesOf(g.kernel);
  const alongH = strides.at(-2) ?? 0;
  const lines = h.short.g[0].length; // of taps; each gives a vector for every point along w
  // For each step of the depth but channels, the taps along every axis.
  const summed = combinations(axes.map((x) => x.taps));
  return {
    name: `winogradWeights${exactly([g.kernel, g.to, g.from, g.groups, g.wTo, g.wFrom, h, w, summed, caps.relaxed])}`,
    items: g.groups * perGroup,
    reads: [inputAt(1)],
    writes: [packed],
    threadScratch: lines * w.n * 16,
    emit(_, f, [from, to], { lo, hi, threadScratch }) {
      const [item, s, d, channel, block, group] = f.ints(
        "item",
        "s",
        "d",
        "channel",
        "block",
        "group",
      );
      const [line, column, j, into] = f.ints("line", "column", "j", "into");
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
            i32.add(i32.mul(group, g.to * depth * points * 4), i32.mul(block, mr * depth * 4)),
          ),
        );
        const rows = (count: number) =>
          f.for(channel, 0, g.from, 1, () => {
            for (const taps of summed) {
              const offset = taps.slice(0, -2).reduce((sum, [k], a) => sum + k * strides[a], 0);
              const [tapsH, tapsW] = [taps.at(-2) ?? [0], taps.at(-1)!];
              for (let row = 0; row < count; row += 4) {
                const lanes = Math.min(4, count - row);
                const load = (kw: number) => {
                  if (kw < 0) return f.let("v128", "none", 0);
                  const at = offset + tapsH[0] * alongH + kw;
                  const v = f.let("v128", "w_", v128.loadZero32(line, (at + row * g.wTo) * 4));
                  for (let lane = 1; lane < lanes; lane++)
                    f.set(v, v128.loadLane(line, v, lane, (at + (row + lane) * g.wTo) * 4));
                  return v;
                };
                // Taps along h are equally far apart; those that are missing come last.
                const known = tapsH.filter((kh) => kh >= 0).length;
                const apart = known > 1 ? tapsH[1] - tapsH[0] : 0;
                f.set(column, threadScratch);
                f.set(line, s);
                f.for(j, 0, known, 1, () => {
                  combine(f, caps, w.short.g, tapsW.map(load)).forEach((v, i) =>
                    f.store(column, v, i * lines * 16),
                  );
                  f.bump(column, 16);
                  f.bump(line, apart * alongH * 4);
                });
                for (let r = known; r < lines; r++)
                  for (let i = 0; i < w.n; i++) f.store(threadScratch, 0, (i * lines + r) * 16);
                f.set(column, threadScratch);
                f.set(into, d);
                f.for(j, 0, w.n, 1, () => {
                  const half = tapsH.map((_, r) =>
                    f.let("v128", "half", v128.load(column, r * 16)),
                  );
                  combine(f, caps, h.short.g, half).forEach((v, i) => {
                    const at = (i * w.n * depth * g.to + row) * 4;
                    if (lanes === 4) f.store(into, v, at);
                    else
                      for (let lane = 0; lane < lanes; lane++)
                        f.storeLane(into, v, lane, at + lane * 4);
                  });
                  f.bump(column, lines * 16);
                  f.bump(into, depth * g.to * 4);
                });
              }
              f.bump(d, count * 4);
            }
            f.bump(s, g.wFrom * 4);
          });
        partAt(f, block, g.to, mr, rows);
      });
    },
  };
}

/** The tiles of four records by their definition, into a patch. */
function plainOf(m: Module, id: string, t: Tiling): Func {
  const { g, h, w, axes } = t;
  const rank = axes.length;
  const { strides, plane } = readLayout(g);
  const kernel = stridesOf(g.kernel);
  const { stepH, stepW } = stepsOf(t, g.step, strides);
  // Taps along each axis: where they read the source, and their place in the weights.
  const along = axes.map(({ plain, taps }, a) =>
    plain.flatMap((p, i) =>
      taps[i].flatMap((k, r) =>
        k < 0
          ? []
          : [[p * strides[a] + r * (a === rank - 1 ? stepW : stepH), k * kernel[a]] as const],
      ),
    ),
  );
  return plainTiles(m, id, {
    from: g.from,
    plane: plane * 4,
    wFrom: g.wFrom * 4,
    terms: along.reduce<[number, number][]>(
      (list, taps) =>
        list.flatMap(([x, k]) => taps.map(([a, b]): [number, number] => [x + a * 4, k + b * 4])),
      [[0, 0]],
    ),
    lines: 1,
    xLine: 0,
    wLine: 0,
    rows: h.m,
    columns: w.m,
    step: [stepH * 4, stepW * 4],
    into: [h.m * patchWidth(t), patchWidth(t), 4],
    wTile: 0,
  });
}

function productStage(t: Tiling, task: Task, caps: Caps, source: Place, packed: Place): Stage {
  const { g, phase, points, depth } = t;
  const b = blocking(t, caps);
  const { nr, mr } = b;
  const { strides, plane } = readLayout(g);
  const out4 = stridesOf(g.output).map((s) => s * 4);
  const outPlane = sizeOf(g.output);
  const panelBytes = points * depth * nr * 4;
  const rowsInChunk = Math.min(g.to, b.chunk * mr);
  const sumsBytes = points * rowsInChunk * nr * 4;
  const tail = g.to % mr;
  const halfLast = t.tiles - (b.panels - 1) * nr <= nr / 2;
  const operands = task.epilogue?.operands ?? [];
  const id = exactly([g, phase, t.h.n, t.w.n, caps]);
  const name = `winograd_${id}${epilogueName(task.epilogue)}`;
  const records = b.perGroup * nr * RECORD.bytes;
  const patch = 4 * t.h.m * patchWidth(t);
  return {
    name,
    items: g.groups * b.groups * b.parts,
    threadScratch: records + patch + scratchBytes(t) + b.perGroup * (panelBytes + sumsBytes),
    reads: [source, packed, inputAt(1), ...operandsAt(task.epilogue)],
    writes: [outputAt(0)],
    emit(m, f, at, { lo, hi, threadScratch }) {
      const [sourceAt, weights, given, ...pointers] = at.slice(0, -1);
      const y = at.at(-1)!;
      const [item, part, group, problem, tile, record, panels, panel, q, v] = f.ints(
        "item",
        "part",
        "group",
        "problem",
        "tile",
        "record",
        "panels",
        "panel",
        "q",
        "v",
      );
      const [block, end, chunkEnd, rows, a, sums, point] = f.ints(
        "block",
        "end",
        "chunkEnd",
        "rows",
        "a",
        "sums",
        "point",
      );
      const s = f.local("i32", "s");
      const [first, last, c] = f.ints("first", "last", "c");
      const patchAt = f.let("i32", "patch", i32.add(threadScratch, records));
      const scratchAt = f.let("i32", "scratch", i32.add(patchAt, patch));
      const panelsAt = f.let("i32", "panelsAt", i32.add(scratchAt, scratchBytes(t)));
      const sumsAt = f.let("i32", "sumsAt", i32.add(panelsAt, b.perGroup * panelBytes));
      const intoTile = m.func(`winogradIn_${id}`, ["record", "source", "v", "scratch"], (p) =>
        emitInput(p, t, caps, nr, strides, plane),
      );
      const fromTile = m.func(
        `${name}_out`,
        [
          "record",
          "m_",
          "rows",
          "y",
          "patch",
          "scratch",
          "source",
          "weights",
          ...operands.map((o) => o.name),
        ],
        (p) => emitOutput(p, t, task, caps, plainOf(m, id, t), nr, rowsInChunk, out4, outPlane),
      );
      // Eight tiles at a time, without those that are wholly past the last.
      const eights = (body: (panel: Code, offset: Code) => void) => {
        f.set(record, threadScratch);
        f.for(q, 0, i32.sub(last, first), 8, () => {
          body(i32.div(q, nr), i32.mul(i32.rem(q, nr), 4));
          f.bump(record, 8 * RECORD.bytes);
        });
      };
      f.for(item, lo, hi, 1, () => {
        f.set(part, i32.rem(item, b.parts));
        f.set(group, i32.div(item, b.parts));
        f.set(problem, i32.div(group, b.groups));
        f.set(group, i32.rem(group, b.groups));
        f.set(panels, i32.sub(b.panels, i32.mul(group, b.perGroup)));
        f.set(panels, i32.min(panels, b.perGroup));
        f.set(record, threadScratch);
        f.set(first, i32.mul(group, b.perGroup * nr));
        f.set(last, i32.add(first, i32.mul(panels, nr)));
        f.set(last, i32.min(last, Math.ceil(t.tiles / 8) * 8));
        f.for(tile, first, last, 1, () => {
          f.set(c, i32.select(i32.lt(tile, t.tiles), tile, t.tiles - 1));
          emitRecord(f, t, c, record, strides, plane, out4, outPlane);
          // Tiles past the last one are computed and not stored.
          f.if(i32.lt(t.tiles - 1, tile), () => f.storeI32(record, 0, RECORD.h));
          f.bump(record, RECORD.bytes);
        });
        f.set(c, i32.add(sourceAt, i32.mul(problem, g.from * plane * 4)));
        eights((panel, offset) =>
          f.call(
            intoTile,
            record,
            c,
            i32.add(i32.add(panelsAt, i32.mul(panel, panelBytes)), offset),
            scratchAt,
          ),
        );

        f.set(block, i32.mul(part, b.partBlocks));
        f.set(end, i32.add(block, b.partBlocks));
        f.set(end, i32.min(end, Math.ceil(g.to / mr)));
        f.for(block, block, end, b.chunk, () => {
          f.set(chunkEnd, i32.add(block, b.chunk));
          f.set(chunkEnd, i32.min(chunkEnd, end));
          f.set(rows, i32.mul(i32.sub(chunkEnd, block), mr));
          const inner = f.local("i32", "inner");
          f.for(point, 0, points, 1, () => {
            f.set(
              a,
              i32.add(weights, i32.mul(i32.add(i32.mul(problem, points), point), g.to * depth * 4)),
            );
            f.bump(a, i32.mul(block, mr * depth * 4));
            f.set(sums, i32.add(sumsAt, i32.mul(point, rowsInChunk * nr * 4)));
            f.for(inner, block, chunkEnd as Operand, 1, () => {
              const product = (count: number) => {
                f.set(v, i32.add(panelsAt, i32.mul(point, depth * nr * 4)));
                f.set(s, sums);
                f.for(panel, 0, panels as Operand, 1, () => {
                  const sum = (vectors: number) => () =>
                    f.call(sumsTile(m, caps, count, vectors), a, v, depth, s, 0);
                  if (halfLast)
                    f.if(
                      i32.eq(i32.add(i32.mul(group, b.perGroup), panel), b.panels - 1),
                      sum(nr / 8),
                      sum(nr / 4),
                    );
                  else sum(nr / 4)();
                  f.bump(v, panelBytes);
                  f.bump(s, sumsBytes);
                });
              };
              partAt(f, inner, g.to, mr, product);
              f.bump(a, mr * depth * 4);
              f.bump(sums, mr * nr * 4);
            });
          });
          if (tail) f.if(i32.eq(chunkEnd, Math.ceil(g.to / mr)), () => f.bump(rows, tail - mr));
          const top = f.let("i32", "top", i32.add(i32.mul(problem, g.to), i32.mul(block, mr)));
          eights((panel, offset) =>
            f.call(
              fromTile,
              record,
              i32.add(i32.add(sumsAt, i32.mul(panel, sumsBytes)), offset),
              rows,
              i32.add(y, i32.mul(top, outPlane * 4)),
              patchAt,
              scratchAt,
              c,
              i32.add(
                given,
                i32.add(
                  i32.mul(problem, g.to * g.from * sizeOf(g.kernel) * 4),
                  i32.mul(block, mr * g.wTo * 4),
                ),
              ),
              ...pointers.map((p, i) =>
                i32.add(p, i32.mul(top, operands[i].along === "channel" ? 4 : outPlane * 4)),
              ),
            ),
          );
        });
      });
    },
  };
}
