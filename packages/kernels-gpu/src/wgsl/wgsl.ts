// WGSL as text: whole shaders with bindings and library functions, the entry point, expressions of
// the elementwise algebra, and indices.

import { type Expr, type Fn } from "@conv/ops";
import { bytesOf, sizeOf, type DType, type Spec } from "@conv/tensor";
import type { Binding, Epilogue, GpuStage } from "../compile/code.ts";
import { libraryFor } from "./math.ts";

/** Element types of buffers; u32 holds several elements of one or two bytes. */
export type Element = "f32" | "i32" | "u32" | "f16";

/** The element type in which an input or output of a program is stored. */
export const elementFor = (dtype: DType): Element =>
  dtype === "float32" ? "f32" : dtype === "int32" ? "i32" : "u32";

/** Bytes that a value takes, in whole words. */
export const storageOf = (element: Element, s: Spec): number =>
  element === "f16" ? 2 * sizeOf(s.shape) : Math.ceil(bytesOf(s) / 4) * 4;

/** Name of the alias of the element type of a binding. */
const aliasOf = (name: string): string => name[0].toUpperCase() + name.slice(1);

/** The whole shader of a stage, given the element types of its reads, then of its writes. */
export function shaderOf(stage: GpuStage, elements: readonly Element[]): string {
  const bindings = [...stage.reads, ...stage.writes];
  const enables = new Set([...(elements.includes("f16") ? ["f16"] : []), ...(stage.enables ?? [])]);
  const array = ({ name, width = 1, atomic }: Binding) =>
    atomic
      ? `atomic<${aliasOf(name)}>`
      : width === 1
        ? aliasOf(name)
        : `vec${width}<${aliasOf(name)}>`;
  return [
    ...[...enables].map((name) => `enable ${name};`),
    `// ${stage.label}`,
    ...bindings.map(({ name }, i) => `alias ${aliasOf(name)} = ${elements[i]};`),
    ...bindings.map(
      (b, i) =>
        `@group(0) @binding(${i}) var<storage, ${i < stage.reads.length ? "read" : "read_write"}> ${b.name}: array<${array(b)}>;`,
    ),
    "",
    ...[libraryFor(stage.code), stage.code].flatMap((text) => (text ? [text, ""] : [])),
  ].join("\n");
}

/** The most workgroups along one axis of a dispatch; larger numbers are spread over two axes. */
export const GROUPS_PER_AXIS = 65535;

/**
 * The entry point for `groups` workgroups of `size` invocations. `body` reads `group`, the number
 * of the workgroup, and `lane`, the number of the invocation within it. `more` adds builtins.
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
  if (!Number.isFinite(v))
    return Number.isNaN(v) ? "not_a_number()" : v > 0 ? "infinity()" : "-infinity()";
  if (Object.is(v, -0)) return "negative_zero()";
  const text = `${v}`;
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`;
}

/** Statements that compute expressions. Equal subexpressions are computed once. */
export interface Emitted {
  readonly statements: string;
  /** A name or literal for each value. */
  readonly values: readonly string[];
}

/**
 * Emits expressions over variables, whose names in WGSL `names` gives, on f32 or on vec4f.
 */
export function emitExprs(
  values: readonly Expr[],
  names: Readonly<Record<string, string>>,
  width: 1 | 4 = 1,
): Emitted {
  const statements: string[] = [];
  /** Names of subexpressions by their code, which is equal for equal subexpressions. */
  const known = new Map<string, string>();
  const splat = (text: string) => (width === 1 ? text : `vec4f(${text})`);
  const emit = (e: Expr): string => {
    if (typeof e === "number") return splat(literal(e));
    if (typeof e === "string") {
      const name = names[e];
      if (name === undefined) throw new Error(`kernels-gpu: expression uses unknown variable ${e}`);
      return name;
    }
    const [fn, ...args] = e;
    const parts = args.map(emit);
    // The compiler would evaluate an expression of constants, and reject an infinite result.
    const constant = args.every((x) => typeof x === "number");
    const w = width === 1 ? "" : width;
    // Compilers replace 0·x by 0, but it may be NaN.
    const zero = constant || (fn !== "mul" && fn !== "div") ? -1 : args.indexOf(0);
    const text =
      zero >= 0 && (fn === "mul" || zero === 0)
        ? `${Object.is(args[zero], -0) ? "-" : ""}times_zero${w}(${fn === "mul" ? parts[1 - zero] : `1.0f / ${parts[1]}`})`
        : call(fn, constant ? parts.map((p) => `hidden${w}(${p})`) : parts, width, splat);
    const name = known.get(text) ?? `t${statements.length}`;
    if (!known.has(text)) statements.push(`let ${name} = ${text};`);
    known.set(text, name);
    return name;
  };
  const results = values.map(emit);
  return { statements: statements.join("\n"), values: results };
}

