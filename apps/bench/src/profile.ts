// Where the time of a network goes: each step of its program compiled and timed alone, on random data that lies in the caches as well
// as it will. The sum is near the time of the whole; where it is not, the text says so.

import { createCpu, type CpuBackend } from "@conv/kernels-cpu";
import { bytesOf, graphOf, input, node, optimise, sizeOf, type Graph, type Node, type Step, type Value } from "@conv/tensor";
import { networkCase } from "./networks.ts";
import { operand } from "./random.ts";
import { table, three } from "./report/text.ts";

export interface ProfileOptions {
  readonly threads: number;
  readonly simd256: boolean;
  readonly batch: number;
}

interface Line {
  readonly step: Step;
  readonly ms: number;
  readonly macs: number;
  readonly bytes: number;
}

/** Steps with less of the time than this many percent share a line. */
const SMALL = 0.2;

/** Tables for a terminal: every step, then every kernel. */
export async function profile(model: string, { threads, simd256, batch }: ProfileOptions): Promise<string> {
  const backend = await createCpu({ threads, simd256 });
  const { graph: traced, operands } = networkCase(model, batch);
  const graph = optimise(traced);
  const { steps } = backend.compile(graph);
  const whole = timeOf(backend, graph, operands, 1000);
  const lines = steps.map((step): Line => {
    const alone = extract(step.nodes, graph);
    const ms = timeOf(
      backend,
      alone,
      alone.inputs.map((v, i) => operand(i + 1, sizeOf(v.shape)).map(Math.abs)),
    );
    const bytes = [...alone.inputs, ...alone.outputs].reduce((sum, v) => sum + bytesOf(v.spec), 0);
    return { step, ms, macs: step.nodes.reduce((sum, n) => sum + macsOf(n), 0), bytes };
  });
  backend.dispose();
  const sum = total(lines, "ms");
  const share = (ms: number) => `${((100 * ms) / sum).toFixed(1)} %`;
  const cells = (some: readonly Line[]) => {
    const ms = total(some, "ms");
    return [three(ms), share(ms), three((2 * total(some, "macs")) / ms / 1e6), three(total(some, "bytes") / ms / 1e6)];
  };
  const [large, small] = [lines.filter(({ ms }) => ms >= (SMALL / 100) * sum), lines.filter(({ ms }) => ms < (SMALL / 100) * sum)];
  const columns = ["ms", "share", "GFLOP/s", "GB/s"];
  const byKernel = Map.groupBy(lines, ({ step }) => step.kernel);
  const ordered = [...byKernel].toSorted(([, a], [, b]) => total(b, "ms") - total(a, "ms"));
  return [
    `${model}, batch ${batch}, ${threads === 1 ? "one thread" : `${threads} threads`}: ${three(whole)} ms; its ${steps.length} steps alone ${three(sum)} ms`,
    table([
      ["step", "kernel", ...columns],
      ...large.map((line) => [nameOf(line.step), line.step.kernel, ...cells([line])]),
      ...(small.length ? [[`${small.length} steps under ${SMALL} %`, "", ...cells(small)]] : []),
    ]),
    table([["kernel", "steps", ...columns], ...ordered.map(([kernel, some]) => [kernel, `${some.length}`, ...cells(some)])]),
  ].join("\n\n");
}

const total = (lines: readonly Line[], key: "ms" | "macs" | "bytes"): number => lines.reduce((sum, line) => sum + line[key], 0);

const macsOf = (n: Node): number =>
  n.op.cost(
    n.inputs.map((v) => v.spec),
    n.params,
  ).macs;

/** Path, ops, and the shapes of what goes in and comes out. */
function nameOf({ nodes }: Step): string {
  const [first, last] = [nodes[0], nodes.at(-1)!];
  const shapes = [first.inputs[0].shape, ...(macsOf(first) ? [first.inputs[1].shape] : []), last.outputs[0].shape].map((s) => s.join("×"));
  return `${first.path} ${nodes.map((n) => n.op.name).join("+")} ${shapes.join(" → ")}`;
}

/** Nodes of a graph as a graph of their own: inputs are what they take from outside, outputs what is used outside. */
function extract(nodes: readonly Node[], graph: Graph): Graph {
  const inside = new Set(nodes);
  const made = nodes.flatMap((n) => n.outputs);
  const taken = new Set(nodes.flatMap((n) => n.inputs).filter((v) => !made.includes(v)));
  const copies = new Map<Value, Value>([...taken].map((v) => [v, input(v.spec)]));
  for (const n of nodes)
    node(
      n.op,
      n.params,
      n.inputs.map((v) => copies.get(v)!),
    ).forEach((v, i) => copies.set(n.outputs[i], v));
  const wanted = made.filter((v) => graph.outputs.includes(v) || graph.nodes.some((n) => !inside.has(n) && n.inputs.includes(v)));
  return graphOf(
    [...taken].map((v) => copies.get(v)!),
    wanted.map((v) => copies.get(v)!),
  );
}

/** The least milliseconds of at least seven runs and 40 ms, after `warmMs` for the engine to make its best code. */
function timeOf(backend: CpuBackend, graph: Graph, values: readonly Float32Array[], warmMs = 40): number {
  const program = backend.compile(graph);
  const inputs = values.map((data) => {
    const buffer = backend.alloc(data.byteLength);
    backend.write(buffer, data);
    return buffer;
  });
  const outputs = graph.outputs.map((v) => backend.alloc(bytesOf(v.spec)));
  const times = (count: number, ms: number) => {
    const each: number[] = [];
    for (const end = performance.now() + ms; each.length < count || performance.now() < end;) {
      const started = performance.now();
      program.run(inputs, outputs);
      each.push(performance.now() - started);
    }
    return each;
  };
  times(3, warmMs);
  const least = times(7, 40).reduce((a, b) => Math.min(a, b));
  program.dispose();
  for (const buffer of [...inputs, ...outputs]) backend.free(buffer);
  return least;
}
