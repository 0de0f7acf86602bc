// The instructions of the assembler, each with its code and immediate. A new instruction is a name
// in this table.

/**
 * Kinds of immediates: local or function or global index, memory offset, lane, constants, 16 raw
 * bytes, block, branch depth.
 */
export type Imm = "index" | "mem" | "memLane" | "lane" | "i32" | "f32" | "bytes" | "block" | "zero";

/**
 * An instruction's byte, or its prefix byte and, in the lower 12 bits, the number that follows it;
 * its immediate; log2 of the natural alignment.
 */
export type Opcode = readonly [code: number, imm?: Imm, align?: number];

type Words<S extends string> = S extends `${infer Word} ${infer More}` ? Word | Words<More> : S;

/** Instructions with consecutive codes; a dash stands for one that is not used. */
function run<const S extends string>(first: number, names: S, imm?: Imm, align?: number) {
  const list = names.split(" ").map((name, i): [string, Opcode] => [name, [first + i, imm, align]]);
  return Object.fromEntries(list.filter(([name]) => name !== "-")) as Record<
    Exclude<Words<S>, "-">,
    Opcode
  >; // which names, `split` forgets
}

export const OPCODES = {
  ...run(0x02, "block loop if", "block"),
  ...run(0x05, "else"),
  ...run(0x0b, "end"),
  ...run(0x0c, "br br_if - - call", "index"),
  ...run(0x1a, "drop select"),
  ...run(0x20, "local.get local.set", "index"),
  ...run(0x28, "i32.load - f32.load", "mem", 2),
  ...run(0x2c, "i32.load8_s i32.load8_u", "mem", 0),
  ...run(0x2e, "- i32.load16_u", "mem", 1),
  ...run(0x36, "i32.store - f32.store", "mem", 2),
  ...run(0x3a, "i32.store8", "mem", 0),
  ...run(0x3b, "i32.store16", "mem", 1),
  ...run(0x41, "i32.const i64.const", "i32"),
  ...run(0x43, "f32.const", "f32"),
  ...run(0x45, "i32.eqz i32.eq i32.ne i32.lt_s i32.lt_u i32.gt_s - i32.le_s - i32.ge_s"),
  ...run(0x5b, "f32.eq f32.ne f32.lt f32.gt f32.le f32.ge"),
  ...run(
    0x6a,
    "i32.add i32.sub i32.mul - i32.div_u - i32.rem_u i32.and i32.or i32.xor i32.shl - i32.shr_u",
  ),
  ...run(0xb2, "f32.convert_i32_s"),
  ...run(0xbc, "i32.reinterpret_f32 - f32.reinterpret_i32"),
  ...run(0xfc000, "i32.trunc_sat_f32_s"),
  ...run(0x92, "f32.add f32.sub f32.mul - - f32.max"),
  ...run(0xfc00b, "memory.fill", "zero"),
  ...run(0xfd000, "v128.load", "mem", 4),
  ...run(0xfd009, "v128.load32_splat", "mem", 2),
  ...run(0xfd00b, "v128.store", "mem", 4),
  ...run(0xfd00c, "v128.const i8x16.shuffle", "bytes"),
  ...run(0xfd00e, "i8x16.swizzle - - i32x4.splat - f32x4.splat"),
  ...run(0xfd01b, "i32x4.extract_lane - - - f32x4.extract_lane", "lane"),
  ...run(0xfd037, "i32x4.eq"),
  ...run(0xfd041, "f32x4.eq f32x4.ne f32x4.lt f32x4.gt f32x4.le f32x4.ge f64x2.eq"),
  ...run(0xfd04d, "v128.not v128.and v128.andnot v128.or v128.xor v128.bitselect v128.any_true"),
  ...run(0xfd056, "v128.load32_lane - - - v128.store32_lane", "memLane", 2),
  ...run(0xfd05c, "v128.load32_zero", "mem", 2),
  ...run(0xfd05e, "f32x4.demote_f64x2_zero f64x2.promote_low_f32x4"),
  ...run(0xfd068, "f32x4.floor - f32x4.nearest"),
  ...run(0xfd094, "f64x2.nearest"),
  ...run(
    0xfd0ab,
    "i32x4.shl i32x4.shr_s i32x4.shr_u i32x4.add - - i32x4.sub - - - i32x4.mul - i32x4.min_u i32x4.max_s",
  ),
  ...run(0xfd0cb, "i64x2.shl i64x2.shr_s - i64x2.add - - i64x2.sub"),
  ...run(
    0xfd0e0,
    "f32x4.abs f32x4.neg - f32x4.sqrt f32x4.add f32x4.sub f32x4.mul f32x4.div f32x4.min f32x4.max f32x4.pmin f32x4.pmax",
  ),
  ...run(
    0xfd0f0,
    "f64x2.add f64x2.sub f64x2.mul f64x2.div - - f64x2.pmin f64x2.pmax i32x4.trunc_sat_f32x4_s - f32x4.convert_i32x4_s",
  ),
  ...run(0xfd105, "f32x4.relaxed_madd"),
  ...run(0xfe000, "memory.atomic.notify memory.atomic.wait32", "mem", 2),
  ...run(
    0xfe010,
    "i32.atomic.load - - - - - - i32.atomic.store - - - - - - i32.atomic.rmw.add",
    "mem",
    2,
  ),
} satisfies Record<string, Opcode>;
