// Expressions of the assembler: values of instructions, with the SIMD, relaxed SIMD and threads
// proposals. Functions and modules are made of them (module.ts).

import type { OPCODES } from "./opcodes.ts";

export type OpName = keyof typeof OPCODES;
/**
 * One instruction; `imm` holds the numbers of its immediate (offset and lane, index, constant,
 * bytes).
 */
export interface Instr {
  readonly op: OpName;
  readonly imm: readonly number[];
  /** For the text: the name of an index. */
  readonly note?: string | undefined;
}
/** Instructions that leave one value on the stack (or none, for statements). */
export type Code = readonly Instr[];
export type Type = "i32" | "f32" | "v128";
export interface Local {
  readonly type: Type;
  readonly index: number;
  readonly name: string;
  /**
   * The instructions that read it, and that write the top of the stack to it: made once, since most
   * instructions of a program are these.
   */
  readonly get: Code;
  readonly set: Code;
}
/**
 * A local, code, or a number: an i32 constant where an integer is expected, all four lanes where a
 * vector is.
 */
export type Operand = Code | Local | number;

const word = new DataView(new ArrayBuffer(8));
const wordBytes = (): number[] => [0, 1, 2, 3].map((i) => word.getUint8(i));
const f32Bytes = (v: number): number[] => (word.setFloat32(0, v, true), wordBytes());
const f64Bytes = (v: number): number[] => (
  word.setFloat64(0, v, true),
  Array.from({ length: 8 }, (_, i) => word.getUint8(i))
);
const i32Bytes = (v: number): number[] => (word.setInt32(0, v, true), wordBytes());

const NONE: readonly number[] = [];
export const one = (op: OpName, ...imm: number[]): Code => [{ op, imm }];
export const get = (l: Local): Code => l.get;
const isLocal = (x: Code | Local): x is Local => "get" in x;
/** An integer operand. */
export const int = (x: Operand): Code =>
  typeof x === "number" ? one("i32.const", x) : isLocal(x) ? x.get : x;
/** A vector operand; a number fills all four lanes. */
export const vec = (x: Operand): Code =>
  typeof x === "number" ? splat4(x) : isLocal(x) ? x.get : x;
export const scalar = (x: Operand): Code =>
  typeof x === "number" ? one("f32.const", x) : isLocal(x) ? x.get : x;
/** Four lanes of one number. Equal numbers give the same object; 0 and −0 are not equal. */
const splat4 = (v: number): Code => {
  if (Object.is(v, -0)) return splat(v);
  const known = splats.get(v) ?? splat(v);
  if (splats.size > 1000) splats.clear(); // numbers may be anything, and many
  splats.set(v, known);
  return known;
};
const splats = new Map<number, Code>();
const splat = (v: number): Code => {
  const lane = f32Bytes(v);
  return one("v128.const", ...lane, ...lane, ...lane, ...lane);
};

// `concat` joins code: it is fast before it is optimized, and programs are generated when a process
// starts.
const op2 = (part: (x: Operand) => Code) => (op: OpName) => {
  const last: Code = [{ op, imm: NONE }];
  return (a: Operand, b: Operand): Code => part(a).concat(part(b), last);
};
const ints = op2(int);
const vecs = op2(vec);
const scalars = op2(scalar);
const op1 = (part: (x: Operand) => Code, op: OpName) => {
  const last: Code = [{ op, imm: NONE }];
  return (a: Operand): Code => part(a).concat(last);
};
const vec1 = (op: OpName) => op1(vec, op);
const shift = (op: OpName) => {
  const last: Code = [{ op, imm: NONE }];
  return (a: Operand, by: number): Code => vec(a).concat(int(by), last);
};
const at =
  (op: OpName) =>
  (address: Operand, offset = 0): Code =>
    int(address).concat({ op, imm: [offset] });

/** A record of what `make` returns for each name. */
export const each = <N extends string, E>(names: readonly N[], make: (name: N) => E) =>
  Object.fromEntries(names.map((name) => [name, make(name)])) as Record<N, E>; // `map` loses the names

