// The gradient of a convolution to its weight by the same short convolutions: of each pair of
// tiles, r taps of an "output" m long.
//   dw[oc, c] = Aᵀ[ Σ over tiles of (G·dy[oc, tile]·Gᵀ) ⊙ (Bᵀ·x[c, tile]·B) ]A, with F(r, m) instead of F(m, r)
// Each piece of work makes a block of dw from all tiles; its sums stay in the second-level cache
// while tiles pass by.

import {
  gradWeightTiling,
  readLayout,
  ROUNDOFF,
  shortConvolution,
  type TileAxis,
  type Tiling,
} from "@conv/compiler";
import { convGradWeightOp, type ConvGeometry } from "@conv/ops";
import { exactly, sizeOf, stridesOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import {
  draft,
  inputAt,
  operandsAt,
  outputAt,
  type CpuKernel,
  type Stage,
  type Task,
} from "../../compile/code.ts";
import { f32x4, i32, v128, type Local, type Operand } from "../../wasm/asm.ts";
import type { Func } from "../../wasm/module.ts";
import { emitExpr } from "../elementwise/expr.ts";
import { fitted, LEAST_ROWS, paddedElements } from "../fitted.ts";
import { columnsPerTile, rowsPerTile } from "../gemm/blocking.ts";
import { epilogueName, sumsTile } from "../gemm/tile.ts";
import { paddedInput, paddedSource } from "../move/pad.ts";
import { plainGradWeight } from "./repair.ts";
import { emitRecord, RECORD, stepsOf, sumsOf } from "./tiles.ts";
import { combine } from "./toomCook.ts";
import { scratchBytes, transform, type TileSource } from "./transforms.ts";

/** Bytes of sums, and of transformed tiles, that a thread keeps. */
const SUM_BYTES = 768 * 1024;
const TILE_BYTES = 384 * 1024;

const tilingOf = (task: Task, points: number, dims: number): Tiling | string =>
  gradWeightTiling(task.params as ConvGeometry, points, dims);

/** How dw is cut into pieces, and tiles into passes. */
function blocking({ g, axes, points, tiles }: Tiling, caps: Caps) {
  const nr = columnsPerTile(caps);
  const mr = rowsPerTile(g.to);
  const up = (n: number, unit: number) => Math.ceil(n / unit) * unit;
  const side = Math.sqrt(SUM_BYTES / (points * 4));
  const columns = Math.min(up(g.from, nr), Math.max(nr, Math.floor(side / nr) * nr));
  const columnGroups = Math.ceil(g.from / columns);
  const taps = sizeOf(axes.map((x) => x.plain.length));
  const most = Math.max(mr, Math.floor(SUM_BYTES / (points * 4 * columns) / mr) * mr);
  const wanted = Math.ceil(caps.threads / (g.groups * taps * columnGroups));
  const rowGroups = Math.max(Math.ceil(g.to / most), Math.min(wanted, Math.ceil(g.to / mr)));
  const rows = up(Math.ceil(g.to / rowGroups), mr);
  const pass = Math.min(
    tiles,
    Math.max(8, Math.floor(TILE_BYTES / (points * 4 * (rows + columns)))),
  );
  return { nr, mr, columns, columnGroups, rows, rowGroups: Math.ceil(g.to / rows), taps, pass };
}

const winogradGradWeight = (points: 4 | 6 | 8, dims: 1 | 2): CpuKernel =>
  fitted({
    name: `winogradGradWeight${dims}d${points}`,
    fuses: ["element"],
    roundoff: ROUNDOFF[points],
    ops: [convGradWeightOp],
    unsupportedReason(task) {
      const t = tilingOf(task, points, dims);
      return typeof t === "string" ? t : null;
    },
    work(task, caps) {
      const t = tilingOf(task, points, dims) as Tiling;
      const { g, tiles } = t;
      const b = blocking(t, caps);
      const problems = g.groups * b.taps;
      const blocks = problems * t.points * b.columnGroups * b.rowGroups * (b.rows / b.mr);
      return {
        products: blocks * Math.max(LEAST_ROWS, b.mr) * b.columns * tiles,
        steps: blocks * (b.columns / b.nr) * tiles,
        moved: paddedElements(g) + g.n * g.groups * g.to * sizeOf(g.output),
        // Tiles of x, once for each group of rows; of dy, once for each group of columns, stored in
        // single elements; of dw, once.
        gathered: problems * t.points * tiles * b.rowGroups * g.from,
        transformed: problems * t.points * tiles * b.columnGroups * g.to,
        streamed: 4 * blocks * b.mr * b.columns * Math.ceil(tiles / b.pass),
        tiles: problems * g.from * g.to,
      };
    },
    build(task, caps) {
      const t = tilingOf(task, points, dims) as Tiling;
      const { g } = t;
      const code = draft();
      const x = paddedInput(g, 1, code);
      // dy has zeros where tiles reach past the last output.
      const reach = t.axes.map((a, i) =>
        Math.max(g.output[i], a.n > 1 ? a.spacing * a.m * Math.ceil(a.tiles / a.spacing) : 0),
      );
      const box = {
        planes: g.n * g.groups * g.to,
        source: g.output,
        lo: g.output.map(() => 0),
        padded: reach,
      };
      const dy = paddedSource(box, inputAt(0), code);
      code.stages.push(blockStage(t, reach, task, caps, [dy, x]));
      return code;
    },
  });

export const winogradGradWeight2d4: CpuKernel = /* @__PURE__ */ winogradGradWeight(4, 2);
export const winogradGradWeight2d6: CpuKernel = /* @__PURE__ */ winogradGradWeight(6, 2);
export const winogradGradWeight2d8: CpuKernel = /* @__PURE__ */ winogradGradWeight(8, 2);
export const winogradGradWeight1d6: CpuKernel = /* @__PURE__ */ winogradGradWeight(6, 1);
export const winogradGradWeight1d8: CpuKernel = /* @__PURE__ */ winogradGradWeight(8, 1);

function blockStage(
  t: Tiling,
  reach: readonly number[],
  task: Task,
  caps: Caps,
  reads: Stage["reads"],
): Stage {
  const { g, axes, h, w, points, tiles } = t;
  const b = blocking(t, caps);
  const { nr, mr, pass } = b;
  const rank = axes.length;
  const { strides, plane } = readLayout(g);
  const dyStrides = stridesOf(reach);
  const dyPlane = sizeOf(reach);
  const taps = sizeOf(g.kernel);
  const kernelStrides = stridesOf(g.kernel);
  const operands = task.epilogue?.operands ?? [];
  const id = exactly([g, reach, h.n, w.n, caps]);
  const name = `winogradGradWeight_${id}${epilogueName(task.epilogue)}`;
  // [point][block or panel][tile of the pass][row or column], and
  // [point][block][panel][row][column] of sums
  const [blocks, panels] = [b.rows / mr, b.columns / nr];
  const bytes = {
    records: pass * RECORD.bytes,
    x: points * b.columns * pass * 4,
    dy: points * b.rows * pass * 4,
    sums: points * b.rows * b.columns * 4,
  };
  const along = (x: TileAxis) => shortConvolution(x.n - x.m + 1, x.m);
  const [shortH, shortW] = [along(h), along(w)];
  const rowNames = Array.from({ length: 8 }, (_, l) => `v${l}`);
  // Where each plain tap is, in x and in dw.
  const plainX = sumsOf(axes.map((x, a) => x.plain.map((p) => p * strides[a])));
  const plainW = sumsOf(
    axes.map((x, a) => (x.n > 1 ? [0] : x.taps.map(([k]) => k * kernelStrides[a]))),
  );
  return {
    name,
    items: g.groups * b.taps * b.rowGroups * b.columnGroups,
    threadScratch: bytes.records + bytes.x + bytes.dy + bytes.sums + scratchBytes(t),
    reads: [...reads, ...operandsAt(task.epilogue)],
    writes: [outputAt(0)],
    emit(m, f, at, { lo, hi, threadScratch }) {
      const [dy, x, ...pointers] = at.slice(0, -1);
      const dw = at.at(-1)!;
      const xAt = f.let("i32", "xAt", i32.add(threadScratch, bytes.records));
      const dyAt = f.let("i32", "dyAt", i32.add(xAt, bytes.x));
      const sumsAt = f.let("i32", "sumsAt", i32.add(dyAt, bytes.dy));
      const scratchAt = f.let("i32", "scratch", i32.add(sumsAt, bytes.sums));
      const [item, rest, row0, rows, column0, columns, tap, problem] = f.ints(
        "item",
        "rest",
        "row0",
        "rows",
        "column0",
        "columns",
        "tap",
        "problem",
      );
      const [first, count, tile, record, i, point, block, panel, a, v, s, from] = f.ints(
        "first",
        "count",
        "tile",
        "record",
        "i",
        "point",
        "block",
        "panel",
        "a",
        "v",
        "s",
        "from",
      );

      // Eight channels of each tile of the pass: x to [point][panel][tile][column], dy to
      // [point][block][tile][row].
      const eachTile = (
        p: Func,
        {
          field,
          record,
          count,
          base,
          last,
          channelBytes,
        }: {
          field: number;
          record: Local;
          count: Local;
          base: Local;
          last: Local;
          channelBytes: number;
        },
        body: (pointers: TileSource["pointers"]) => void,
      ) => {
        const channels = Array.from({ length: 8 }, (_, l) =>
          p.let(
            "i32",
            `c${l}`,
            i32.add(base, i32.mul(i32.select(i32.lt(last, l), last, l), channelBytes)),
          ),
        );
        const pointers = [0, 1, 2, 3].map((l) => p.local("i32", `p${l}`));
        const [tile, offset] = p.ints("tile", "offset");
        p.for(tile, 0, count as Operand, 1, () => {
          p.set(offset, i32.load(record, field));
          body((q) => {
            pointers.forEach((d, l) => p.set(d, i32.add(channels[4 * q + l], offset)));
            return pointers;
          });
          p.bump(record, RECORD.bytes);
        });
      };
      /** Moves a pointer on to the plain tap. */
      const bumpTo = (pointer: Local, offsets: readonly number[]) =>
        offsets.forEach(
          (offset, index) => offset && f.if(i32.eq(tap, index), () => f.bump(pointer, offset * 4)),
        );
      const inX = stepsOf(t, g.step, strides);
      const fromX = m.func(
        `winogradGradWeightX_${id}`,
        ["record", "count", "x", "last", "v", "scratch"],
        (p) => {
          const [record, count, base, last, v, scratch] = p.params;
          const pointBytes = b.columns * pass * 4;
          eachTile(
            p,
            { field: RECORD.source, record, count, base, last, channelBytes: plane * 4 },
            (pointers) => {
              transform(
                p,
                caps,
                [shortH.bt, shortW.bt],
                { pointers, first: 0, ...inX },
                scratch,
                (q, i, c) => p.store(v, c, i * w.n * pointBytes + q * 16),
                () => p.bump(v, pointBytes),
              );
              p.bump(v, nr * 4 - w.n * pointBytes);
            },
          );
        },
      );
      const fromDy = m.func(
        `winogradGradWeightDy_${id}`,
        ["record", "count", "dy", "last", "scratch", ...rowNames],
        (p) => {
          const [record, count, base, last, scratch, ...into] = p.params;
          const pointBytes = b.rows * pass * 4;
          eachTile(
            p,
            { field: RECORD.target, record, count, base, last, channelBytes: dyPlane * 4 },
            (pointers) => {
              transform(
                p,
                caps,
                [shortH.g, shortW.g],
                { pointers, first: 0, ...stepsOf(t, g.outStep, dyStrides) },
                scratch,
                (q, i, c) =>
                  [0, 1, 2, 3].forEach((l) =>
                    p.storeLane(into[4 * q + l], c, l, i * w.n * pointBytes),
                  ),
                () => into.forEach((d) => p.bump(d, pointBytes)),
              );
              for (const d of into) p.bump(d, mr * 4 - w.n * pointBytes);
            },
          );
        },
      );
      const first4 = axes.reduce((sum, x, a) => sum + x.first * strides[a] * 4, 0);
      const plain = plainGradWeight(
        m,
        id,
        [g.n, ...g.output],
        [g.groups * g.to * dyPlane, ...dyStrides],
        [g.groups * g.from * plane, ...strides.map((s, a) => s * g.step[a])],
        plane,
      );
      const intoDw = m.func(
        `${name}_out`,
        ["sums", "lanes", "dw", "dy", "x", ...operands.map((o) => o.name)],
        (p) => {
          const [sums, lanes, dw, dy, x, ...pointers] = p.params;
          const load = (i: number, j: number) =>
            p.let("v128", "s_", v128.load(sums, (i * w.n + j) * b.rows * b.columns * 4));
          const columns = shortW.bt.map((_, j) =>
            combine(
              p,
              caps,
              shortH.at,
              shortH.bt.map((__, i) => load(i, j)),
            ),
          );
          const tapOf = (x: TileAxis, i: number, axis: number) =>
            x.n > 1 ? x.taps[0][i] * kernelStrides[axis] : 0;
          const results = shortH.at.flatMap((_, i) =>
            combine(
              p,
              caps,
              shortW.at,
              columns.map((c) => c[i]),
            ).map(
              (r, j) =>
                [
                  r,
                  (tapOf(h, i, rank - 2) + tapOf(w, j, rank - 1)) * 4,
                  (i * inX.stepH + j * inX.stepW) * 4,
                ] as const,
            ),
          );
          const check = p.let("v128", "check", 0);
          for (const [r] of results) p.set(check, f32x4.add(check, f32x4.mul(r, r)));
          p.if(v128.anyTrue(f32x4.sub(check, check)), () => {
            for (const [r, , offset] of results) {
              p.call(plain, dy, i32.add(x, first4 + offset), sums, lanes);
              p.set(r, v128.load(sums));
            }
          });
          p.block(() => {
            for (let lane = 0; lane < 4; lane++) {
              if (lane) p.brIf(i32.le(lanes, lane), 0);
              for (const [r, offset] of results) {
                const at = lane * taps * 4 + offset;
                const values: Record<string, Operand> = {
                  r: p.let("v128", "r", v128.shuffle(r, r, lane, lane, lane, lane)),
                };
                operands.forEach(
                  (o, i) =>
                    (values[o.name] = p.let("v128", o.name, v128.loadZero32(pointers[i], at))),
                );
                p.storeLane(
                  dw,
                  task.epilogue ? emitExpr(p, caps, task.epilogue.f, values) : values.r,
                  0,
                  at,
                );
              }
            }
          });
        },
      );

      f.for(item, lo, hi, 1, () => {
        f.set(column0, i32.mul(i32.rem(item, b.columnGroups), b.columns));
        f.set(rest, i32.div(item, b.columnGroups));
        f.set(row0, i32.mul(i32.rem(rest, b.rowGroups), b.rows));
        f.set(rest, i32.div(rest, b.rowGroups));
        f.set(tap, i32.rem(rest, b.taps));
        f.set(problem, i32.div(rest, b.taps));
        f.set(columns, i32.sub(g.from, column0));
        f.set(columns, i32.min(columns, b.columns));
        f.set(rows, i32.sub(g.to, row0));
        f.set(rows, i32.min(rows, b.rows));
        f.fill(sumsAt, 0, bytes.sums);
        f.for(first, 0, tiles, pass, () => {
          f.set(count, i32.sub(tiles, first));
          f.set(count, i32.min(count, pass));
          f.set(record, threadScratch);
          f.for(i, 0, count as Operand, 1, () => {
            f.set(tile, i32.add(first, i));
            emitRecord(
              f,
              t,
              tile,
              record,
              strides,
              plane,
              dyStrides.map((d) => d * 4),
              dyPlane,
            );
            f.bump(record, RECORD.bytes);
          });
          f.set(from, i32.add(x, i32.mul(i32.add(i32.mul(problem, g.from), column0), plane * 4)));
          bumpTo(from, plainX);
          f.for(i, 0, columns as Operand, 8, () => {
            f.set(
              v,
              i32.add(
                xAt,
                i32.add(i32.mul(i32.div(i, nr), pass * nr * 4), i32.mul(i32.rem(i, nr), 4)),
              ),
            );
            f.call(
              fromX,
              threadScratch,
              count,
              i32.add(from, i32.mul(i, plane * 4)),
              i32.sub(i32.sub(columns, 1), i),
              v,
              scratchAt,
            );
          });
          f.set(from, i32.add(dy, i32.mul(i32.add(i32.mul(problem, g.to), row0), dyPlane * 4)));
          const target = (l: number) => {
            const row = l
              ? i32.select(i32.lt(i32.add(i, l), rows), i32.add(i, l), i32.sub(rows, 1))
              : i32.add(i, 0);
            return i32.add(
              dyAt,
              i32.add(i32.mul(i32.div(row, mr), pass * mr * 4), i32.mul(i32.rem(row, mr), 4)),
            );
          };
          // Eight rows at a time may end past the last, which is then written again.
          f.for(i, 0, rows as Operand, 8, () => {
            const channel = i32.add(from, i32.mul(i, dyPlane * 4));
            f.call(
              fromDy,
              threadScratch,
              count,
              channel,
              i32.sub(i32.sub(rows, 1), i),
              scratchAt,
              ...rowNames.map((_, l) => target(l)),
            );
          });
          f.for(point, 0, points, 1, () => {
            f.set(a, i32.add(dyAt, i32.mul(point, b.rows * pass * 4)));
            f.set(s, i32.add(sumsAt, i32.mul(point, b.rows * b.columns * 4)));
            f.for(block, 0, blocks, 1, () => {
              f.set(v, i32.add(xAt, i32.mul(point, b.columns * pass * 4)));
              f.for(panel, 0, panels, 1, () => {
                f.call(sumsTile(m, caps, mr), a, v, count, s, 1);
                f.bump(v, pass * nr * 4);
                f.bump(s, mr * nr * 4);
              });
              f.bump(a, pass * mr * 4);
            });
          });
        });
        f.set(
          v,
          i32.mul(
            i32.add(i32.mul(i32.add(i32.mul(problem, g.to), row0), g.from), column0),
            taps * 4,
          ),
        );
        bumpTo(v, plainW);
        const [row, dyRow, xColumn] = f.ints("row", "dyRow", "xColumn");
        f.set(dyRow, i32.add(dy, i32.mul(i32.add(i32.mul(problem, g.to), row0), dyPlane * 4)));
        f.set(xColumn, i32.add(x, i32.mul(i32.add(i32.mul(problem, g.from), column0), plane * 4)));
        bumpTo(xColumn, plainX);
        f.for(row, 0, rows as Operand, 1, () => {
          f.for(i, 0, columns as Operand, 4, () => {
            f.set(s, i32.mul(i32.div(row, mr), b.columns * mr * 4));
            f.bump(
              s,
              i32.add(
                i32.mul(i32.div(i, nr), mr * nr * 4),
                i32.add(i32.mul(i32.rem(row, mr), nr * 4), i32.mul(i32.rem(i, nr), 4)),
              ),
            );
            f.set(from, i32.add(v, i32.mul(i, taps * 4)));
            f.set(rest, i32.sub(columns, i));
            f.set(rest, i32.min(rest, 4));
            const x4 = i32.add(xColumn, i32.mul(i, plane * 4));
            f.call(
              intoDw,
              i32.add(sumsAt, s),
              rest,
              i32.add(dw, from),
              dyRow,
              x4,
              ...pointers.map((p) => i32.add(p, from)),
            );
          });
          f.bump(v, g.from * taps * 4);
          f.bump(dyRow, dyPlane * 4);
        });
      });
    },
  };
}
