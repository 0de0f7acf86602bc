// The tiles of the matrix product: the innermost loop over k, the epilogue and the stores.
//
//            8 columns (two vectors)
//   a: mr  ┌────────┬────────┐      a is packed [block][k][mr], b as panels [tile][k][columns];
//   values │ acc m0 │ acc m0 │      each step of k loads two vectors of b, spreads mr values of a,
//   per k  │  …     │  …     │      and does 2·mr multiply-adds.
//          └────────┴────────┘

import { exactly } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import type { Epilogue } from "../../compile/code.ts";
import { f32x4, get, i32, v128, type Code, type Local, type Operand } from "../../wasm/asm.ts";
import { madd } from "../../wasm/math.ts";
import type { Func, Module } from "../../wasm/module.ts";
import { emitExpr, isTranscendental } from "../elementwise/expr.ts";
import { BLOCK, columnsPerTile, META } from "./blocking.ts";

/** An epilogue's text, for names: equal text, equal code. */
export const epilogueName = (e: Epilogue | null): string => (e ? exactly(e) : "");

const nameOf = (mr: number, columns: number) => `tile${mr}x${columns}`;

const SUMS = ["a", "b", "k", "into", "more"] as const;

/**
 * A function that writes the sums of one tile over `k` steps, [mr][columns] at `into`; if `more`,
 * it adds the sums that are there. With fewer `vectors` it computes only the first columns of each
 * row.
 */
export function sumsTile(
  m: Module,
  caps: Caps,
  mr: number,
  vectors = columnsPerTile(caps) / 4,
): Func {
  const nv = columnsPerTile(caps) / 4;
  return m.func(`${nameOf(mr, vectors * 4)}_sums`, SUMS, (f) => {
    const at = (i: number) => (Math.floor(i / vectors) * nv + (i % vectors)) * 16;
    const { into, ...rest } = f.named(SUMS);
    accumulate(f, caps, { mr, vectors, into, ...rest }, at).forEach((v, i) =>
      f.store(into, v, at(i)),
    );
  });
}

interface Sums extends Readonly<Record<(typeof SUMS)[number], Local>> {
  readonly mr: number;
  readonly vectors: number;
}

/**
 * Emits Σ a[r]·b over k steps, for the first `vectors` vectors of b, and moves a and b past them.
 * Sums of blocks are added at `into`, vector i at `at(i)`; if `more`, the sums that are there are
 * added.
 */
function accumulate(
  f: Func,
  caps: Caps,
  { mr, vectors, a, b, k, into, more }: Sums,
  at: (i: number) => number,
): Local[] {
  const columns = columnsPerTile(caps);
  const acc = Array.from({ length: mr * vectors }, (_, i) =>
    f.let("v128", `acc${Math.floor(i / vectors)}_${i % vectors}`, 0),
  );
  const bv = Array.from({ length: vectors }, (_, i) => f.local("v128", `b${i}`));
  const av = f.local("v128", "a_");
  const steps = (count: number) => {
    for (let u = 0; u < count; u++) {
      bv.forEach((v, i) => f.set(v, v128.load(b, u * columns * 4 + i * 16)));
      for (let r = 0; r < mr; r++) {
        f.set(av, v128.loadSplat(a, (u * mr + r) * 4));
        for (let i = 0; i < vectors; i++)
          f.set(acc[r * vectors + i], madd(caps, av, bv[i], acc[r * vectors + i]));
      }
    }
    f.bump(a, count * mr * 4);
    f.bump(b, count * columns * 4);
  };
  const UNROLL = 4;
  const [left, n, i, some] = f.ints("left", "n", "i", "some");
  f.set(left, k);
  f.set(some, more);
  const addStored = () =>
    f.if(some, () => acc.forEach((v, j) => f.set(v, f32x4.add(v, v128.load(into, at(j))))));
  f.loop(() => {
    f.set(n, i32.min(left, BLOCK));
    f.for(i, UNROLL - 1, n, UNROLL, () => steps(UNROLL));
    f.for(i, 0, i32.and(n, UNROLL - 1), 1, () => steps(1));
    f.bump(left, i32.sub(0, n));
    f.if(left, () => {
      addStored();
      acc.forEach((v, j) => f.store(into, v, at(j)));
      acc.forEach((v) => f.set(v, 0));
      f.set(some, 1);
    });
    f.brIf(left, 0);
  });
  addStored();
  return acc;
}

/**
 * Where a block of rows is: offsets in y and among the values per channel, and the address of y.
 */
const PLACE = ["row", "channel", "rowBytes", "y"] as const;
const LINE = [
  ...["a", "b", "k", "more", "sums", "tile", "count", "panelBytes", "sumsStep", "record"],
  ...PLACE,
] as const;

const operandNames = (e: Epilogue | null): string[] => (e?.operands ?? []).map((o) => o.name);

/**
 * The inner function of the last chunk of k: one block of rows by `count` tiles. Where a tile's
 * columns are neighbors in y, it stores whole vectors. Products of every shape share the function:
 * the engine optimizes a network of less code sooner.
 */