export const isConst = (x: Operand): x is number => typeof x === "number";

/**
 * i32 arithmetic, with constants folded where both sides, or one neutral side, are known.
 * Comparisons give 0 or 1.
 */
export const i32 = {
  add: (a: Operand, b: Operand): Code =>
    isConst(a) && isConst(b)
      ? int(a + b)
      : b === 0
        ? int(a)
        : a === 0
          ? int(b)
          : ints("i32.add")(a, b),
  sub: (a: Operand, b: Operand): Code => (b === 0 ? int(a) : ints("i32.sub")(a, b)),
  mul: (a: Operand, b: Operand): Code =>
    isConst(a) && isConst(b)
      ? int(a * b)
      : b === 1
        ? int(a)
        : b === 0
          ? int(0)
          : isConst(b) && (b & (b - 1)) === 0 && b > 0
            ? ints("i32.shl")(a, Math.log2(b))
            : ints("i32.mul")(a, b),
  div: (a: Operand, b: Operand): Code => (b === 1 ? int(a) : ints("i32.div_u")(a, b)),
  rem: (a: Operand, b: Operand): Code => (b === 1 ? int(0) : ints("i32.rem_u")(a, b)),
  and: ints("i32.and"),
  or: ints("i32.or"),
  xor: ints("i32.xor"),
  shl: ints("i32.shl"),
  shr: ints("i32.shr_u"),
  eq: ints("i32.eq"),
  ne: ints("i32.ne"),
  lt: ints("i32.lt_s"),
  gt: ints("i32.gt_s"),
  le: ints("i32.le_s"),
  ge: ints("i32.ge_s"),
  ltU: ints("i32.lt_u"),
  eqz: op1(int, "i32.eqz"),
  load: at("i32.load"),
  load8: at("i32.load8_s"),
  load8U: at("i32.load8_u"),
  load16U: at("i32.load16_u"),
  /** Rounded toward 0 and limited to the range; NaN gives 0. */
  truncSat: op1(scalar, "i32.trunc_sat_f32_s"),
  /** The bits of a float. */
  bits: op1(scalar, "i32.reinterpret_f32"),
  select: (c: Operand, a: Operand, b: Operand): Code =>
    int(a).concat(int(b), int(c), one("select")),
  min: (a: Local, b: Operand): Code => i32.select(i32.lt(a, b), a, b),
};

export const f32 = {
  const: (v: number): Code => one("f32.const", v),
  load: at("f32.load"),
  ...each(["add", "sub", "mul", "max", "lt", "le", "gt", "ge", "ne", "eq"], (name) =>
    scalars(`f32.${name}`),
  ),
  fromInt: op1(int, "f32.convert_i32_s"),
  /** The float of some bits. */
  fromBits: op1(int, "f32.reinterpret_i32"),
};

const RELAXED_MADD = one("f32x4.relaxed_madd");
export const f32x4 = {
  // `pmax(a, b)` is b where a < b, else a: the first of equals, and NaN only if a is. One
  // instruction, where `max` takes eight. `pmin(a, b)` is b where b < a, else a.
  ...each(
    ["add", "sub", "mul", "div", "min", "max", "pmin", "pmax", "eq", "ne", "lt", "gt", "le", "ge"],
    (name) => vecs(`f32x4.${name}`),
  ),
  ...each(["neg", "abs", "sqrt", "floor", "nearest"], (name) => vec1(`f32x4.${name}`)),
  truncSat: vec1("i32x4.trunc_sat_f32x4_s"),
  fromInt: vec1("f32x4.convert_i32x4_s"),
  splat: op1(scalar, "f32x4.splat"),
  lane: (a: Operand, lane: number): Code =>
    vec(a).concat({ op: "f32x4.extract_lane", imm: [lane] }),
  relaxedMadd: (a: Operand, b: Operand, c: Operand): Code =>
    vec(a).concat(vec(b), vec(c), RELAXED_MADD),
};

