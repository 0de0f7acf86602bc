// Winograd's short convolutions, in one or two dimensions: convolution of any rank with small
// kernels, dilation and groups, and its gradient to the input where its phases are such
// convolutions. Tiles of the source are transformed, multiplied point by point as matrix products
// over channels, and transformed back:
//   y[oc, tile] = Aᵀ[ Σ over c of (G·w[oc, c]·Gᵀ) ⊙ (Bᵀ·x[c, tile]·B) ]A
// A vector holds the same point of four tiles. Tiles may be anywhere: each has an address.

import { gatherOf, readLayout, ROUNDOFF, tilings, type Tiling } from "@conv/compiler";
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
import { i32, type Code, type Local } from "../../wasm/asm.ts";
import type { Func, Module } from "../../wasm/module.ts";
import { fitted, gemmWork, paddedElements } from "../fitted.ts";
import { columnsPerTile, rowsPerTile } from "../gemm/blocking.ts";
import { epilogueName, sumsTile } from "../gemm/tile.ts";
import { paddedInput } from "../move/pad.ts";
import { partAt } from "../move/walk.ts";
import { emitOutput, OUTPUT } from "./output.ts";
import { plainTiles } from "./repair.ts";
import { emitRecord, RECORD, stepsOf } from "./tiles.ts";
import { emitInput, INPUT, patchWidth, scratchBytes } from "./transforms.ts";
import { weightStage } from "./weights.ts";

/** Bytes of transformed tiles, and of products, that fit the second-level cache of a thread. */
const SOURCE_BYTES = 1024 * 1024;
const PRODUCT_BYTES = 256 * 1024;
/** Bytes that the transformed weights of a convolution may take. */
const MOST_BYTES = 2 ** 28;

const packedBytes = (all: readonly Tiling[]): number =>
  all.reduce((sum, { g, depth, points }) => sum + g.groups * g.to * depth * points * 4, 0);

/**
 * How the work is divided: panels of tiles that share each pass over the weights, and chunks of
 * rows whose products are computed before they are transformed.
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
 * The family F(points − taps + 1, taps) along `dims` axes. The bound of the error is |Δy| ≤ factor
 * · 2⁻²³ · Σ |x|*·|w|, where |x|* is the largest |x| of the channel's plane; only values in the
 * same tile contribute to the error.
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
    persistentBytes: (task) =>
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
        // Points of the source, loaded from four places; points of the products, and their
        // outputs.
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

/** The function that computes the tiles of four records by the definition, into a patch. */
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

const VARIABLES = [
  ...["item", "part", "group", "problem", "tile", "record", "panels", "panel", "q", "v"],
  ...["block", "end", "chunkEnd", "rows", "a", "sums", "point", "s", "first", "last", "c"],
] as const;

/** The product of a tiling, with what its code needs to know. */
function productOf(t: Tiling, { epilogue }: Task, caps: Caps) {
  const { g, phase, points, depth } = t;
  const b = blocking(t, caps);
  const id = exactly([g, phase, t.h.n, t.w.n, caps]);
  const rowsInChunk = Math.min(g.to, b.chunk * b.mr);
  return {
    ...{ t, b, caps, epilogue, id },
    name: `winograd_${id}${epilogueName(epilogue)}`,
    plane: readLayout(g).plane,
    out4: stridesOf(g.output).map((s) => s * 4),
    outPlane: sizeOf(g.output),
    /** Whether the last panel has tiles in its first half only. */
    halfLast: t.tiles - (b.panels - 1) * b.nr <= b.nr / 2,
    /** A panel: [point][depth][tile]; its sums: [point][row][tile]. */
    bytes: {
      records: b.perGroup * b.nr * RECORD.bytes,
      patch: 4 * t.h.m * patchWidth(t),
      scratch: scratchBytes(t),
      panel: points * depth * b.nr * 4,
      point: rowsInChunk * b.nr * 4,
      sums: points * rowsInChunk * b.nr * 4,
    },
  };
}

/** A product with what its loops share. */
interface Loops extends ReturnType<typeof productOf> {
  readonly m: Module;
  readonly f: Func;
  /** Addresses: the source, transformed weights, weights, operands of the epilogue, the output. */
  readonly source: Local;
  readonly weights: Local;
  readonly given: Local;
  readonly pointers: readonly Local[];
  readonly y: Local;
  /** Addresses in the memory of the thread. */
  readonly records: Local;
  readonly patchAt: Local;
  readonly scratchAt: Local;
  readonly panelsAt: Local;
  readonly sumsAt: Local;
  readonly v: Readonly<Record<(typeof VARIABLES)[number], Local>>;
}

