// Elementwise results that are made anew wherever they are read, and never stored, where that takes
// less time: x − mean in batch normalization is read by the variance, by the result and by three
// steps of the gradient, and each reads x as well instead. Reductions take what an expression makes
// of several inputs, so that what is only summed need not be stored either.

import { fusedOp, inputName, root } from "@conv/compiler";
import { countFns, substitute, variables, type Expr } from "@conv/ops";
import { bytesOf, isOp, sameShape, sizeOf, type Graph, type Value } from "@conv/tensor";
import { fused } from "../kernels/elementwise/fused.ts";
import { reduce, termsOf } from "../kernels/elementwise/reduce.ts";
import type { Caps } from "./caps.ts";
import type { Planned } from "./code.ts";

/** Expressions above this many characters stop growing. */
const LONGEST = 4000;
/**
 * Steps by which what an expression reads may have to be kept longer and still counts as kept
 * anyway.
 */
const SOON = 8;

/**
 * A task that is nothing but expressions over what it reads, i0, i1, …: elementwise work, or a
 * reduction of such.
 */
interface Computed {
  readonly reads: readonly Value[];
  readonly values: readonly Expr[];
  readonly shape: readonly number[];
}

/** Values that a task reads for its expressions; an epilogue's come after. */
const readsOf = ({ reads, task }: Planned): readonly Value[] =>
  reads.slice(0, reads.length - (task.epilogue?.operands.length ?? 0));

function computedOf(p: Planned): Computed | null {
  const reads = readsOf(p);
  if (isOp(p.task, fusedOp)) return { reads, ...p.task.params };
  if (p.kernel !== reduce) return null;
  const { of, shape } = termsOf(p.task);
  return { reads, values: [of], shape };
}

/** The plan with results computed where they are read, wherever that is worth it. */
export function inline(graph: Graph, planned: readonly Planned[], caps: Caps): Planned[] {
  const tasks: (Planned | null)[] = [...planned];
  const kept = new Set(graph.outputs.map(root));
  const given = new Set(graph.inputs);
  const readers = new Map<Value, Set<number>>();
  const put = (i: number, task: Planned) => {
    tasks[i] = task;
    for (const v of task.reads) readers.set(root(v), (readers.get(root(v)) ?? new Set()).add(i));
  };
  const readersOf = (v: Value) =>
    [...(readers.get(v) ?? [])]
      .filter((i) => tasks[i]?.reads.some((r) => root(r) === v))
      .sort((a, b) => a - b);
  planned.forEach((task, i) => put(i, task));

  /**
   * Whether a value is there until that task, or nearly. An input of the program may be overwritten
   * by an output once it has been read.
   */
  const stays = (u: Value, end: number) => {
    const last = readersOf(root(u)).at(-1)!;
    if (given.has(root(u)))
      return !tasks.some((t, i) => i > last && i < end && t?.writes.some((w) => kept.has(w)));
    return kept.has(root(u)) || last + SOON >= end;
  };

  /**
   * Computes these results of task q where they are read; false, and nothing, where that is not
   * possible or not worth it.
   */
  const attempt = (q: number, results: readonly Value[]): boolean => {
    const maker = tasks[q]!;
    const { reads, values } = computedOf(maker)!;
    const [changed, seen] = [new Map<number, Planned>(), new Set<Value>()];
    let again = 0;
    for (const v of results) {
      const at = readersOf(v);
      if (at.length === 0 || kept.has(v)) return false;
      const f = values[maker.writes.indexOf(v)];
      const used = usedBy(f, reads);
      const longer = used.filter((u) => !stays(u, at.at(-1)!));
      if (longer.some((u) => given.has(root(u))) || bytes(longer) > bytes([v])) return false;
      for (const i of at) {
        const taken = taking(changed.get(i) ?? tasks[i]!, v, f, reads, caps);
        if (!taken) return false;
        changed.set(i, taken);
      }
      for (const u of used) seen.add(u);
      again += ((at.length - 1) * countFns(f) * sizeOf(v.shape)) / caps.macs;
    }
    const left = maker.writes.filter((w) => !results.includes(w));
    const exprs = left.map((w) => values[maker.writes.indexOf(w)]);
    const still = new Set(exprs.flatMap((e) => usedBy(e, reads)));
    const before = [
      ...results,
      ...[...seen].filter((u) => !still.has(u)),
      ...[...changed.keys()].flatMap((i) => tasks[i]!.reads),
    ];
    const after = [...changed.values()].flatMap((t) => t.reads);
    if ((bytes(before) - bytes(after)) / caps.bandwidth <= again) return false;
    const [first] = [...changed.keys()].sort((a, b) => a - b);
    for (const [i, task] of changed)
      put(
        i,
        left.length === 0 && i === first
          ? { ...task, nodes: [...maker.nodes, ...task.nodes] }
          : task,
      );
    tasks[q] = left.length ? rebuilt(maker, reads, exprs, left, caps) : null;
    return true;
  };

  planned.forEach(({ kernel, writes }, q) => {
    if (kernel !== fused || attempt(q, writes)) return;
    for (const v of writes) attempt(q, [v]);
  });
  return tasks.filter((t) => t !== null);
}