const infix: Partial<Record<Fn, string>> = { add: "+", sub: "-", mul: "*", div: "/" };
/** Built-in functions of WGSL that are right for every number. */
const builtin: readonly Fn[] = ["abs", "sqrt", "floor", "round"];

function call(
  fn: Fn,
  parts: readonly string[],
  width: 1 | 4,
  splat: (text: string) => string,
): string {
  const [a, b, c] = parts;
  if (infix[fn]) return `${a} ${infix[fn]} ${b}`;
  if (fn === "neg") return `-${a}`;
  if (fn === "gt") return `select(${splat("0.0f")}, ${splat("1.0f")}, ${a} > ${b})`;
  if (fn === "select") return `select(${b}, ${c}, ${a} == ${splat("0.0f")})`; // NaN is not 0
  return `${fn}${builtin.includes(fn) ? "" : `_of${width === 1 ? "" : width}`}(${parts.join(", ")})`;
}

/** The code of an epilogue. The kernel that stores the result says where its operands are read. */
export interface EmittedEpilogue {
  readonly functions: string;
  readonly reads: readonly Binding[];
  /**
   * Declares the finished value `out`. All else are expressions of WGSL: the result `r`, the
   * indices of its channel and of its column, and that of the element.
   */
  store(
    at: {
      readonly r: string;
      readonly channel: string;
      readonly column: string;
      readonly element: string;
    },
    out: string,
  ): string;
}

/**
 * The epilogue of a task, whose operands begin at this input; null stands for the result itself.
 */
export function emitEpilogue(epilogue: Epilogue | null, firstOperand: number): EmittedEpilogue {
  if (!epilogue) return { functions: "", reads: [], store: ({ r }, out) => `let ${out} = ${r};` };
  const names = Object.fromEntries([
    ["r", "r"],
    ...epilogue.operands.map(({ name }) => [name, name]),
  ]);
  const { statements, values } = emitExprs([epilogue.f], names);
  const operands = epilogue.operands;
  const parameters = ["r: f32", ...operands.map(({ name }) => `${name}: f32`)].join(", ");
  return {
    functions: `fn finish(${parameters}) -> f32 {\n${indent(`${statements}${statements && "\n"}return ${values[0]};`)}\n}`,
    reads: operands.map(({ name }, i) => ({
      name: operandName(name),
      place: { of: "in", index: firstOperand + i },
    })),
    store: (at, out) =>
      `let ${out} = finish(${[at.r, ...operands.map(({ name, along }) => `f32(${operandName(name)}[${at[along]}])`)].join(", ")});`,
  };
}

const operandName = (name: string): string => `operand_${name}`;

/** Declares `names`: the coordinates of `index` in a box of these sizes, the last fastest. */
export function coordinates(
  index: string,
  sizes: readonly number[],
  names: readonly string[],
): string {
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

/** Σ names·strides as an expression, without strides of 0. */
export const offsetOf = (names: readonly string[], strides: readonly number[]): string =>
  names
    .flatMap((name, a) =>
      strides[a] === 0 ? [] : [strides[a] === 1 ? name : `${name} * ${strides[a]}u`],
    )
    .join(" + ") || "0u";

/** Sums and products with integers as text, without terms that are 0 and factors that are 1. */
export const plus = (base: string, n: number): string =>
  n === 0 ? base : n > 0 ? `${base} + ${n}` : `${base} - ${-n}`;
export const times = (value: string, n: number): string =>
  n === 1 ? value : n < 0 ? `${value} * (${n})` : `${value} * ${n}`;
export const sumOf = (terms: readonly (readonly [string, number])[]): string =>
  terms.flatMap(([value, n]) => (value === "0" || n === 0 ? [] : [times(value, n)])).join(" + ") ||
  "0";

/** A value where all tests hold, else zero. */
export const guarded = (value: string, tests: readonly string[], zero = "0.0"): string =>
  tests.length ? `select(${zero}, ${value}, ${tests.join(" & ")})` : value;

export const each = <T>(n: number, f: (i: number) => T): T[] =>
  Array.from({ length: n }, (_, i) => f(i));
