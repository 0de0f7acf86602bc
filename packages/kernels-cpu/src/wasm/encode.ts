// The binary of a module: https://webassembly.github.io/spec/core/binary. One growing array of bytes, since programs reach a megabyte.

import type { Func, Type } from "./asm.ts";
import { OPCODES, type Opcode } from "./opcodes.ts";

const TYPES: Record<Type, number> = { i32: 0x7f, f32: 0x7d, v128: 0x7b };

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

  /** Unsigned LEB128, the format's variable-length integers. */
  unsigned(value: number): void {
    let rest = value >>> 0;
    while (rest > 127) {
      this.byte((rest & 127) | 128);
      rest >>>= 7;
    }
    this.byte(rest);
  }

  /** Signed LEB128 of 32 bits. */
  signed(value: number): void {
    let rest = value | 0;
    while (rest < -64 || rest > 63) {
      this.byte((rest & 127) | 128);
      rest >>= 7;
    }
    this.byte(rest & 127);
  }

  /** Text without characters beyond ASCII. */
  text(value: string): void {
    this.unsigned(value.length);
    for (let i = 0; i < value.length; i++) this.byte(value.charCodeAt(i));
  }

  list<T>(items: readonly T[], each: (item: T, i: number) => void): void {
    this.unsigned(items.length);
    items.forEach(each);
  }

  /** What `body` writes, preceded by its length. */
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

/** A module that imports "env" "memory" and exports some of its functions. Functions take i32 parameters and return nothing. */
export function encodeModule(
  funcs: readonly Func[],
  exported: readonly Func[],
  memory: { shared: boolean; maximum: number },
): Uint8Array<ArrayBuffer> {
  const out = new Writer();
  out.all([0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
  const arities = [...new Set(funcs.map((f) => f.params.length))];
  out.section(1, (w) =>
    w.list(arities, (n) => {
      w.byte(0x60);
      w.unsigned(n);
      for (let i = 0; i < n; i++) w.byte(TYPES.i32);
      w.byte(0);
    }),
  );
  out.section(2, (w) =>
    w.list(["memory"], (name) => {
      w.text("env");
      w.text(name);
      w.all([2, memory.shared ? 3 : 1, 1]);
      w.unsigned(memory.maximum);
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
  out.section(10, (w) => w.list(funcs, (f) => w.sized((body) => encodeBody(body, f))));
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

const scratch = new DataView(new ArrayBuffer(4));

function encodeBody(w: Writer, f: Func): void {
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
  for (const { op, imm } of f.code) {
    const [code, kind, align]: Opcode = OPCODES[op];
    if (code > 0xff) {
      w.byte(code >> 12);
      w.unsigned(code & 0xfff);
    } else w.byte(code);
    if (kind === "index") w.unsigned(imm[0]);
    else if (kind === "mem" || kind === "memLane") {
      w.byte(align!);
      w.unsigned(imm[0]);
      if (kind === "memLane") w.byte(imm[1]);
    } else if (kind === "i32") w.signed(imm[0]);
    else if (kind === "f32") {
      scratch.setFloat32(0, imm[0], true);
      for (let i = 0; i < 4; i++) w.byte(scratch.getUint8(i));
    } else if (kind === "block") w.byte(0x40);
    else if (kind === "zero") w.byte(0);
    else if (kind) w.all(imm);
  }
  w.byte(0x0b);
}