const bytes = (values: readonly Value[]): number =>
  values.reduce((sum, v) => sum + bytesOf(v.spec), 0);

const usedBy = (f: Expr, reads: readonly Value[]): Value[] => {
  const names = variables(f);
  return reads.filter((_, i) => names.has(inputName(i)));
};

/**
 * The task with `f` over `from` in place of `v`, which it reads element by element; null where it
 * cannot be so.
 */
function taking(p: Planned, v: Value, f: Expr, from: readonly Value[], caps: Caps): Planned | null {
  const own = computedOf(p);
  if (!own || !sameShape(own.shape, v.shape)) return null;
  if (p.reads.some((r) => root(r) === v && r !== v) || p.reads.slice(own.reads.length).includes(v))
    return null;
  const reads = [
    ...own.reads.filter((r) => r !== v),
    ...usedBy(f, from).filter((u) => !own.reads.includes(u)),
  ];
  const named = (list: readonly Value[]) =>
    list.map((u): [string, Expr] => [inputName(list.indexOf(u)), inputName(reads.indexOf(u))]);
  const inner = substitute(f, Object.fromEntries(named(from)));
  const by = { ...Object.fromEntries(named(own.reads)), [inputName(own.reads.indexOf(v))]: inner };
  const values = own.values.map((e) => substitute(e, by));
  const fits =
    reads.length + (p.reads.length - own.reads.length) + p.writes.length <= caps.storageBuffers;
  return fits && JSON.stringify(values).length <= LONGEST
    ? rebuilt(p, reads, values, p.writes, caps)
    : null;
}

/** The task with other expressions; of what it may read only what they use is left. */
function rebuilt(
  p: Planned,
  all: readonly Value[],
  values: readonly Expr[],
  writes: readonly Value[],
  caps: Caps,
): Planned {
  const reads = all.filter((_, i) => values.some((e) => variables(e).has(inputName(i))));
  const by = Object.fromEntries(
    all.map((u, i): [string, Expr] => [inputName(i), inputName(reads.indexOf(u))]),
  );
  const exprs = values.map((e) => substitute(e, by));
  const operands = p.reads.slice(readsOf(p).length);
  const { shape } = computedOf(p)!;
  const params =
    p.kernel === fused ? { shape, values: exprs } : { ...termsOf(p.task), of: exprs[0], shape };
  const everything = [...reads, ...operands];
  const flops =
    exprs.reduce<number>((sum, e) => sum + countFns(e), p.kernel === reduce ? 1 : 0) *
    sizeOf(shape);
  const task = {
    ...p.task,
    params,
    inputs: everything.map((u) => u.spec),
    outputs: writes.map((w) => w.spec),
    cost: { macs: 0, flops, bytesRead: bytes(everything), bytesWritten: bytes(writes) },
  };
  const alike = everything.filter((u) => sameShape(u.shape, writes[0].shape)).map(root);
  const elementwise = new Set(
    p.kernel === fused
      ? alike.filter((u) =>
          everything.every((r) => root(r) !== u || sameShape(r.shape, writes[0].shape)),
        )
      : [],
  );
  return {
    ...p,
    task,
    reads: everything,
    writes,
    estimate: p.kernel.estimate(task, caps),
    elementwise,
  };
}
