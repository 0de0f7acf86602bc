// Finds tasks whose results persist from run to run: those that depend on a few inputs of the
// program alone (the scale of batch normalization, made of running statistics; weights made of
// weights). They run again only when one of these inputs changes.

import { bytesOf, costOf, type Graph, type Value } from "@conv/tensor";
import { root } from "./fusion.ts";
import type { Planned } from "./plan.ts";

/** Numbers of inputs of the program, in order. A result that depends on them is invalidated by them. */
export type Dependencies = readonly number[];

/** Tasks connected by the values that pass between them. All of them have the same dependencies. */
interface Component {
  readonly tasks: Planned[];
  readonly dependsOn: Set<number>;
}

/** A component with a larger share of all work is the network itself, or most of it. */
const MOST_WORK = 1 / 4;

/**
 * The dependencies of each persistent task. A component of tasks is persistent if
 * - it depends on some inputs of the program, but not on all that are read;
 * - it makes no output of the graph, and no value of `shared` (values that share memory);
 * - it has a small share of the work, and no products: the first layers of a network depend on the
 *   image and on few weights, but must run every time;
 * - the results that other tasks read take no more memory than the inputs it depends on.
 */
export function persistentTasks(
  graph: Graph,
  planned: readonly Planned[],
  shared: ReadonlySet<Value>,
): Map<Planned, Dependencies> {
  const read = new Set(planned.flatMap((p) => p.reads.map(root)));
  const used = graph.inputs.filter((v) => read.has(v)).length;
  const { components, makers } = componentsOf(graph, planned, shared, used);
  const results = new Map<Component, Set<Value>>();
  for (const p of planned)
    for (const v of p.reads.map(root)) {
      const from = components.get(makers.get(v)!);
      if (from && from !== components.get(p))
        results.set(from, (results.get(from) ?? new Set()).add(v));
    }
  const bytes = (values: Iterable<Value>) =>
    [...values].reduce((sum, v) => sum + bytesOf(v.spec), 0);
  const time = (tasks: readonly Planned[]) => tasks.reduce((sum, p) => sum + p.estimate, 0);
  const persistent = new Map<Planned, Dependencies>();
  for (const component of new Set(components.values())) {
    const dependsOn = [...component.dependsOn].sort((a, b) => a - b);
    if (dependsOn.length === used || time(component.tasks) > MOST_WORK * time(planned)) continue;
    if (bytes(results.get(component) ?? []) > bytes(dependsOn.map((i) => graph.inputs[i])))
      continue;
    for (const task of component.tasks) persistent.set(task, dependsOn);
  }
  return persistent;
}

/** The components of all tasks that may persist, and the task that makes each value. */
function componentsOf(
  graph: Graph,
  planned: readonly Planned[],
  shared: ReadonlySet<Value>,
  used: number,
): { components: Map<Planned, Component>; makers: Map<Value, Planned> } {
  const dependencies = new Map<Value, ReadonlySet<number>>(
    graph.inputs.map((v, i) => [v, new Set([i])]),
  );
  const outputs = new Set(graph.outputs.map(root));
  const components = new Map<Planned, Component>();
  const makers = new Map<Value, Planned>();
  for (const p of planned) {
    const dependsOn = new Set(p.reads.flatMap((v) => [...(dependencies.get(root(v)) ?? [])]));
    for (const v of p.writes) {
      dependencies.set(v, dependsOn);
      makers.set(v, p);
    }
    const from = new Set(p.reads.flatMap((v) => makers.get(root(v)) ?? []));
    if (
      dependsOn.size === used ||
      multiplies(p) ||
      p.writes.some((v) => outputs.has(v) || shared.has(v)) ||
      [...from].some((q) => !components.has(q))
    )
      continue;
    const before = new Set([...from].map((q) => components.get(q)!));
    const joined: Component = {
      tasks: [...[...before].flatMap((c) => c.tasks), p],
      dependsOn: new Set([...[...before].flatMap((c) => [...c.dependsOn]), ...dependsOn]),
    };
    for (const task of joined.tasks) components.set(task, joined);
  }
  return { components, makers };
}

const multiplies = ({ nodes }: Planned): boolean => nodes.some((n) => costOf(n).macs > 0);

/**
 * A plan with the persistent tasks first, so that no other task waits for one of them in between.
 * `invalidatedBy` has the dependencies of these tasks, `dependencies` those of their results and of
 * the inputs.
 */
export function persistentFirst<P extends Planned>(
  graph: Graph,
  inOrder: readonly P[],
  shared: ReadonlySet<Value>,
) {
  const invalidatedBy: ReadonlyMap<Planned, Dependencies> = persistentTasks(graph, inOrder, shared);
  const planned = [
    ...inOrder.filter((p) => invalidatedBy.has(p)),
    ...inOrder.filter((p) => !invalidatedBy.has(p)),
  ];
  const dependencies: ReadonlyMap<Value, Dependencies> = new Map([
    ...graph.inputs.map((v, i) => [v, [i]] as const),
    ...[...invalidatedBy].flatMap(([p, own]) => p.writes.map((v) => [v, own] as const)),
  ]);
  return { planned, invalidatedBy, dependencies };
}

/**
 * Whether a value is read only by stages that are invalidated by the same inputs as the value. If
 * so, its memory need not outlast the run.
 */
export const sameDependencies = (
  made: Dependencies | undefined,
  read: Dependencies | null,
): boolean => made === undefined || made.join() === read?.join();

/** The distinct dependencies of some stages. */
export const distinctDependencies = (
  stages: readonly { readonly invalidatedBy: Dependencies | null }[],
): Dependencies[] => [
  ...new Map(
    stages.flatMap(({ invalidatedBy: d }) => (d ? [[d.join(), d] as const] : [])),
  ).values(),
];

/** Something with contents: no two contents have the same version. */
export interface Versioned {
  version: number;
}

/**
 * Remembers of which contents of the inputs persistent results were made. `changed[d]` tells whether
 * the inputs of `dependencies[d]` have other contents now; `commit` is to be called after a run,
 * before versions change.
 */
export function createFreshness(
  dependencies: readonly Dependencies[],
): (ins: readonly Versioned[]) => { readonly changed: readonly boolean[]; commit(): void } {
  let seen = dependencies.map((inputs) => inputs.map(() => -1));
  return (ins) => {
    const now = dependencies.map((inputs) => inputs.map((i) => ins[i].version));
    return {
      changed: now.map((versions, d) => versions.some((version, j) => seen[d][j] !== version)),
      commit: () => void (seen = now),
    };
  };
}
