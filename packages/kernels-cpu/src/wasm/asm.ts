// A small assembler for WebAssembly: typed expressions, structured blocks, named locals, a name
// section and a text dump. Encoding: https://webassembly.github.io/spec/core/binary, with the SIMD,
// relaxed SIMD and threads proposals.

import type { Bytes } from "@conv/tensor";
import { encodeBody, encodeModule } from "./encode.ts";
import type { OPCODES } from "./opcodes.ts";

export type OpName = keyof typeof OPCODES;
/**
 * One instruction; `imm` holds the numbers of its immediate (offset and lane, index, constant,
 * bytes).
 */
export interface Instr {
  readonly op: OpName;
  readonly imm: readonly number[];
  /** For the text dump: the name behind an index. */
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
   * Reads it, and writes what is on the stack to it: made once, since most of a program's
   * instructions are these.
   */
  readonly get: Code;
  readonly set: Code;
}
/**
 * A local, code, or a number: an i32 constant where an integer is expected, all four lanes where a
 * vector is.
 */
export type Operand = Code | Local | number;

const word = new DataView(new ArrayBuffer(4));
const wordBytes = (): number[] => [0, 1, 2, 3].map((i) => word.getUint8(i));
const f32Bytes = (v: number): number[] => (word.setFloat32(0, v, true), wordBytes());
const i32Bytes = (v: number): number[] => (word.setInt32(0, v, true), wordBytes());

const NONE: readonly number[] = [];
const one = (op: OpName, ...imm: number[]): Code => [{ op, imm }];
export const get = (l: Local): Code => l.get;
const isLocal = (x: Code | Local): x is Local => "get" in x;
/** An integer operand. */
export const int = (x: Operand): Code =>
  typeof x === "number" ? one("i32.const", x) : isLocal(x) ? x.get : x;
/** A vector operand; a number fills all four lanes. */
export const vec = (x: Operand): Code =>
  typeof x === "number" ? splat4(x) : isLocal(x) ? x.get : x;
const scalar = (x: Operand): Code =>
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

// Code is joined by `concat`, which is quick before a compiler has seen it: programs are generated
// when a process is young.
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

/** What `make` makes of each name. */
const each = <N extends string, E>(names: readonly N[], make: (name: N) => E) =>
  Object.fromEntries(names.map((name) => [name, make(name)])) as Record<N, E>; // which names, `map` forgets

const isConst = (x: Operand): x is number => typeof x === "number";

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
  ltU: ints("i32.lt_u"),
  eqz: op1(int, "i32.eqz"),
  load: at("i32.load"),
  select: (c: Operand, a: Operand, b: Operand): Code =>
    int(a).concat(int(b), int(c), one("select")),
  min: (a: Local, b: Operand): Code => i32.select(i32.lt(a, b), a, b),
};