/** A vector of float64; a number fills both lanes. */
const pair = (x: Operand): Code => {
  if (typeof x !== "number") return vec(x);
  const lane = f64Bytes(x);
  return one("v128.const", ...lane, ...lane);
};
const pairs = op2(pair);
export const f64x2 = {
  ...each(["add", "sub", "mul", "div", "eq", "pmin", "pmax"], (name) => pairs(`f64x2.${name}`)),
  nearest: op1(pair, "f64x2.nearest"),
  /** The first two lanes of a vector of float32. */
  promoteLow: vec1("f64x2.promote_low_f32x4"),
  /** Both lanes as float32, then two zeros. */
  demote: op1(pair, "f32x4.demote_f64x2_zero"),
  bitselect: (a: Operand, b: Operand, mask: Operand): Code =>
    v128.bitselect(pair(a), pair(b), mask),
};
/** Bits of float64 as integers; a number stands for the bits of that float64. */
export const i64x2 = {
  ...each(["add", "sub"], (name) => pairs(`i64x2.${name}`)),
  shl: shift("i64x2.shl"),
  shrS: shift("i64x2.shr_s"),
};

export const i32x4 = {
  const: (v: number): Code => i32x4.lanes(v, v, v, v),
  lanes: (...v: number[]): Code => one("v128.const", ...v.flatMap(i32Bytes)),
  splat: op1(int, "i32x4.splat"),
  ...each(["add", "sub", "mul", "eq"], (name) => vecs(`i32x4.${name}`)),
  minU: vecs("i32x4.min_u"),
  max: vecs("i32x4.max_s"),
  lane: (a: Operand, lane: number): Code =>
    vec(a).concat({ op: "i32x4.extract_lane", imm: [lane] }),
  shl: shift("i32x4.shl"),
  shrS: shift("i32x4.shr_s"),
  shrU: shift("i32x4.shr_u"),
};

export const v128 = {
  load: at("v128.load"),
  loadSplat: at("v128.load32_splat"),
  loadZero32: at("v128.load32_zero"),
  loadLane: (address: Operand, into: Operand, lane: number, offset = 0): Code =>
    int(address).concat(vec(into), { op: "v128.load32_lane", imm: [offset, lane] }),
  ...each(["and", "andnot", "or", "xor"], (name) => vecs(`v128.${name}`)),
  not: vec1("v128.not"),
  anyTrue: vec1("v128.any_true"),
  /** Bits of `a` where the mask is 1, of `b` where it is 0. */
  bitselect: (a: Operand, b: Operand, mask: Operand): Code =>
    vec(a).concat(vec(b), vec(mask), one("v128.bitselect")),
  /** Byte i of the result is byte `bytes[i]` of `a`, 0 from 16 on. */
  swizzle: vecs("i8x16.swizzle"),
  /** Lanes 0–3 are those of `a`, 4–7 those of `b`. */
  shuffle: (a: Operand, b: Operand, ...lanes: number[]): Code =>
    vec(a).concat(vec(b), {
      op: "i8x16.shuffle",
      imm: lanes.flatMap((l) => [l * 4, l * 4 + 1, l * 4 + 2, l * 4 + 3]),
    }),
};

export const atomics = {
  load: at("i32.atomic.load"),
  store: (address: Operand, value: Operand): Code => [
    ...int(address),
    ...int(value),
    { op: "i32.atomic.store", imm: [0] },
  ],
  add: (address: Operand, value: Operand): Code => [
    ...int(address),
    ...int(value),
    { op: "i32.atomic.rmw.add", imm: [0] },
  ],
  /** Sleeps while the word equals `expected`, for so many nanoseconds at most. */
  wait: (address: Operand, expected: Operand, nanoseconds: number): Code => [
    ...int(address),
    ...int(expected),
    { op: "i64.const", imm: [nanoseconds] },
    { op: "memory.atomic.wait32", imm: [0] },
    { op: "drop", imm: [] },
  ],
  notifyAll: (address: Operand): Code => [
    ...int(address),
    ...int(0x7fffffff),
    { op: "memory.atomic.notify", imm: [0] },
    { op: "drop", imm: [] },
  ],
};
