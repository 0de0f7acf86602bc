// Products of few outputs and long sums, such as a matrix times a vector. One workgroup makes a
// few outputs. Its threads share the taps, and the sums of the threads are added as a tree, always
// in the same order.

import type { Caps } from "../../compile/caps.ts";
import { inputAt, outputAt, type GpuKernel } from "../../compile/code.ts";
import { loopInBlocks } from "../../wgsl/sums.ts";
import {
  coordinates,
  each,
  emitEpilogue,
  guarded,
  indent,
  mainOf,
  plus,
  times,
  type EmittedEpilogue,
} from "../../wgsl/wgsl.ts";
import { GUESSES, SWIFTSHADER } from "../costs.ts";
import {
  channelAt,
  CONV,
  GRAD_WEIGHT,
  leaves,
  MATMUL,
  outputsOf,
  productsOf,
  tapsOf,
  type Family,
  type Product,
} from "./product.ts";
import {
  aOfTap,
  aStart,
  outputCoordinates,
  tapCoordinates,
  walkOf,
  xCoordinate,
  xOfTap,
  xStart,
  yAt,
  type Walk,
} from "./walk.ts";

/** Outputs of a workgroup: rows × columns. */
interface Patch {
  readonly rows: number;
  readonly columns: number;
}

const THREADS = 64;
/** Patches that are compared; a thread of the largest holds 16 sums. */
const PATCHES: readonly Patch[] = [1, 2, 4].flatMap((rows) =>
  [1, 2, 4].map((columns) => ({ rows, columns })),
);
/** Shorter sums leave most threads without work. */
const LEAST_TAPS = 2 * THREADS;

/**
 * Whether four taps are neighbors in both operands, wherever they begin at a multiple of four.
 */
function inFours({ axes, rows, groups, offset }: Product): boolean {
  const tap = axes.findLast(({ taps }) => taps > 1);
  const rest = axes.filter((axis) => axis !== tap);
  return (
    tap !== undefined &&
    tap.taps % 4 === 0 &&
    tap.a === 1 &&
    tap.delta * tap.x === 1 &&
    tap.grid === 1 &&
    !leaves(tap) &&
    [rows.a, groups.a, groups.x, offset.a, offset.x + tap.first * tap.x].every(
      (n) => n % 4 === 0,
    ) &&
    rest.every(
      ({ a, x, step, delta, first, taps }) =>
        (taps === 1 || a % 4 === 0) && [step * x, delta * x, first * x].every((n) => n % 4 === 0),
    )
  );
}

/** Patches along the rows, and along the columns. */
const patchesOf = (p: Product, { rows, columns }: Patch) =>
  [Math.ceil(p.rows.count / rows), Math.ceil(outputsOf(p) / columns)] as const;

/** A product with the patch of a workgroup. */
interface Dot extends Walk {
  readonly patch: Patch;
  /** Taps are loaded and multiplied as vectors of four. */
  readonly fours: boolean;
  /** Type of a sum of a thread. */
  readonly T: "f32" | "vec4f";
  /** Sums of a thread, by row and column. */
  readonly sums: readonly string[];
}

/** Index of a vector or an element of a binding. */
const indexOf = ({ fours }: Dot, element: string): string =>
  fours ? `u32(${element}) / 4` : element;

/**
 * The shader. Its bindings are a and x, as vectors where taps lie in fours, y, and those of the
 * epilogue.
 */
function dotShader(
  p: Product,
  patch: Patch,
  epilogue: EmittedEpilogue,
): { code: string; groups: number } {
  const fours = inFours(p);
  const sums = each(patch.rows, (m) => each(patch.columns, (c) => `s${m}_${c}`)).flat();
  const dot: Dot = { ...walkOf(p), patch, fours, T: fours ? "vec4f" : "f32", sums };
  const [rowPatches, columnPatches] = patchesOf(p, patch);
  const body = [
    coordinates(
      "group",
      [p.groups.count, columnPatches, rowPatches],
      ["part", "column_patch", "row_patch"],
    ),
    `let row = ${times("row_patch", patch.rows)};`,
    `let a_first: u32 = ${aStart(dot, "row")};`,
    ...each(patch.columns, (c) => columnStart(dot, c)).flat(),
    ...sums.map((s) => `var ${s} = ${dot.T}();`),
    sumOwnTaps(dot),
    ...addThreads(dot),
    ...storeOutputs(dot, epilogue),
  ];
  const groups = p.groups.count * columnPatches * rowPatches;
  const code = [
    `var<workgroup> sums: array<f32, ${THREADS * sums.length}>;`,
    epilogue.functions,
    mainOf(groups, THREADS, body.filter(Boolean).join("\n")),
  ];
  return { code: code.filter(Boolean).join("\n\n"), groups };
}