export const f32 = {
  const: (v: number): Code => one("f32.const", v),
  load: at("f32.load"),
  ...each(["add", "sub", "mul", "max", "gt", "ne", "eq"], (name) => scalars(`f32.${name}`)),
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

const localOf = (type: Type, index: number, name: string): Local => {
  const imm = [index];
  return {
    type,
    index,
    name,
    get: [{ op: "local.get", imm, note: name }],
    set: [{ op: "local.set", imm, note: name }],
  };
};

/**
 * A function under construction. Statements append; blocks take a function that emits their body.
 */
export class Func {
  readonly name: string;
  readonly index: number;
  readonly params: readonly Local[];
  readonly locals: Local[] = [];
  readonly code: Instr[] = [];
  /** Its bytes, once it is encoded; `code` is empty then. */
  body: Uint8Array | null = null;

  constructor(name: string, index: number, params: readonly string[]) {
    this.name = name;
    this.index = index;
    this.params = params.map((p, i) => localOf("i32", i, p));
  }

  local(type: Type, name: string): Local {
    const local = localOf(type, this.params.length + this.locals.length, name);
    this.locals.push(local);
    return local;
  }

  /** New i32 locals. */
  ints(...names: string[]): Local[] {
    return names.map((name) => this.local("i32", name));
  }

  /** New i32 locals, by name. */
  vars<const N extends string>(...names: N[]): Record<N, Local> {
    return each(names, (name) => this.local("i32", name));
  }

  /** The first parameters, which have these names, by name. */
  named<const N extends string>(names: readonly N[]): Record<N, Local> {
    return Object.fromEntries(names.map((name, i) => [name, this.params[i]])) as Record<N, Local>; // which names, `map` forgets
  }

  emit(...code: Code[]): void {
    for (const c of code) this.#append(c);
  }

  #append(more: Code): void {
    const { code } = this;
    for (let i = 0; i < more.length; i++) code.push(more[i]);
  }

  set(local: Local, value: Operand): void {
    this.#append(
      local.type === "i32" ? int(value) : local.type === "f32" ? scalar(value) : vec(value),
    );
    this.code.push(local.set[0]);
  }

  /** A new local holding `value`. */
  let(type: Type, name: string, value: Operand): Local {
    const local = this.local(type, name);
    this.set(local, value);
    return local;
  }

  /** local += by */
  bump(local: Local, by: Operand): void {
    if (by !== 0) this.set(local, i32.add(local, by));
  }

  store(address: Operand, value: Operand, offset = 0): void {
    this.emit(int(address), vec(value), one("v128.store", offset));
  }

  storeLane(address: Operand, value: Operand, lane: number, offset = 0): void {
    this.emit(int(address), vec(value), one("v128.store32_lane", offset, lane));
  }

  storeF32(address: Operand, value: Operand, offset = 0): void {
    this.emit(int(address), scalar(value), one("f32.store", offset));
  }

  storeI32(address: Operand, value: Operand, offset = 0): void {
    this.emit(int(address), int(value), one("i32.store", offset));
  }

  /** Zero bytes (or any byte value) over a range. */
  fill(address: Operand, byte: number, bytes: Operand): void {
    this.emit(int(address), int(byte), int(bytes), one("memory.fill", 0));
  }

  block(body: () => void): void {
    this.emit(one("block"));
    body();
    this.emit(one("end"));
  }

  loop(body: () => void): void {
    this.emit(one("loop"));
    body();
    this.emit(one("end"));
  }

  br(depth: number): void {
    this.emit(one("br", depth));
  }

  brIf(condition: Operand, depth: number): void {
    this.emit(int(condition), one("br_if", depth));
  }

  if(condition: Operand, then: () => void, otherwise?: () => void): void {
    this.emit(int(condition), one("if"));
    then();
    if (otherwise) {
      this.emit(one("else"));
      otherwise();
    }
    this.emit(one("end"));
  }

  /**
   * for (i = from; i < to; i += step): tested before the first round unless both ends are
   * constants.
   */
  for(i: Local, from: Operand, to: Operand, step: number, body: () => void): void {
    if (isConst(from) && isConst(to)) {
      if (from >= to) return;
      this.set(i, from);
      if (from + step >= to) return body();
      this.loop(() => {
        body();
        this.bump(i, step);
        this.brIf(i32.lt(i, to), 0);
      });
      return;
    }
    this.set(i, from);
    this.if(i32.lt(i, to), () =>
      this.loop(() => {
        body();
        this.bump(i, step);
        this.brIf(i32.lt(i, to), 0);
      }),
    );
  }

  /** Runs the body a constant number of times, counting down. */
  repeat(count: number, name: string, body: () => void): void {
    if (count === 1) return body();
    if (count < 1) return;
    const left = this.let("i32", name, count);
    this.loop(() => {
      body();
      this.bump(left, -1);
      this.brIf(left, 0);
    });
  }

  call(callee: Func, ...args: Operand[]): void {
    for (const a of args) this.emit(int(a));
    this.emit([{ op: "call", imm: [callee.index], note: callee.name }]);
  }

  /** A call with arguments by the names of the parameters; `last` are those of the last ones. */
  callNamed(
    callee: Func,
    args: Readonly<Record<string, Operand>>,
    ...last: readonly Operand[]
  ): void {
    const names = callee.params.slice(0, callee.params.length - last.length).map((p) => p.name);
    if (names.length !== Object.keys(args).length || names.some((name) => !(name in args)))
      throw new Error(`wasm: ${callee.name} has the parameters ${names.join(", ")}`);
    this.call(callee, ...names.map((name) => args[name]), ...last);
  }
}

