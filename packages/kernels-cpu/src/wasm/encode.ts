// The binary of a module: https://webassembly.github.io/spec/core/binary. One growing array of
// bytes, since programs reach a megabyte.

import type { Instr, Type } from "./asm.ts";
import { OPCODES, type Opcode } from "./opcodes.ts";

/**
 * Bytes over an ArrayBuffer: `Uint8Array<ArrayBuffer>`, written so that TypeScript 5.6 knows it.
 */
export type Bytes = ReturnType<Uint8ArrayConstructor["from"]>;

/** A function as the encoder needs it. `body` is its binary, if it is encoded already. */
export interface Encodable {
  readonly name: string;
  readonly index: number;
  readonly params: ArrayLike<unknown>;
  readonly locals: readonly { readonly type: Type }[];
  readonly code: readonly Instr[];
  readonly body: Uint8Array | null;
}

const TYPES: Record<Type, number> = { i32: 0x7f, f32: 0x7d, v128: 0x7b };

/** Bytes of the longest instruction: an opcode and sixteen bytes, or three numbers. */
const LONGEST = 24;

/** Writes an unsigned LEB128, the format's variable-length integer; returns where it ends. */
function leb(bytes: Uint8Array, at: number, value: number): number {
  let rest = value >>> 0;
  while (rest > 127) {
    bytes[at++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}

/** Bytes that grow by doubling. */
class Writer {
  bytes = new Uint8Array(1024);
  length = 0;

  byte(value: number): void {
    if (this.length === this.bytes.length) this.#grow(this.length + 1);
    this.bytes[this.length++] = value;
  }

  all(values: ArrayLike<number>): void {
    if (this.length + values.length > this.bytes.length) this.#grow(this.length + values.length);
    this.bytes.set(values, this.length);
    this.length += values.length;
  }

  unsigned(value: number): void {
    if (this.length + 5 > this.bytes.length) this.#grow(this.length + 5);
    this.length = leb(this.bytes, this.length, value);
  }

  /** Text without characters beyond ASCII. */
  text(value: string): void {
    this.unsigned(value.length);
    for (let i = 0; i < value.length; i++) this.byte(value.charCodeAt(i));
  }

  /**
   * Instructions, in one loop over plain variables: this is most of the encoder's work, and the
   * engine optimizes it soon.
   */
  code(code: readonly Instr[]): void {
    let { bytes, length: at } = this;
    for (let i = 0; i < code.length; i++) {
      const { op, imm } = code[i];
      if (at + LONGEST > bytes.length) {
        this.#grow(at + LONGEST);
        bytes = this.bytes;
      }
      const entry: Opcode = OPCODES[op];
      const opcode = entry[0];
      const kind = entry[1];
      if (opcode > 0xff) {
        bytes[at++] = opcode >> 12;
        at = leb(bytes, at, opcode & 0xfff);
      } else bytes[at++] = opcode;
      if (kind === undefined) continue;
      if (kind === "index") at = leb(bytes, at, imm[0]);
      else if (kind === "mem" || kind === "memLane") {
        bytes[at++] = entry[2]!;
        at = leb(bytes, at, imm[0]);
        if (kind === "memLane") bytes[at++] = imm[1];
      } else if (kind === "i32") {
        let rest = imm[0] | 0;
        while (rest < -64 || rest > 63) {
          bytes[at++] = (rest & 127) | 128;
          rest >>= 7;
        }
        bytes[at++] = rest & 127;
      } else if (kind === "f32") {
        asFloat[0] = imm[0];
        for (let b = 0; b < 4; b++) bytes[at++] = asBytes[b];
      } else if (kind === "block") bytes[at++] = 0x40;
      else if (kind === "zero") bytes[at++] = 0;
      else for (let b = 0; b < imm.length; b++) bytes[at++] = imm[b];
    }
    this.length = at;
  }

  list<T>(items: readonly T[], each: (item: T, i: number) => void): void {
    this.unsigned(items.length);
    items.forEach(each);
  }

  /** The bytes that `body` writes, preceded by their number. */
  sized(body: (w: Writer) => void): void {
    const inner = new Writer();
    body(inner);
    this.unsigned(inner.length);
    this.all(inner.bytes.subarray(0, inner.length));
  }

  section(id: number, body: (w: Writer) => void): void {
    this.byte(id);
    this.sized(body);
  }

  #grow(least: number): void {
    const larger = new Uint8Array(Math.max(least, this.bytes.length * 2));
    larger.set(this.bytes);
    this.bytes = larger;
  }
}

/**
 * A module that imports "env" "memory" and functions, and exports some of its functions. Functions
 * take i32 parameters and return nothing.
 */
export function encodeModule(
  imports: readonly Encodable[],
  funcs: readonly Encodable[],
  exported: readonly Encodable[],
  memory: { shared: boolean; maximum: number },
): Bytes {
  const out = new Writer();
  out.all([0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
  const arities = [...new Set([...imports, ...funcs].map((f) => f.params.length))];
  out.section(1, (w) =>
    w.list(arities, (n) => {
      w.byte(0x60);
      w.unsigned(n);
      for (let i = 0; i < n; i++) w.byte(TYPES.i32);
      w.byte(0);
    }),
  );
  out.section(2, (w) =>
    w.list(["memory", ...imports], (what) => {
      w.text("env");
      if (typeof what === "string") {
        w.text(what);
        w.all([2, memory.shared ? 3 : 1, 1]);
        w.unsigned(memory.maximum);
      } else {
        w.text(what.name);
        w.all([0, arities.indexOf(0)]);
      }
    }),
  );
  out.section(3, (w) => w.list(funcs, (f) => w.unsigned(arities.indexOf(f.params.length))));
  out.section(7, (w) =>
    w.list(exported, (f) => {
      w.text(f.name);
      w.byte(0);
      w.unsigned(f.index);
    }),
  );
  out.section(10, (w) =>
    w.list(funcs, (f) => {
      const body = f.body ?? encodeBody(f);
      w.unsigned(body.length);
      w.all(body);
    }),
  );
  // Names of functions, for stack traces and profiles; those of locals are in the text.
  out.section(0, (w) => {
    w.text("name");
    w.byte(1);
    w.sized((names) =>
      names.list(funcs, (f) => {
        names.unsigned(f.index);
        names.text(f.name);
      }),
    );
  });
  return out.bytes.slice(0, out.length);
}

const asFloat = new Float32Array(1);
const asBytes = new Uint8Array(asFloat.buffer);

/** The bytes of one function: its locals and its instructions. */
export function encodeBody(f: Encodable): Uint8Array {
  const w = bodies;
  w.length = 0;
  const runs: { type: Type; count: number }[] = [];
  for (const { type } of f.locals) {
    const last = runs.at(-1);
    if (last?.type === type) last.count++;
    else runs.push({ type, count: 1 });
  }
  w.list(runs, ({ type, count }) => {
    w.unsigned(count);
    w.byte(TYPES[type]);
  });
  w.code(f.code);
  w.byte(0x0b);
  return w.bytes.slice(0, w.length);
}

/** Where functions are written, one after the other. */
const bodies = new Writer();
