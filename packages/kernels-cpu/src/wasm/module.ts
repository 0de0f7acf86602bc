// Functions and modules under construction: structured blocks, named locals, a binary.

import {
  each,
  i32,
  int,
  isConst,
  one,
  scalar,
  vec,
  type Code,
  type Instr,
  type Local,
  type Operand,
  type Type,
} from "./asm.ts";
import { encodeBody, encodeModule, type Bytes } from "./encode.ts";

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
    const entries = names.map((name, i) => [name, this.params[i]]);
    return Object.fromEntries(entries) as Record<N, Local>; // `map` loses the names
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

  /** Stores the lowest 1, 2 or 4 bytes of an integer. */
  storeBytes(address: Operand, value: Operand, bytes: number): void {
    const op = bytes === 1 ? "i32.store8" : bytes === 2 ? "i32.store16" : "i32.store";
    this.emit(int(address), int(value), one(op, 0));
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
    const names = callee.params.slice(0, callee.params.length - last.length);
    this.call(callee, ...names.map(({ name }) => args[name]), ...last);
  }
}

/** A module that imports one memory ("env" "memory") and functions, and exports functions. */
export class Module {
  readonly funcs: Func[] = [];
  readonly #byKey = new Map<string, Func>();
  readonly #named = new Map<string, number>();
  readonly #imports: Func[] = [];
  readonly #exports: Func[] = [];
  readonly #text: boolean;

  /**
   * Without `text`, functions are encoded as soon as they are complete. If the instructions of a
   * network were kept to the end, their garbage collection would take a quarter of the compilation.
   */
  constructor({ text = true }: { readonly text?: boolean | undefined } = {}) {
    this.#text = text;
  }

  /** The imported function "env" `name`, without parameters. Imports precede all functions. */
  import(name: string): Func {
    const f = new Func(name, this.#imports.length, []);
    this.#imports.push(f);
    return f;
  }

  /**
   * The function with this key: `body` emits it at the first call, later calls return it. All
   * parameters are i32. Its name is the key without descriptions (see `exactly` of @conv/tensor),
   * with a number from the second function of a name on.
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

  /** The binary. `shared` tells whether the imported memory is shared. */
  encode(memory: { shared: boolean; maximum: number }): Bytes {
    return encodeModule(this.#imports, this.funcs, this.#exports, memory);
  }
}

/**
 * Moves vector constants out of loops: V8 builds each from two 64-bit immediates wherever it is
 * used, which took half the time of exp. Zeros stay, since they are one instruction.
 */
function hoistConstants(f: Func): void {
  const { code } = f;
  const made = new Map<string, Local>();
  // most uses of a constant share one object
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
