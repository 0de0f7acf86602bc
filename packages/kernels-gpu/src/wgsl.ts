// WGSL as text: the head of a shader (bindings with their element types), its entry point, the elementwise algebra, indices.

import { type Expr, type Fn } from "@conv/ops";
import type { Binding, Epilogue, GpuStage } from "./code.ts";

/** Element types of storage. */
export type Element = "f32" | "i32" | "f16";

export const BYTES: Readonly<Record<Element, number>> = { f32: 4, i32: 4, f16: 2 };

/** Name of the alias of a binding's element type. */
const aliasOf = (name: string): string => name[0].toUpperCase() + name.slice(1);

/** The whole shader of a stage, given how each of its reads and writes is stored. */
export function shaderOf(stage: GpuStage, elements: readonly Element[]): string {
  const bindings = [...stage.reads, ...stage.writes];
  const enables = new Set([...(elements.includes("f16") ? ["f16"] : []), ...(stage.enables ?? [])]);
  const array = ({ name, width = 1, atomic }: Binding) =>
    atomic ? `atomic<${aliasOf(name)}>` : width === 1 ? aliasOf(name) : `vec${width}<${aliasOf(name)}>`;
  return [
    ...[...enables].map((name) => `enable ${name};`),
    `// ${stage.label}`,
    ...bindings.map(({ name }, i) => `alias ${aliasOf(name)} = ${elements[i]};`),
    ...bindings.map(
      (b, i) => `@group(0) @binding(${i}) var<storage, ${i < stage.reads.length ? "read" : "read_write"}> ${b.name}: array<${array(b)}>;`,
    ),
    "",
    stage.code,
    "",
  ].join("\n");
}

/** Workgroups that one axis of a dispatch may have on every adapter: larger numbers are spread over two axes. */
export const GROUPS_PER_AXIS = 65535;

/**
 * The entry point, for `groups` workgroups of the given size: `body` sees `group`, the workgroup's number, and `lane`, the invocation's
 * number within it; in one dimension `index`, the invocation's number in all, too. `more` adds builtins.
 */
export function mainOf(groups: number, size: number, body: string, more = ""): string {
  const wide = groups > GROUPS_PER_AXIS;
  return `@compute @workgroup_size(${size})
fn main(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32${more}) {
  let group = at.x${wide ? ` + at.y * ${GROUPS_PER_AXIS}u` : ""};${wide && groups % GROUPS_PER_AXIS ? `\n  if (group >= ${groups}u) { return; }` : ""}
${indent(body)}
}`;
}

export const indent = (text: string): string => text.replace(/^(?=.)/gm, "  ");