export function lineOfTiles(m: Module, e: Epilogue | null, caps: Caps, mr: number): Func {
  const nv = columnsPerTile(caps) / 4;
  const name = `${nameOf(mr, nv * 4)}${epilogueName(e)}`;
  return m.func(name, [...LINE, ...operandNames(e)], (f) => {
    const p = f.named(LINE);
    const pointers = f.params.slice(LINE.length);
    const { aAt, bAt, at, to } = f.vars("aAt", "bAt", "at", "to");
    // The engine joins no pairs in a function with a transcendental function in it: there the sums
    // are computed by another function, and pass through memory.
    const apart = caps.simd256 && e !== null && isTranscendental(e.f);
    const sum = (vectors: number) => {
      const { a, b, k, sums, more } = p;
      f.callNamed(sumsTile(m, caps, mr, vectors), { a, b, k, into: sums, more });
    };
    const joined = () => {
      f.set(aAt, p.a);
      f.set(bAt, p.b);
      if (apart) sum(nv);
      const sums = { mr, vectors: nv, a: aAt, b: bAt, k: p.k, into: p.sums, more: p.more };
      const acc = apart ? [] : accumulate(f, caps, sums, (i) => i * 16);
      f.set(at, i32.add(p.row, i32.load(p.tile, META.first)));
      const finish = epilogue(f, e, caps, { ...p, pointers }, (operand, i) =>
        v128.load(i32.add(operand, at), i * 16),
      );
      for (let r = 0; r < mr; r++) {
        if (r) f.bump(at, p.rowBytes);
        const line = Array.from(
          { length: nv },
          (_, i) => acc[r * nv + i] ?? f.let("v128", "sum", v128.load(p.sums, (r * nv + i) * 16)),
        );
        line.forEach((v, i) => finish(v, r, i));
        // Stores to neighbors follow one another and have one base address: so the engine joins
        // them.
        f.set(to, i32.add(p.y, at));
        line.forEach((v, i) => f.store(to, v, i * 16));
      }
    };
    const scattered = () => {
      f.if(
        i32.le(i32.load(p.tile, META.lanes), nv * 2),
        () => sum(nv / 2),
        () => sum(nv),
      );
      const { sums, tile, row, channel, rowBytes, y } = p;
      const args = { sums, tile, row, channel, rowBytes, y };
      f.callNamed(scatterTile(m, e, caps, mr), args, ...pointers);
    };
    f.loop(() => {
      f.if(i32.load(p.tile, META.joined), joined, scattered);
      f.bump(p.tile, p.record);
      f.bump(p.b, p.panelBytes);
      f.bump(p.sums, p.sumsStep);
      f.bump(p.count, -1);
      f.brIf(p.count, 0);
    });
  });
}

const SCATTER = ["sums", "tile", ...PLACE] as const;

/**
 * The end of a tile whose columns may be anywhere in y: loads the sums, applies the epilogue, and
 * stores single lanes.
 */
function scatterTile(m: Module, e: Epilogue | null, caps: Caps, mr: number): Func {
  const nv = columnsPerTile(caps) / 4;
  const name = `scatter${mr}x${nv * 4}${epilogueName(e)}`;
  return m.func(name, [...SCATTER, ...operandNames(e)], (f) => {
    const { sums, tile, row, channel, rowBytes, y } = f.named(SCATTER);
    const pointers = f.params.slice(SCATTER.length);
    const lanes = f.let("i32", "lanes", i32.load(tile, META.lanes));
    const v = f.local("v128", "v");
    f.block(() => {
      for (let i = 0; i < nv; i++) {
        if (i) f.brIf(i32.le(lanes, i * 4), 0);
        const offsets = [0, 1, 2, 3].map((l) =>
          f.let("i32", `o${l}`, i32.add(row, i32.load(tile, META.offsets + (i * 4 + l) * 4))),
        );
        const finish = epilogue(f, e, caps, { tile, channel, pointers }, (at) => {
          const gathered = f.local("v128", "gathered");
          offsets.forEach((o, l) => f.set(gathered, v128.loadLane(i32.add(at, o), gathered, l)));
          return get(gathered);
        });
        for (let r = 0; r < mr; r++) {
          if (r) for (const o of offsets) f.bump(o, rowBytes);
          f.set(v, v128.load(sums, (r * nv + i) * 16));
          finish(v, r, i);
          f.storeLane(i32.add(y, offsets[0]), v, 0);
          f.block(() => {
            for (let l = 1; l < 4; l++) {
              f.brIf(i32.le(lanes, i * 4 + l), 0);
              f.storeLane(i32.add(y, offsets[l]), v, l);
            }
          });
        }
      }
    });
  });
}

/**
 * Returns what applies the epilogue to vector `i` of row `r`; `read` loads an operand that has a
 * value for each element of the row.
 */
function epilogue(
  f: Func,
  e: Epilogue | null,
  caps: Caps,
  { tile, channel, pointers }: { tile: Local; channel: Local; pointers: readonly Local[] },
  read: (pointer: Local, i: number) => Code,
): (v: Local, r: number, i: number) => void {
  const loaded = new Map<string, Local>();
  const once = (key: string, code: () => Code) => {
    const known = loaded.get(key) ?? f.let("v128", key, code());
    loaded.set(key, known);
    return known;
  };
  return (v, r, i) => {
    if (!e) return;
    const values: Record<string, Operand> = { r: v };
    e.operands.forEach(({ name, along }, j) => {
      const at = pointers[j];
      if (along === "channel")
        values[name] = once(`${name}_row${r}`, () => v128.loadSplat(i32.add(at, channel), r * 4));
      else if (along === "column")
        values[name] = once(`${name}_column${i}`, () =>
          v128.load(i32.add(at, i32.load(tile, META.column)), i * 16),
        );
      else values[name] = f.let("v128", name, read(at, i));
    });
    f.set(v, emitExpr(f, caps, e.f, values));
  };
}