function productStage(t: Tiling, task: Task, caps: Caps, source: Place, packed: Place): Stage {
  const k = productOf(t, task, caps);
  const { b, bytes } = k;
  return {
    name: k.name,
    items: t.g.groups * b.groups * b.parts,
    threadScratch:
      bytes.records + bytes.patch + bytes.scratch + b.perGroup * (bytes.panel + bytes.sums),
    reads: [source, packed, inputAt(1), ...operandsAt(task.epilogue)],
    writes: [outputAt(0)],
    emit(m, f, at, { lo, hi, threadScratch: records }) {
      const [source, weights, given, ...pointers] = at.slice(0, -1);
      const y = at.at(-1)!;
      const v = f.vars(...VARIABLES);
      const patchAt = f.let("i32", "patch", i32.add(records, bytes.records));
      const scratchAt = f.let("i32", "scratch", i32.add(patchAt, bytes.patch));
      const panelsAt = f.let("i32", "panelsAt", i32.add(scratchAt, bytes.scratch));
      const sumsAt = f.let("i32", "sumsAt", i32.add(panelsAt, b.perGroup * bytes.panel));
      const intoTile = m.func(`winogradIn_${k.id}`, INPUT, (p) => emitInput(p, t, caps, b.nr));
      const fromTile = outputFunc(m, k);
      const addresses = { source, weights, given, pointers, y, records };
      const loops: Loops = {
        ...{ ...k, ...addresses, m, f, patchAt, scratchAt, panelsAt, sumsAt, v },
      };
      f.for(v.item, lo, hi, 1, () => {
        emitTiles(loops, intoTile);
        const blocks = Math.ceil(t.g.to / b.mr);
        f.set(v.block, i32.mul(v.part, b.partBlocks));
        f.set(v.end, i32.add(v.block, b.partBlocks));
        f.set(v.end, i32.min(v.end, blocks));
        f.for(v.block, v.block, v.end, b.chunk, () => {
          f.set(v.chunkEnd, i32.add(v.block, b.chunk));
          f.set(v.chunkEnd, i32.min(v.chunkEnd, v.end));
          f.set(v.rows, i32.mul(i32.sub(v.chunkEnd, v.block), b.mr));
          emitProducts(loops);
          const tail = t.g.to % b.mr;
          if (tail) f.if(i32.eq(v.chunkEnd, blocks), () => f.bump(v.rows, tail - b.mr));
          emitOutputs(loops, fromTile);
        });
      });
    },
  };
}

/** The function that computes the outputs of eight tiles. */
const outputFunc = (m: Module, k: ReturnType<typeof productOf>): Func =>
  m.func(`${k.name}_out`, [...OUTPUT, ...(k.epilogue?.operands ?? []).map((o) => o.name)], (p) =>
    emitOutput(p, {
      ...k,
      nr: k.b.nr,
      pointBytes: k.bytes.point,
      plain: plainOf(m, k.id, k.t),
    }),
  );

/** Emits `body` for eight tiles at a time, without those that are all past the last tile. */
function eachEight({ f, b, records, v }: Loops, body: (panel: Code, offset: Code) => void): void {
  f.set(v.record, records);
  f.for(v.q, 0, i32.sub(v.last, v.first), 8, () => {
    body(i32.div(v.q, b.nr), i32.mul(i32.rem(v.q, b.nr), 4));
    f.bump(v.record, 8 * RECORD.bytes);
  });
}