/** A number as a literal of type f32. */
export function literal(value: number): string {
  const v = Math.fround(value);
  if (!Number.isFinite(v)) return Number.isNaN(v) ? "(infinite - infinite)" : v > 0 ? "infinite" : "-infinite";
  const text = `${v}`;
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`;
}

/** What {@link literal} needs where a number may be infinite: constants of WGSL are finite, so that it must not be one. */
const INFINITE = "var<private> infinite_bits: u32 = 0x7f800000u;";

// tanh(x) = x + x³·P(x²) near zero (Cephes), where 1 − 2/(exp(2|x|) + 1) would lose digits, and that with the sign of x elsewhere.
// WGSL's own may be off by 1e-5.
const tanhOf = (T: string, B: string): string => `fn tanh_of(x: ${T}) -> ${T} {
  let z = x * x;
  let near = ((((z * -5.70498872745e-3f + 2.06390887954e-2f) * z - 5.37397155531e-2f) * z + 1.33314422036e-1f) * z - 3.33332819422e-1f) * z * x + x;
  let far = 1.0f - 2.0f / (exp(2.0f * abs(x)) + 1.0f);
  let outside: ${B} = abs(x) > ${T}(0.625f);
  return select(select(near, far, outside), -far, outside & (x < ${T}(0.0f)));
}`;

// WGSL leaves open what its functions make of NaN, and log of negative numbers; compilers may drop x ≠ x, but not a look at the bits.
const isNaNOf = (U: string): string => `(bitcast<${U}>(x) & ${U}(0x7fffffffu)) > ${U}(0x7f800000u)`;
const expOf = (T: string, U: string): string => `fn exp_of(x: ${T}) -> ${T} {
  return select(exp(x), x, ${isNaNOf(U)});
}`;
const logOf = (T: string, U: string): string => `fn log_of(x: ${T}) -> ${T} {
  let none = ${T}(bitcast<f32>(infinite_bits | 0x400000u));
  return select(select(log(x), none, x < ${T}(0.0f)), x, ${isNaNOf(U)});
}`;

// exp(x) − 1 = x + x²/2 + … near zero, where the difference would lose digits.
const expm1Of = (T: string): string => `fn expm1_of(x: ${T}) -> ${T} {
  let p = ${["1.98412698e-4f", "1.38888889e-3f", "8.33333333e-3f", "4.16666667e-2f", "1.66666667e-1f", "0.5f", "1.0f"].reduce((sum, c) => `(${sum}) * x + ${c}`, "2.48015873e-5f")};
  return select(exp_of(x) - 1.0f, x * p, abs(x) < ${T}(0.5f));
}`;

// log(1 + x) = 2·artanh(s) = 2·(s + s³/3 + …), s = x/(2 + x), near zero, where the sum would lose digits.
const log1pOf = (T: string): string => `fn log1p_of(x: ${T}) -> ${T} {
  let s = x / (2.0f + x);
  let z = s * s;
  let p = (((0.222222222f * z + 0.285714286f) * z + 0.4f) * z + 0.666666667f) * z + 2.0f;
  return select(log_of(1.0f + x), s * p, abs(x) < ${T}(0.4f));
}`;

/** Statements that compute expressions, and the functions they need. Equal parts are computed once. */
export interface Emitted {
  readonly functions: string;
  readonly statements: string;
  /** An expression of WGSL for each value. */
  readonly values: readonly string[];
}

/** Emits expressions over variables, whose names in WGSL are given by `names`, on f32 or on vectors of 2 or 4 of them. */
export function emitExprs(values: readonly Expr[], names: Readonly<Record<string, string>>, width: 1 | 2 | 4 = 1): Emitted {
  const T = width === 1 ? "f32" : `vec${width}f`;
  const B = width === 1 ? "bool" : `vec${width}<bool>`;
  const statements: string[] = [];
  const known = new Map<string, string>();
  const used = new Set<Fn>();
  let infinite = false;
  const splat = (text: string) => (width === 1 ? text : `${T}(${text})`);
  const emit = (e: Expr): string => {
    if (typeof e === "number") {
      infinite ||= !Number.isFinite(Math.fround(e));
      return splat(literal(e));
    }
    if (typeof e === "string") {
      const name = names[e];
      if (name === undefined) throw new Error(`kernels-gpu: expression uses unknown variable ${e}`);
      return name;
    }
    const key = JSON.stringify(e);
    const before = known.get(key);
    if (before) return before;
    const [fn, ...args] = e;
    used.add(fn);
    const parts = args.map(emit);
    // An expression of constants would be computed by the compiler, and refused where it is infinite.
    const constant = args.every((x) => typeof x === "number");
    if (constant) infinite = true;
    const [a, b, c] = constant ? parts.map((p) => `(${p} + ${splat("0.0f / infinite")})`) : parts;
    const name = `t${statements.length}`;
    statements.push(`let ${name} = ${call(fn, [a, b, c], args, splat)};`);
    known.set(key, name);
    return name;
  };
  const results = values.map(emit);
  const U = width === 1 ? "u32" : `vec${width}u`;
  const logs = used.has("log") || used.has("log1p");
  const functions = [
    ...(used.has("tanh") ? [tanhOf(T, B)] : []),
    ...(used.has("exp") || used.has("expm1") ? [expOf(T, U)] : []),
    ...(used.has("expm1") ? [expm1Of(T)] : []),
    ...(logs ? [logOf(T, U)] : []),
    ...(used.has("log1p") ? [log1pOf(T)] : []),
    ...(infinite || logs ? [INFINITE] : []),
  ].join("\n");
  return { functions, statements: [...(infinite ? ["let infinite = bitcast<f32>(infinite_bits);"] : []), ...statements].join("\n"), values: results };
}

// Where one side of max or min is a number, NaN on the other comes through.
function call(fn: Fn, [a, b, c]: readonly string[], args: readonly Expr[], splat: (text: string) => string): string {
  const [zero, one] = [splat("0.0f"), splat("1.0f")];
  switch (fn) {
    case "add":
      return `${a} + ${b}`;
    case "sub":
      return `${a} - ${b}`;
    case "mul":
      return `${a} * ${b}`;
    case "div":
      return `${a} / ${b}`;
    case "neg":
      return `-${a}`;
    case "max":
    case "min": {
      const sign = fn === "max" ? "<=" : ">=";
      if (typeof args[1] === "number") return `select(${a}, ${b}, ${a} ${sign} ${b})`;
      if (typeof args[0] === "number") return `select(${b}, ${a}, ${b} ${sign} ${a})`;
      return `${fn}(${a}, ${b})`;
    }
    case "gt":
      return `select(${zero}, ${one}, ${a} > ${b})`;
    case "select":
      return `select(${c}, ${b}, ${a} != ${zero})`;
    case "tanh":
    case "exp":
    case "expm1":
    case "log":
    case "log1p":
      return `${fn}_of(${a})`;
    default:
      return `${fn}(${a})`;
  }
}

/** An epilogue as code: how it reads its operands depends on the kernel that stores the result. */
export interface EmittedEpilogue {
  readonly functions: string;
  readonly reads: readonly Binding[];
  /**
   * Statements that leave the finished value in `out`, given the result `r` and the indices of its channel or column and of the element, as
   * expressions of WGSL.
   */
  store(at: { readonly r: string; readonly channel: string; readonly column: string; readonly element: string }, out: string): string;
}

/** The epilogue of a task whose operands begin at this input; without one, the result itself. */
export function emitEpilogue(epilogue: Epilogue | null, firstOperand: number): EmittedEpilogue {
  if (!epilogue) return { functions: "", reads: [], store: ({ r }, out) => `let ${out} = ${r};` };
  const names = Object.fromEntries([["r", "r"], ...epilogue.operands.map(({ name }) => [name, name])]);
  const { functions, statements, values } = emitExprs([epilogue.f], names);
  const operands = epilogue.operands;
  const parameters = ["r: f32", ...operands.map(({ name }) => `${name}: f32`)].join(", ");
  return {
    functions: `${functions}${functions && "\n"}fn finish(${parameters}) -> f32 {\n${indent(`${statements}${statements && "\n"}return ${values[0]};`)}\n}`,
    reads: operands.map(({ name }, i) => ({ name: operandName(name), place: { of: "in", index: firstOperand + i } })),
    store: (at, out) => `let ${out} = finish(${[at.r, ...operands.map(({ name, along }) => `f32(${operandName(name)}[${at[along]}])`)].join(", ")});`,
  };
}

const operandName = (name: string): string => `operand_${name}`;

/** `index` divided into coordinates of these sizes, the last fastest, as statements that declare `names`. */
export function coordinates(index: string, sizes: readonly number[], names: readonly string[]): string {
  const lines: string[] = [];
  let rest = index;
  for (let a = sizes.length - 1; a >= 0; a--) {
    if (sizes[a] === 1) lines.push(`let ${names[a]} = 0u;`);
    else if (a === 0 || sizes.slice(0, a).every((s) => s === 1)) {
      lines.push(`let ${names[a]} = ${rest};`);
      rest = "0u";
    } else {
      lines.push(`let ${names[a]} = ${rest} % ${sizes[a]}u;`);
      lines.push(`let rest_${names[a]} = ${rest} / ${sizes[a]}u;`);
      rest = `rest_${names[a]}`;
    }
  }
  return lines.join("\n");
}

/** Σ names·strides as an expression; strides of 0 fall out. */
export const offsetOf = (names: readonly string[], strides: readonly number[]): string =>
  names.flatMap((name, a) => (strides[a] === 0 ? [] : [strides[a] === 1 ? name : `${name} * ${strides[a]}u`])).join(" + ") || "0u";

/** Sums and products with whole numbers as text; what adds nothing is left out. */
export const plus = (base: string, n: number): string => (n === 0 ? base : n > 0 ? `${base} + ${n}` : `${base} - ${-n}`);
export const times = (value: string, n: number): string => (n === 1 ? value : n < 0 ? `${value} * (${n})` : `${value} * ${n}`);
export const sumOf = (terms: readonly (readonly [string, number])[]): string =>
  terms.flatMap(([value, n]) => (value === "0" || n === 0 ? [] : [times(value, n)])).join(" + ") || "0";

export const each = <T>(n: number, f: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => f(i));
