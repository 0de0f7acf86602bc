// Where the time of a network goes: each step of its program is compiled alone, and they run one
// after the other on the network's own data, so that each finds the caches as the others leave
// them. The sum is near the time of the whole.

import { createCpu, type CpuBackend } from "@conv/kernels-cpu";
import { reshapeOp } from "@conv/ops";
import {
  bytesOf,
  graphOf,
  input,
  node,
  optimize,
  type Buffer,
  type Graph,
  type Node,
  type Program,
  type Step,
  type Value,
} from "@conv/tensor";
import { macsOfNodes, networkCase } from "./networks.ts";
import { SHARE } from "./pace.ts";
import { table, three } from "./report/text.ts";

export interface ProfileOptions {
  readonly threads: number;
  readonly simd256: boolean;
  readonly batch: number;
}

/**
 * A program that is timed for a step, or (step null) a copy that the whole program does without.
 */
interface Part {
  readonly step: Step | null;
  readonly program: Program;
  readonly inputs: readonly Buffer[];
  readonly outputs: readonly Buffer[];
}

interface Line {
  readonly step: Step;
  readonly ms: number;
  readonly macs: number;
  readonly bytes: number;
}

/** Steps with less of the time than this many percent share a line. */
const SMALL = 0.2;
/**
 * For V8 to make its best code, and then for the least of many times to stand for an undisturbed
 * one.
 */
const [WARM_MS, TIMED_MS] = [1000 * SHARE, 1500 * SHARE];

/** Tables for a terminal: every step, then every kernel. */
export async function profile(
  model: string,
  { threads, simd256, batch }: ProfileOptions,
): Promise<string> {
  const backend = await createCpu({ threads, simd256 });
  const { graph: traced, operands } = networkCase(model, batch);
  const graph = optimize(traced);
  const program = backend.compile(graph);
  const buffers = new Map<Value, Buffer>(
    graph.inputs.map((v) => [v, backend.alloc(bytesOf(v.spec))]),
  );
  graph.inputs.forEach((v, i) => backend.write(buffers.get(v)!, operands[i]));
  const outputs = graph.outputs.map((v) => backend.alloc(bytesOf(v.spec)));
  const inputs = graph.inputs.map((v) => buffers.get(v)!);
  const [whole] = leastTimes([() => program.run(inputs, outputs)]);
  const parts = partsOf(backend, graph, program.steps, buffers);
  const times = leastTimes(parts.map((p) => () => p.program.run(p.inputs, p.outputs)));
  const lines = parts.flatMap(({ step, inputs: reads, outputs: writes }, i): Line[] => {
    if (!step) return [];
    const bytes = [...reads, ...writes].reduce((total, b) => total + b.bytes, 0);
    return [{ step, ms: times[i], macs: macsOfNodes(step.nodes), bytes }];
  });
  backend.dispose();
  const sum = total(lines, "ms");
  const share = (ms: number) => `${((100 * ms) / sum).toFixed(1)} %`;
  const cells = (some: readonly Line[]) => {
    const ms = total(some, "ms");
    return [
      three(ms),
      share(ms),
      three((2 * total(some, "macs")) / ms / 1e6),
      three(total(some, "bytes") / ms / 1e6),
    ];
  };
  const [large, small] = [
    lines.filter(({ ms }) => ms >= (SMALL / 100) * sum),
    lines.filter(({ ms }) => ms < (SMALL / 100) * sum),
  ];
  const columns = ["ms", "share", "GFLOP/s", "GB/s"];
  const byKernel = Map.groupBy(lines, ({ step }) => step.kernel);
  const ordered = [...byKernel].toSorted(([, a], [, b]) => total(b, "ms") - total(a, "ms"));
  return [
    `${model}, batch ${batch}, ${threads === 1 ? "one thread" : `${threads} threads`}: ${three(whole)} ms; its ${lines.length} steps one by one ${three(sum)} ms`,
    table([
      ["step", "kernel", ...columns],
      ...large.map((line) => [nameOf(line.step), line.step.kernel, ...cells([line])]),
      ...(small.length ? [[`${small.length} steps under ${SMALL} %`, "", ...cells(small)]] : []),
    ]),
    table([
      ["kernel", "steps", ...columns],
      ...ordered.map(([kernel, some]) => [kernel, `${some.length}`, ...cells(some)]),
    ]),
  ].join("\n\n");
}