/** Declares where column `c` of the patch begins in x, and its coordinates along padded axes. */
function columnStart(dot: Dot, c: number): string[] {
  const name = (axis: number) => `${dot.names[axis]}${c}`;
  return [
    `let column${c} = ${plus(times("column_patch", dot.patch.columns), c)};`,
    outputCoordinates(dot, `column${c}`, name),
    `let x_first${c}: i32 = ${xStart(dot, name)};`,
    ...dot.names.flatMap((axis, i) =>
      dot.padded[i] ? [`let ${axis}_first${c} = ${xCoordinate(dot, i, name)};`] : [],
    ),
  ];
}

/** Loads what column `c` reads at the current tap. */
function loadInput(dot: Dot, c: number): string {
  const { names, padded, T } = dot;
  const inside = dot.product.axes.flatMap(({ taps, delta, size }, i) => {
    if (!padded[i]) return [];
    const moved = taps > 1 ? ` + ${times(`i32(tap_${names[i]})`, delta)}` : "";
    return [`(u32(${names[i]}_first${c}${moved}) < ${size})`];
  });
  const load = `${T}(x[${indexOf(dot, `x_first${c} + x_tap`)}])`;
  return `let x${c} = ${guarded(load, inside, `${T}()`)};`;
}

/** The loop in which a thread sums its share of the taps. */
function sumOwnTaps(dot: Dot): string {
  const { patch, T, taps, sums } = dot;
  const width = dot.fours ? 4 : 1;
  const tapName = (axis: number) => `tap_${dot.names[axis]}`;
  const loadA = (m: number) =>
    `let a${m} = ${T}(a[${indexOf(dot, plus("a_first + a_tap", m * dot.product.rows.a))}]);`;
  return loopInBlocks({
    at: "tap",
    from: `lane${width > 1 ? ` * ${width}` : ""}`,
    to: `${taps}u`,
    step: THREADS * width,
    turns: Math.ceil(taps / (THREADS * width)),
    sums,
    T,
    body: (into) =>
      [
        tapCoordinates(dot, "tap", tapName),
        `let a_tap = ${aOfTap(dot, tapName)};`,
        `let x_tap = ${xOfTap(dot, tapName)};`,
        ...each(patch.rows, loadA),
        ...each(patch.columns, (c) => loadInput(dot, c)),
        ...into.map(
          (s, i) => `${s} = fma(a${Math.floor(i / patch.columns)}, x${i % patch.columns}, ${s});`,
        ),
      ].join("\n"),
  });
}

/** Adds the sums of the threads in workgroup memory, as a tree. */
function addThreads({ sums, fours }: Dot): string[] {
  const n = sums.length;
  const added = (s: string) => (fours ? `(${s}.x + ${s}.y) + (${s}.z + ${s}.w)` : s);
  return [
    ...sums.map((s, i) => `sums[lane * ${n} + ${i}] = ${added(s)};`),
    "workgroupBarrier();",
    `for (var half = ${THREADS / 2}u; half > 0; half /= 2) {`,
    `  if (lane < half) {`,
    `    for (var i = lane * ${n}; i < (lane + 1) * ${n}; i++) { sums[i] += sums[i + half * ${n}]; }`,
    `  }`,
    "  workgroupBarrier();",
    "}",
  ];
}

