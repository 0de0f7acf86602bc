// What depends on some of a program's inputs alone (batch normalization's scale from running
// statistics, weights made of weights) is computed when one of these changes, not at every run:
// parts of the plan that stand apart from the rest until their results are read.

import { bytesOf, costOf, type Graph, type Value } from "@conv/tensor";
import { root, type Planned } from "./plan.ts";

/**
 * Numbers of the inputs, in order, whose contents decide whether a part of the plan has to run
 * again.
 */
export type Dependencies = readonly number[];

/** Tasks joined by the values that pass between them; each task of a part has the same one. */
interface Part {
  readonly tasks: Planned[];
  readonly causes: Set<number>;
}

/** Parts above this share of all work are no preparation, but the network itself, or most of it. */
const MOST_WORK = 1 / 4;

/**
 * The causes of each task that need not run at every run. Such a part depends on some inputs but
 * not on all, and makes nothing in `apart` (values whose memory is not theirs alone) and no output.
 * It is a small part of the work, and does no products: the first layers of a network depend on its
 * image and few weights, and are no preparation either. Since what others read of it is kept from
 * run to run, that must not take more memory than those inputs do.
 */
export function persistentSteps(
  graph: Graph,
  planned: readonly Planned[],
  apart: ReadonlySet<Value>,
): Map<Planned, Dependencies> {
  const depends = new Map<Value, ReadonlySet<number>>(
    graph.inputs.map((v, i) => [v, new Set([i])]),
  );
  const kept = new Set(graph.outputs.map(root));
  const parts = new Map<Planned, Part>();
  const makers = new Map<Value, Planned>();
  const reads = new Set(planned.flatMap((p) => p.reads.map(root)));
  const used = graph.inputs.filter((v) => reads.has(v)).length;
  for (const p of planned) {
    const causes = new Set(p.reads.flatMap((v) => [...(depends.get(root(v)) ?? [])]));
    for (const v of p.writes) {
      depends.set(v, causes);
      makers.set(v, p);
    }
    const from = new Set(p.reads.flatMap((v) => makers.get(root(v)) ?? []));
    if (
      causes.size === used ||
      multiplies(p) ||
      p.writes.some((v) => kept.has(v) || apart.has(v)) ||
      [...from].some((q) => !parts.has(q))
    )
      continue;
    const before = new Set([...from].map((q) => parts.get(q)!));
    const own: Part = {
      tasks: [...before].flatMap((b) => b.tasks),
      causes: new Set([...before].flatMap((b) => [...b.causes])),
    };
    own.tasks.push(p);
    for (const i of causes) own.causes.add(i);
    for (const task of own.tasks) parts.set(task, own);
  }
  const read = new Map<Part, Set<Value>>();
  for (const p of planned)
    for (const v of p.reads.map(root)) {
      const part = parts.get(makers.get(v)!);
      if (part && part !== parts.get(p)) read.set(part, (read.get(part) ?? new Set()).add(v));
    }
  const bytes = (values: Iterable<Value>) =>
    [...values].reduce((sum, v) => sum + bytesOf(v.spec), 0);
  const time = (tasks: readonly Planned[]) => tasks.reduce((sum, p) => sum + p.estimate, 0);
  const result = new Map<Planned, Dependencies>();
  for (const part of new Set(parts.values())) {
    const causes = [...part.causes].sort((a, b) => a - b);
    if (causes.length === used || time(part.tasks) > MOST_WORK * time(planned)) continue;
    if (bytes(read.get(part) ?? []) > bytes(causes.map((i) => graph.inputs[i]))) continue;
    for (const task of part.tasks) result.set(task, causes);
  }
  return result;
}

const multiplies = ({ nodes }: Planned): boolean => nodes.some((n) => costOf(n).macs > 0);

/**
 * A plan with the tasks that {@link persistentSteps} finds first, so that nothing waits for them in between;
 * and the causes of each, and of inputs and what they make.
 */
export function persistentFirst<P extends Planned>(
  graph: Graph,
  inOrder: readonly P[],
  apart: ReadonlySet<Value>,
) {
  const once: ReadonlyMap<Planned, Dependencies> = persistentSteps(graph, inOrder, apart);
  const planned = [...inOrder.filter((p) => once.has(p)), ...inOrder.filter((p) => !once.has(p))];
  const causes: ReadonlyMap<Value, Dependencies> = new Map([
    ...graph.inputs.map((v, i) => [v, [i]] as const),
    ...[...once].flatMap(([p, own]) => p.writes.map((v) => [v, own] as const)),
  ]);
  return { once, planned, causes };
}

/**
 * Whether a value that has causes need not outlast the run: it is read only when it has been made
 * anew.
 */
export const sameDependencies = (
  made: Dependencies | undefined,
  read: Dependencies | null,
): boolean => made === undefined || made.join() === read?.join();

/** The different causes of some stages, each once. */
export const distinctDependencies = (
  stages: readonly { readonly once: Dependencies | null }[],
): Dependencies[] => [
  ...new Map(stages.flatMap(({ once }) => (once ? [[once.join(), once] as const] : []))).values(),
];
