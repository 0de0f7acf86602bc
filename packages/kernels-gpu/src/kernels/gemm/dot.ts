// Products of few outputs and long sums, such as a matrix with a vector: one workgroup makes a few
// outputs, its threads take turns along the taps, and the sums of the threads are added as a tree,
// always in the same order.

import type { Caps } from "../../compile/caps.ts";
import { inputAt, outputAt, type GpuKernel } from "../../compile/code.ts";
import {
  coordinates,
  each,
  emitEpilogue,
  indent,
  mainOf,
  plus,
  sumOf,
  times,
  type EmittedEpilogue,
  guarded,
} from "../../wgsl/wgsl.ts";
import {
  CONV,
  GRAD_WEIGHT,
  MATMUL,
  axisNames,
  channelAt,
  leaves,
  outputsOf,
  productsOf,
  tapsOf,
  type Product,
  type Family,
} from "./product.ts";
import { loopInBlocks } from "./sums.ts";

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
/** Sums shorter than this leave most threads without work. */
const LEAST_TAPS = 2 * THREADS;

/**
 * Whether four taps lie side by side in both operands, wherever they begin at a multiple of four.
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

const patchesOf = (p: Product, { rows, columns }: Patch) =>
  [Math.ceil(p.rows.count / rows), Math.ceil(outputsOf(p) / columns)] as const;

/**
 * The shader: bindings a and x, of vectors where taps lie in fours, and y; and those of the
 * epilogue.
 */
function dotShader(
  p: Product,
  patch: Patch,
  epilogue: EmittedEpilogue,
): { code: string; groups: number } {
  const { axes, rows } = p;
  const [rowPatches, columnPatches] = patchesOf(p, patch);
  const [taps, outputs] = [tapsOf(p), outputsOf(p)];
  const fours = inFours(p);
  const [wide, T] = fours ? [4, "vec4f"] : [1, "f32"];
  const names = axisNames(p);
  const outer = axes.flatMap(({ grid }, i) => (grid > 1 ? [i] : []));
  const summed = axes.flatMap(({ taps: n }, i) => (n > 1 ? [i] : []));
  const checked = axes.map(leaves);
  const pairs = each(patch.rows, (m) => each(patch.columns, (c) => `${m}_${c}`)).flat();
  const lead = axes.reduce((n, axis) => n + axis.first * axis.x, p.offset.x);
  const at = (value: string) => (fours ? `u32(${value}) / 4` : value);

  const column = (c: number) => [
    `let column${c} = ${plus(times("column_patch", patch.columns), c)};`,
    coordinates(
      `column${c}`,
      outer.map((i) => axes[i].grid),
      outer.map((i) => `${names[i]}${c}`),
    ),
    `let x_first${c}: i32 = ${plus(
      sumOf([
        ["i32(part)", p.groups.x],
        ...outer.map((i) => [`i32(${names[i]}${c})`, axes[i].step * axes[i].x] as const),
      ]),
      lead,
    )};`,
    ...axes.flatMap((axis, i) =>
      checked[i]
        ? [
            `let ${names[i]}_first${c} = ${plus(axis.grid > 1 ? times(`i32(${names[i]}${c})`, axis.step) : "0", axis.first)};`,
          ]
        : [],
    ),
  ];
  const input = (c: number) => {
    const inside = axes.flatMap((axis, i) => {
      if (!checked[i]) return [];
      const moved = axis.taps > 1 ? ` + ${times(`i32(tap_${names[i]})`, axis.delta)}` : "";
      return [`(u32(${names[i]}_first${c}${moved}) < ${axis.size})`];
    });
    const load = `${T}(x[${at(`x_first${c} + x_tap`)}])`;
    return `let x${c} = ${guarded(load, inside, `${T}()`)};`;
  };
  const body = [
    coordinates(
      "group",
      [p.groups.count, columnPatches, rowPatches],
      ["part", "column_patch", "row_patch"],
    ),
    `let row = ${times("row_patch", patch.rows)};`,
    // prettier-ignore
    `let a_first: u32 = ${plus(sumOf([["part", p.groups.a], ["row", rows.a]]), p.offset.a)};`,
    ...each(patch.columns, column).flat(),
    ...pairs.map((n) => `var s${n} = ${T}();`),
    loopInBlocks({
      at: "tap",
      from: `lane${wide > 1 ? ` * ${wide}` : ""}`,
      to: `${taps}u`,
      step: THREADS * wide,
      turns: Math.ceil(taps / (THREADS * wide)),
      sums: pairs.map((n) => `s${n}`),
      T,
      body: (sums) =>
        [
          coordinates(
            "tap",
            summed.map((i) => axes[i].taps),
            summed.map((i) => `tap_${names[i]}`),
          ),
          `let a_tap = ${sumOf(summed.map((i) => [`tap_${names[i]}`, axes[i].a] as const))};`,
          `let x_tap = ${sumOf(summed.map((i) => [`i32(tap_${names[i]})`, axes[i].delta * axes[i].x] as const))};`,
          ...each(
            patch.rows,
            (m) => `let a${m} = ${T}(a[${at(plus("a_first + a_tap", m * rows.a))}]);`,
          ),
          ...each(patch.columns, input),
          ...sums.map(
            (s, i) => `${s} = fma(a${Math.floor(i / patch.columns)}, x${i % patch.columns}, ${s});`,
          ),
        ].join("\n"),
    }),
    ...pairs.map(
      (n, i) =>
        `sums[lane * ${pairs.length} + ${i}] = ${fours ? `(s${n}.x + s${n}.y) + (s${n}.z + s${n}.w)` : `s${n}`};`,
    ),
    "workgroupBarrier();",
    `for (var half = ${THREADS / 2}u; half > 0; half /= 2) {`,
    `  if (lane < half) {`,
    `    for (var i = lane * ${pairs.length}; i < (lane + 1) * ${pairs.length}; i++) { sums[i] += sums[i + half * ${pairs.length}]; }`,
    `  }`,
    "  workgroupBarrier();",
    "}",
    // Each output by a thread of its own.
    `if (lane < ${pairs.length}) {`,
    indent(
      [
        `let own_row = row + lane / ${patch.columns};`,
        `let own_column = column_patch * ${patch.columns} + lane % ${patch.columns};`,
        `if (own_row < ${rows.count} && own_column < ${outputs}) {`,
        indent(
          [
            coordinates(
              "own_column",
              outer.map((i) => axes[i].grid),
              outer.map((i) => `own_${names[i]}`),
            ),
            // prettier-ignore
            `let element = ${plus(sumOf([["part", p.groups.y], ["own_row", rows.y], ...outer.map((i) => [`own_${names[i]}`, axes[i].y] as const)]), p.offset.y)};`,
            epilogue.store(
              {
                r: "sums[lane]",
                channel: channelAt(p, "part", "own_row"),
                column: "own_column",
                element: "element",
              },
              "out",
            ),
            "y[element] = Y(out);",
          ].join("\n"),
        ),
        "}",
      ].join("\n"),
    ),
    "}",
  ];
  const groups = p.groups.count * columnPatches * rowPatches;
  const code = [
    `var<workgroup> sums: array<f32, ${THREADS * pairs.length}>;`,
    epilogue.functions,
    mainOf(groups, THREADS, body.filter(Boolean).join("\n")),
  ];
  return { code: code.filter(Boolean).join("\n\n"), groups };
}

