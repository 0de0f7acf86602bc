// Running a graph on a back end and judging every element of every output, with a message that says
// what, where and by how much.

import type { Bounded } from "@conv/ops/cases";
import {
  bytesOf,
  decodeElements,
  encodeElements,
  formatShape,
  hostArray,
  infoOf,
  sizeOf,
  type Backend,
  type Buffer,
  type Elements,
  type Graph,
  type HostArray,
  type Program,
  type Spec,
} from "@conv/tensor";
import { evaluateBounded } from "./roundoff.ts";

/** Values as a device stores them. */
export const packed = ({ dtype, data }: HostArray): Elements => encodeElements(dtype, data);

/** A new buffer that holds the values. */
export function put(backend: Backend, values: HostArray): Buffer {
  const buffer = backend.alloc(bytesOf(values));
  backend.write(buffer, packed(values));
  return buffer;
}

/** A new buffer filled with NaN, so that what a program forgets to write is seen. */
export function blank(backend: Backend, s: Spec): Buffer {
  const buffer = backend.alloc(bytesOf(s));
  backend.write(buffer, new Uint8Array(bytesOf(s)).fill(0xff));
  return buffer;
}

/** What a buffer holds. */
export async function get(backend: Backend, buffer: Buffer, s: Spec): Promise<HostArray> {
  const bytes = await backend.read(buffer);
  if (bytes.byteLength !== bytesOf(s))
    throw new Error(`read gave ${bytes.byteLength} bytes of a buffer of ${bytesOf(s)}`);
  return hostArray(s, decodeElements(s.dtype, bytes, sizeOf(s.shape)));
}

/** Compiles a graph, runs it once in fresh buffers, reads the outputs, frees everything. */
export async function runOnce(
  backend: Backend,
  graph: Graph,
  inputs: readonly HostArray[],
): Promise<HostArray[]> {
  const program = backend.compile(graph);
  try {
    return await runProgram(backend, program, graph, inputs);
  } finally {
    program.dispose();
  }
}

async function runProgram(
  backend: Backend,
  program: Program,
  graph: Graph,
  inputs: readonly HostArray[],
): Promise<HostArray[]> {
  const from = inputs.map((x) => put(backend, x));
  const to = graph.outputs.map((v) => blank(backend, v.spec));
  try {
    program.run(from, to);
    return await Promise.all(to.map((buffer, i) => get(backend, buffer, graph.outputs[i].spec)));
  } finally {
    for (const buffer of [...from, ...to]) backend.free(buffer);
  }
}

/**
 * Runs a graph on a back end, once for each list of inputs, and throws unless every element of
 * every output is within its bound.
 */
export async function check(
  backend: Backend,
  graph: Graph,
  ...runs: readonly (readonly HostArray[])[]
): Promise<void> {
  const program = backend.compile(graph);
  try {
    for (const inputs of runs)
      judge(
        graph,
        await runProgram(backend, program, graph, inputs),
        evaluateBounded(graph, inputs, program.steps),
      );
  } finally {
    program.dispose();
  }
}

/**
 * Throws unless every element is within its bound; the message has the graph, the worst element,
 * what came and what was wanted.
 */
export function judge(graph: Graph, got: readonly HostArray[], want: readonly Bounded[]): void {
  const complaints = got.flatMap((g, i) => {
    const what = difference(g, want[i]);
    return what ? [`output ${i} of ${got.length} (${formatShape(g.shape)}): ${what}`] : [];
  });
  if (complaints.length)
    throw new Error([...complaints, `graph ${describeGraph(graph)}`].join("\n"));
}

/** What is wrong with computed values, or null. */
export function difference(got: HostArray, { value, error }: Bounded): string | null {
  let wrong = 0;
  let worst = -1;
  let worstBy = -1;
  got.data.forEach((g, i) => {
    const [want, bound] = [value.data[i], boundOf(value.data[i], error?.data[i] ?? 0)];
    if (infoOf(got.dtype).range ? g === want : within(g, want, bound)) return;
    wrong++;
    const off = Math.abs(g - want);
    // Infinity for NaN too
    const by = off <= Number.MAX_VALUE ? (bound > 0 ? off / bound : off) : Infinity;
    if (by > worstBy) [worst, worstBy] = [i, by];
  });
  if (!wrong) return null;
  const bound = boundOf(value.data[worst], error?.data[worst] ?? 0);
  const off = got.data[worst] - value.data[worst];
  return (
    `${wrong} of ${got.data.length} wrong, worst at [${indexOf(worst, got.shape)}] (flat ${worst}): ` +
    `got ${got.data[worst]}, want ${value.data[worst]} ± ${bound.toPrecision(3)}, off by ${off.toPrecision(3)}`
  );
}

// Devices may flush what is below the smallest normal number.
const boundOf = (want: number, error: number): number =>
  Math.abs(want) < 2 ** -126 && error > 0 ? error + 2 ** -126 : error;

/** NaN as a bound lets anything pass; NaN as the value wants NaN; infinities want infinities. */
function within(got: number, want: number, bound: number): boolean {
  if (Number.isNaN(bound)) return true;
  if (Number.isNaN(want)) return Number.isNaN(got);
  return got >= Math.fround(want - bound) && got <= Math.fround(want + bound);
}

function indexOf(flat: number, shape: readonly number[]): string {
  const index: number[] = [];
  for (const size of shape.toReversed()) {
    index.unshift(flat % size);
    flat = Math.floor(flat / size);
  }
  return index.join(", ");
}

/** The first nodes of a graph with shapes and parameters, short enough for a message. */
function describeGraph({ inputs, nodes }: Graph): string {
  const shapes = inputs.map(
    ({ spec, name }) =>
      `${name ? `${name} ` : ""}${spec.dtype === "float32" ? "" : `${spec.dtype} `}${formatShape(spec.shape)}`,
  );
  const lines = nodes.slice(0, 12).map((n) => {
    const params = JSON.stringify(n.params);
    return `  ${n.op.name} ${n.inputs.map((v) => formatShape(v.shape)).join(", ")} → ${n.outputs.map((v) => formatShape(v.shape)).join(", ")} ${params.length > 400 ? `${params.slice(0, 400)}…` : params}`;
  });
  return [
    `of inputs ${shapes.join(", ") || "(none)"}`,
    ...lines,
    ...(nodes.length > 12 ? [`  … and ${nodes.length - 12} nodes more`] : []),
  ].join("\n");
}
