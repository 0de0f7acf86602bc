// Convolution by Fourier transforms over several source channels: one stage for the transforms of
// the source, one for a matrix product at each frequency, one for the inverse transforms.

import { readLayout } from "@conv/compiler";
import { sizeOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import {
  inputAt,
  operandsAt,
  outputAt,
  type Place,
  type Stage,
  type Task,
} from "../../compile/code.ts";
import { f32x4, i32, v128, type Local } from "../../wasm/asm.ts";
import type { Func } from "../../wasm/module.ts";
import { columnsPerTile, rowsPerTile } from "../gemm/blocking.ts";
import { epilogueName, sumsTile } from "../gemm/tile.ts";
import { RECORD } from "../winograd/tiles.ts";
import type { Complex } from "./lines.ts";
import {
  emitRecords,
  firstTap,
  fromFrequencies,
  nameOf,
  pointersTo,
  toFrequencies,
  type FftTiling,
} from "./tiles.ts";
import { eachCell, frequencies, tileBytes } from "./transforms.ts";

/**
 * Where the numbers of four tiles and a channel are among
 * [group][frequency][panel][parts][channel][columns of a panel].
 */
function placeOf({ g, tiles }: FftTiling, caps: Caps, channels: number, parts: number) {
  const nr = columnsPerTile(caps);
  const panels = Math.ceil(tiles / nr);
  const [part, panel] = [channels * nr * 4, parts * channels * nr * 4];
  const frequency = panels * panel;
  const address = (
    f: Func,
    base: Local,
    count: number,
    group: Local,
    quad: Local,
    channel: Local,
  ) =>
    f.let(
      "i32",
      "place",
      i32.add(
        i32.add(base, i32.add(i32.mul(group, count * frequency), i32.mul(channel, nr * 4))),
        i32.add(i32.mul(i32.div(quad, nr / 4), panel), i32.mul(i32.rem(quad, nr / 4), 16)),
      ),
    );
  return { nr, panels, part, panel, frequency, address, groups: g.groups };
}

/**
 * Emits pieces of work of four tiles and a channel each. Records are written when the tiles change.
 */
function eachPiece(
  f: Func,
  t: FftTiling,
  channels: number,
  { lo, hi, threadScratch: own }: { lo: Local; hi: Local; threadScratch: Local },
  body: (group: Local, quad: Local, channel: Local) => void,
): void {
  const [item, channel, quad, group, tile] = f.ints("item", "channel", "quad", "group", "tile");
  const known = f.let("i32", "known", -1);
  const quads = Math.ceil(t.tiles / 4);
  f.for(item, lo, hi, 1, () => {
    f.set(channel, i32.rem(item, channels));
    f.set(quad, i32.div(item, channels));
    f.set(group, i32.div(quad, quads));
    f.set(quad, i32.rem(quad, quads));
    f.if(i32.ne(quad, known), () => {
      f.set(known, quad);
      f.set(tile, i32.mul(quad, 4));
      emitRecords(f, t, tile, null, own);
    });
    body(group, quad, channel);
  });
}

/**
 * The stage that transforms the source: im, re and −im of every number are stored, so that both
 * parts of a product are one sum over neighbors.
 */
export function sourceStage(t: FftTiling, caps: Caps, source: Place, into: Place): Stage {
  const { g, size, tiles } = t;
  const { strides, plane } = readLayout(g);
  return {
    name: nameOf("fftSource", t, caps),
    items: g.groups * Math.ceil(tiles / 4) * g.from,
    reads: [source],
    writes: [into],
    threadScratch: 4 * RECORD.bytes + tileBytes(size),
    emit(m, f, [from, to], range) {
      const memory = f.let("i32", "memory", i32.add(range.threadScratch, 4 * RECORD.bytes));
      const { part, frequency, address } = placeOf(t, caps, g.from, 3);
      eachPiece(f, t, g.from, range, (group, quad, channel) => {
        const base = i32.add(from, i32.mul(i32.add(i32.mul(group, g.from), channel), plane * 4));
        toFrequencies(m, f, t, caps, memory, pointersTo(f, range.threadScratch, base), strides);
        const d = address(f, to, frequencies(size), group, quad, channel);
        eachCell(f, memory, size, "forth", (n, _, numbers) => {
          numbers.forEach(([re, im], i) => {
            f.store(d, im ?? 0, i * frequency);
            f.store(d, re, i * frequency + part);
            f.store(d, im ? f32x4.neg(im) : 0, i * frequency + 2 * part);
          });
          f.bump(d, n * frequency);
          return [];
        });
      });
    },
  };
}

/** The products of one frequency: re = wr·xr + wi·(−xi), im = wr·xi + wi·xr. */
export function productStage(
  t: FftTiling,
  caps: Caps,
  weights: Place,
  spectrum: Place,
  sums: Place,
): Stage {
  const { g, size, tiles } = t;
  const [from, to] = [placeOf(t, caps, g.from, 3), placeOf(t, caps, g.to, 2)];
  const { nr, panels } = from;
  const mr = rowsPerTile(g.to);
  const depth = 2 * g.from;
  const vectorsLast = Math.ceil((tiles - (panels - 1) * nr) / 4);
  return {
    name: nameOf("fftProducts", t, caps),
    items: g.groups * frequencies(size),
    reads: [weights, spectrum],
    writes: [sums],
    emit(m, f, [w, x, s], { lo, hi }) {
      const [item, row, panel, a, b, d] = f.ints("item", "row", "panel", "a", "b", "d");
      f.for(item, lo, hi, 1, () => {
        f.set(a, i32.add(w, i32.mul(item, g.to * depth * 4)));
        const block = (rows: number) => {
          f.set(b, i32.add(x, i32.mul(item, from.frequency)));
          f.set(d, i32.add(s, i32.add(i32.mul(item, to.frequency), i32.mul(row, nr * 4))));
          const both = (vectors: number) => {
            const sum = sumsTile(m, caps, rows, vectors);
            f.call(sum, a, i32.add(b, from.part), depth, d, 0);
            f.call(sum, a, b, depth, i32.add(d, to.part), 0);
            f.bump(b, from.panel);
            f.bump(d, to.panel);
          };
          f.for(panel, 0, panels - 1, 1, () => both(nr / 4));
          both(vectorsLast);
          f.bump(a, rows * depth * 4);
        };
        f.for(row, 0, g.to - (g.to % mr), mr, () => block(mr));
        if (g.to % mr) {
          f.set(row, g.to - (g.to % mr));
          block(g.to % mr);
        }
      });
    },
  };
}

export function outputStage(
  t: FftTiling,
  task: Task,
  caps: Caps,
  sums: Place,
  source: Place,
): Stage {
  const { g, size, tiles } = t;
  const operands = task.epilogue?.operands ?? [];
  const outPlane = sizeOf(g.output) * 4;
  return {
    name: `${nameOf("fftOutput", t, caps)}${epilogueName(task.epilogue)}`,
    items: g.groups * Math.ceil(tiles / 4) * g.to,
    reads: [sums, source, inputAt(1), ...operandsAt(task.epilogue)],
    writes: [outputAt(0)],
    threadScratch: 4 * RECORD.bytes + tileBytes(size),
    emit(m, f, at, range) {
      const [s, from, given, ...rest] = at.slice(0, -1);
      const memory = f.let("i32", "memory", i32.add(range.threadScratch, 4 * RECORD.bytes));
      const { part, frequency, address } = placeOf(t, caps, g.to, 2);
      const [y, ...pointers] = ["y_", ...operands.map((o) => `${o.name}_`)].map((name) =>
        f.local("i32", name),
      );
      eachPiece(f, t, g.to, range, (group, quad, channel) => {
        const d = address(f, s, frequencies(size), group, quad, channel);
        eachCell(f, memory, size, "back", (n) => {
          const numbers = Array.from({ length: n }, (_, i): Complex => {
            const [re, im] = [0, part].map((o) =>
              f.let("v128", "n", v128.load(d, i * frequency + o)),
            );
            return [re, im];
          });
          f.bump(d, n * frequency);
          return numbers;
        });
        const row = i32.add(i32.mul(group, g.to), channel);
        f.set(y, i32.add(at.at(-1)!, i32.mul(row, outPlane)));
        rest.forEach((p, i) =>
          f.set(
            pointers[i],
            i32.add(p, i32.mul(row, operands[i].along === "channel" ? 4 : outPlane)),
          ),
        );
        fromFrequencies(m, f, t, task, caps, {
          tile: memory,
          record: range.threadScratch,
          y,
          pointers,
          source: i32.add(from, i32.mul(group, g.from * readLayout(g).plane * 4)),
          weights: i32.add(
            i32.add(given, firstTap(t) * 4),
            i32.add(
              i32.mul(group, g.to * g.from * sizeOf(g.kernel) * 4),
              i32.mul(channel, g.wTo * 4),
            ),
          ),
        });
      });
    },
  };
}