/** Processors of a device, and threads that each keeps at work while others wait for memory. */
const [PROCESSORS, BUSY] = [132, 1024];

/**
 * A device: a load takes the place of four multiply-adds; or memory, where what workgroups share
 * comes from the cache.
 */
function secondsOf(p: Product, patch: Patch, caps: Caps): number {
  const [rowPatches, columnPatches] = patchesOf(p, patch);
  const [taps, wide] = [tapsOf(p), inFours(p) ? 4 : 1];
  const groups = p.groups.count * rowPatches * columnPatches;
  const checks = p.axes.filter(leaves).length;
  const turn =
    patch.rows * patch.columns * wide +
    4 * (patch.rows + patch.columns * (1 + checks)) * (wide === 4 ? 2 : 1) +
    8;
  const thread =
    Math.ceil(taps / (THREADS * wide)) * turn +
    12 * Math.log2(THREADS) * patch.rows * patch.columns +
    100;
  const busy = Math.min(1, (groups * THREADS) / (PROCESSORS * BUSY));
  const bytes = 4 * p.groups.count * taps * (p.rows.count + outputsOf(p));
  // A software adapter changes stacks at every barrier, for every four threads.
  const barriers = caps.software ? groups * 8 * (THREADS / 4) * 1e-7 : 0;
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

function kernelOf(name: string, { ops, does, fuses }: Family): GpuKernel {
  return {
    name,
    fuses,
    unsupportedReason(task) {
      if (!ops.includes(task.op)) return does;
      const { products } = productsOf(task)!;
      if (products.length > 1) return "makes all outputs by one rule";
      return tapsOf(products[0]) < LEAST_TAPS
        ? `adds at least ${LEAST_TAPS} products for each output, not ${tapsOf(products[0])}`
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

export const dot = kernelOf("dot", CONV);
export const dotGradWeight = kernelOf("dotGradWeight", GRAD_WEIGHT);
export const dotMatmul = kernelOf("dotMatmul", MATMUL);