const total = (lines: readonly Line[], key: "ms" | "macs" | "bytes"): number =>
  lines.reduce((sum, line) => sum + line[key], 0);

/** Path, ops, and the shapes of what goes in and comes out. */
function nameOf({ nodes }: Step): string {
  const [first, last] = [nodes[0], nodes.at(-1)!];
  const shapes = [
    first.inputs[0].shape,
    ...(macsOfNodes([first]) ? [first.inputs[1].shape] : []),
    last.outputs[0].shape,
  ].map((s) => s.join("×"));
  return `${first.path} ${nodes.map((n) => n.op.name).join("+")} ${shapes.join(" → ")}`;
}

/**
 * A program for each step, in order, over one buffer for each value that goes from one to another.
 */
function partsOf(
  backend: CpuBackend,
  graph: Graph,
  steps: readonly Step[],
  buffers: Map<Value, Buffer>,
): Part[] {
  const inside = new Set(steps.flatMap((s) => s.nodes));
  const parts: Part[] = [];
  const add = (step: Step | null, nodes: readonly Node[]) => {
    const { alone, reads, writes } = extract(nodes, graph, inside);
    for (const v of writes) buffers.set(v, backend.alloc(bytesOf(v.spec)));
    parts.push({
      step,
      program: backend.compile(alone),
      inputs: reads.map((v) => buffers.get(v)!),
      outputs: writes.map((v) => buffers.get(v)!),
    });
  };
  // What no step does (a concatenation whose pieces are written in place) is done between them as
  // soon as it can be.
  const left = new Set(graph.nodes.filter((n) => n.op !== reshapeOp && !inside.has(n)));
  const copies = () => {
    for (const n of left)
      if (n.inputs.every((v) => buffers.has(source(v, inside)))) {
        left.delete(n);
        add(null, [n]);
      }
  };
  for (const step of steps) {
    copies();
    add(step, step.nodes);
  }
  return parts;
}

/** The value that reshapes outside all steps make `v` from. */
const source = (v: Value, inside: ReadonlySet<Node>): Value =>
  v.node?.op === reshapeOp && !inside.has(v.node) ? source(v.node.inputs[0], inside) : v;

/**
 * Nodes as a graph of their own: it reads what they take from outside, and writes what is used
 * there.
 */
function extract(
  nodes: readonly Node[],
  graph: Graph,
  inside: ReadonlySet<Node>,
): { alone: Graph; reads: Value[]; writes: Value[] } {
  const copies = new Map<Value, Value>();
  const reads: Value[] = [];
  const copyOf = (v: Value): Value => {
    const known = copies.get(v);
    if (known) return known;
    const outer = source(v, inside) !== v && v.node;
    const copy = outer ? node(outer.op, outer.params, [copyOf(outer.inputs[0])])[0] : input(v.spec);
    if (!outer) reads.push(v);
    copies.set(v, copy);
    return copy;
  };
  for (const n of nodes)
    node(n.op, n.params, n.inputs.map(copyOf)).forEach((v, i) => copies.set(n.outputs[i], v));
  const made = nodes.flatMap((n) => n.outputs);
  const writes = made.filter(
    (v) =>
      graph.outputs.includes(v) ||
      graph.nodes.some((n) => !nodes.includes(n) && n.inputs.includes(v)),
  );
  return {
    alone: graphOf(
      reads.map((v) => copies.get(v)!),
      writes.map((v) => copies.get(v)!),
    ),
    reads,
    writes,
  };
}

/** The least milliseconds of each of several calls that are made in turns. */
function leastTimes(calls: readonly (() => void)[]): number[] {
  const least = calls.map(() => Infinity);
  const round = () =>
    calls.forEach((call, i) => {
      const started = performance.now();
      call();
      least[i] = Math.min(least[i], performance.now() - started);
    });
  const repeat = (ms: number) => {
    const end = performance.now() + ms;
    do round();
    while (performance.now() < end);
  };
  repeat(WARM_MS);
  least.fill(Infinity);
  repeat(TIMED_MS);
  return least;
}