/**
 * A module that imports one memory ("env" "memory") and the functions asked for, and exports
 * functions.
 */
export class Module {
  readonly funcs: Func[] = [];
  readonly #byKey = new Map<string, Func>();
  readonly #named = new Map<string, number>();
  readonly #imports: Func[] = [];
  readonly #exports: Func[] = [];
  readonly #text: boolean;

  /**
   * Without `text`, functions are encoded as soon as they are complete: a network's instructions,
   * kept as objects to the end, took a quarter of its compilation to collect.
   */
  constructor({ text = true }: { readonly text?: boolean | undefined } = {}) {
    this.#text = text;
  }

  /** The function "env" `name`, without parameters. To be asked for before any other function. */
  import(name: string): Func {
    const f = new Func(name, this.#imports.length, []);
    this.#imports.push(f);
    return f;
  }

  /**
   * The function of that key: built by `body` at the first request, shared after. All parameters
   * are i32. It is named by the key without descriptions (see `exactly`), and by a number from the
   * second of a name on.
   */
  func(key: string, params: readonly string[], body: (f: Func) => void): Func {
    const known = this.#byKey.get(key);
    if (known) return known;
    const name = key.replace(/\n.*\n/s, "");
    const count = (this.#named.get(name) ?? 0) + 1;
    this.#named.set(name, count);
    const f = new Func(
      count > 1 ? `${name}.${count}` : name,
      this.#imports.length + this.funcs.length,
      params,
    );
    this.funcs.push(f);
    this.#byKey.set(key, f);
    body(f);
    hoistConstants(f);
    if (!this.#text) {
      f.body = encodeBody(f);
      f.code.length = 0;
    }
    return f;
  }

  export(f: Func): void {
    this.#exports.push(f);
  }

  /** The binary. `shared` must say whether the memory it will be given is. */
  encode(memory: { shared: boolean; maximum: number }): Bytes {
    return encodeModule(this.#imports, this.funcs, this.#exports, memory);
  }
}

/**
 * Vector constants used in loops are made once, before: V8 builds each from two 64-bit immediates
 * wherever it stands, which took half the time of exp. Zeros stay: they are one instruction.
 */
function hoistConstants(f: Func): void {
  const { code } = f;
  const made = new Map<string, Local>();
  // most constants are one object wherever they stand
  const known = new Map<readonly number[], string>();
  const first: Instr[] = [];
  const blocks: boolean[] = []; // whether each open block is a loop
  let loops = 0;
  for (let at = 0; at < code.length; at++) {
    const { op, imm } = code[at];
    if (op === "end") loops -= Number(blocks.pop());
    else if (op === "block" || op === "loop" || op === "if")
      loops += Number(blocks[blocks.push(op === "loop") - 1]);
    else if (op === "v128.const" && loops && imm.some((byte) => byte !== 0)) {
      const key = known.get(imm) ?? imm.join();
      known.set(imm, key);
      const local = made.get(key) ?? f.local("v128", `const${made.size}`);
      if (!made.has(key)) first.push(code[at], local.set[0]);
      made.set(key, local);
      code[at] = local.get[0];
    }
  }
  if (first.length) code.unshift(...first);
}