/** Stores the outputs of the patch, each by one thread. */
function storeOutputs(dot: Dot, epilogue: EmittedEpilogue): string[] {
  const { product: p, patch, outputs, sums } = dot;
  const name = (axis: number) => `own_${dot.names[axis]}`;
  const at = {
    r: "sums[lane]",
    channel: channelAt(p, "part", "own_row"),
    column: "own_column",
    element: "element",
  };
  const store = [
    outputCoordinates(dot, "own_column", name),
    `let element = ${yAt(dot, "own_row", name)};`,
    epilogue.store(at, "out"),
    "y[element] = Y(out);",
  ];
  const own = [
    `let own_row = row + lane / ${patch.columns};`,
    `let own_column = column_patch * ${patch.columns} + lane % ${patch.columns};`,
    `if (own_row < ${p.rows.count} && own_column < ${outputs}) {`,
    indent(store.join("\n")),
    "}",
  ];
  return [`if (lane < ${sums.length}) {`, indent(own.join("\n")), "}"];
}

/**
 * Seconds of a device: its instructions at the rate of multiply-adds, or its memory, where what
 * workgroups share comes from the cache.
 */
function secondsOf(p: Product, patch: Patch, caps: Caps): number {
  const [rowPatches, columnPatches] = patchesOf(p, patch);
  const [taps, wide] = [tapsOf(p), inFours(p) ? 4 : 1];
  const groups = p.groups.count * rowPatches * columnPatches;
  const checks = p.axes.filter(leaves).length;
  const { load, processors, busyThreads, dot } = GUESSES;
  const turn =
    patch.rows * patch.columns * wide +
    load * (patch.rows + patch.columns * (1 + checks)) * (wide === 4 ? dot.vectorLoad : 1) +
    dot.turn;
  const thread =
    Math.ceil(taps / (THREADS * wide)) * turn +
    dot.addition * Math.log2(THREADS) * patch.rows * patch.columns +
    dot.thread;
  const busy = Math.min(1, (groups * THREADS) / (processors * busyThreads.dot));
  const bytes = 4 * p.groups.count * taps * (p.rows.count + outputsOf(p));
  // A software adapter changes stacks at each of 8 barriers, for every four threads.
  const barriers = caps.software ? groups * 8 * (THREADS / 4) * SWIFTSHADER.barrier : 0;
  return (
    barriers +
    caps.launch +
    Math.max((groups * THREADS * thread) / (caps.macs * busy), bytes / caps.bandwidth)
  );
}

const bestPatch = (p: Product, caps: Caps): { readonly patch: Patch; readonly seconds: number } =>
  PATCHES.map((patch) => ({ patch, seconds: secondsOf(p, patch, caps) })).reduce((a, b) =>
    b.seconds < a.seconds ? b : a,
  );

function kernelOf(name: string, family: Family): GpuKernel {
  return {
    name,
    ...family,
    unsupportedReason(task) {
      const { products } = productsOf(task)!;
      if (products.length > 1) return "takes no strides of an input gradient";
      return tapsOf(products[0]) < LEAST_TAPS
        ? `sums at least ${LEAST_TAPS} products for each output, not ${tapsOf(products[0])}`
        : null;
    },
    estimate: (task, caps) => bestPatch(productsOf(task)!.products[0], caps).seconds,
    build(task, caps) {
      const { products, a, x } = productsOf(task)!;
      const [p] = products;
      const epilogue = emitEpilogue(task.epilogue, 2);
      const width = inFours(p) ? 4 : 1;
      return {
        scratch: [],
        stages: [
          {
            label: name,
            reads: [
              { name: "a", place: inputAt(a), width },
              { name: "x", place: inputAt(x), width },
              ...epilogue.reads,
            ],
            writes: [{ name: "y", place: outputAt(0) }],
            ...dotShader(p, bestPatch(p, caps).patch, epilogue),
          },
        ],
      };
    },
  };
}

export const dot: GpuKernel = /* @__PURE__ */ kernelOf("dot", CONV);
export const dotGradWeight: GpuKernel = /* @__PURE__ */ kernelOf("dotGradWeight", GRAD_WEIGHT);
export const dotMatmul: GpuKernel = /* @__PURE__ */ kernelOf("dotMatmul", MATMUL);