/** Emits the records of the tiles of a piece of work, and their transforms Bᵀ·x·B. */
function emitTiles(loops: Loops, intoTile: Func): void {
  const { f, t, b, plane, out4, outPlane, bytes, source, records, panelsAt, scratchAt, v } = loops;
  f.set(v.part, i32.rem(v.item, b.parts));
  f.set(v.group, i32.div(v.item, b.parts));
  f.set(v.problem, i32.div(v.group, b.groups));
  f.set(v.group, i32.rem(v.group, b.groups));
  f.set(v.panels, i32.sub(b.panels, i32.mul(v.group, b.perGroup)));
  f.set(v.panels, i32.min(v.panels, b.perGroup));
  f.set(v.record, records);
  f.set(v.first, i32.mul(v.group, b.perGroup * b.nr));
  f.set(v.last, i32.add(v.first, i32.mul(v.panels, b.nr)));
  f.set(v.last, i32.min(v.last, Math.ceil(t.tiles / 8) * 8));
  f.for(v.tile, v.first, v.last, 1, () => {
    f.set(v.c, i32.select(i32.lt(v.tile, t.tiles), v.tile, t.tiles - 1));
    emitRecord(f, t, v.c, v.record, readLayout(t.g).strides, plane, out4, outPlane);
    // Tiles past the last one are computed, but not stored.
    f.if(i32.lt(t.tiles - 1, v.tile), () => f.storeI32(v.record, 0, RECORD.h));
    f.bump(v.record, RECORD.bytes);
  });
  f.set(v.c, i32.add(source, i32.mul(v.problem, t.g.from * plane * 4)));
  eachEight(loops, (panel, offset) =>
    f.callNamed(intoTile, {
      record: v.record,
      source: v.c,
      v: i32.add(i32.add(panelsAt, i32.mul(panel, bytes.panel)), offset),
      scratch: scratchAt,
    }),
  );
}

/** Emits the products of a chunk of rows: at each point, weights times tiles, summed over depth. */
function emitProducts({
  m,
  f,
  t,
  b,
  caps,
  halfLast,
  bytes,
  weights,
  panelsAt,
  sumsAt,
  v,
}: Loops): void {
  const { g, points, depth } = t;
  const { nr, mr } = b;
  const inner = f.local("i32", "inner");
  const product = (count: number) => {
    f.set(v.v, i32.add(panelsAt, i32.mul(v.point, depth * nr * 4)));
    f.set(v.s, v.sums);
    f.for(v.panel, 0, v.panels, 1, () => {
      const sum = (vectors: number) => () => {
        const args = { a: v.a, b: v.v, k: depth, into: v.s, more: 0 };
        f.callNamed(sumsTile(m, caps, count, vectors), args);
      };
      if (halfLast)
        f.if(
          i32.eq(i32.add(i32.mul(v.group, b.perGroup), v.panel), b.panels - 1),
          sum(nr / 8),
          sum(nr / 4),
        );
      else sum(nr / 4)();
      f.bump(v.v, bytes.panel);
      f.bump(v.s, bytes.sums);
    });
  };
  f.for(v.point, 0, points, 1, () => {
    f.set(
      v.a,
      i32.add(weights, i32.mul(i32.add(i32.mul(v.problem, points), v.point), g.to * depth * 4)),
    );
    f.bump(v.a, i32.mul(v.block, mr * depth * 4));
    f.set(v.sums, i32.add(sumsAt, i32.mul(v.point, bytes.point)));
    f.for(inner, v.block, v.chunkEnd, 1, () => {
      partAt(f, inner, g.to, mr, product);
      f.bump(v.a, mr * depth * 4);
      f.bump(v.sums, mr * nr * 4);
    });
  });
}

/** Emits the outputs of a chunk of rows, Aᵀ·M·A of its products M, and their stores. */
function emitOutputs(loops: Loops, fromTile: Func): void {
  const { f, t, b, epilogue, outPlane, bytes, y, given, pointers, v } = loops;
  const { patchAt, scratchAt, sumsAt } = loops;
  const { g } = t;
  const top = f.let("i32", "top", i32.add(i32.mul(v.problem, g.to), i32.mul(v.block, b.mr)));
  eachEight(loops, (panel, offset) =>
    f.callNamed(
      fromTile,
      {
        record: v.record,
        m: i32.add(i32.add(sumsAt, i32.mul(panel, bytes.sums)), offset),
        rows: v.rows,
        y: i32.add(y, i32.mul(top, outPlane * 4)),
        patch: patchAt,
        scratch: scratchAt,
        source: v.c,
        weights: i32.add(
          given,
          i32.add(
            i32.mul(v.problem, g.to * g.from * sizeOf(g.kernel) * 4),
            i32.mul(v.block, b.mr * g.wTo * 4),
          ),
        ),
      },
      ...pointers.map((p, i) =>
        i32.add(p, i32.mul(top, epilogue!.operands[i].along === "channel" ? 4 : outPlane * 4)),
      ),
    ),
  );
}
