// The host back end: it runs the reference of every op in float64, one node after another. It is
// slow and obvious, and judges the other back ends.

import type { Backend, Buffer, Program } from "./backend.ts";
import { manageBackend } from "./driver.ts";
import { decodeElements, encodeElements } from "./dtypes.ts";
import { message, rangeError } from "./errors.ts";
import { constantsOf, type Constant, type Graph } from "./graph.ts";
import type { HostArray, Value } from "./op.ts";
import { sizeOf, type Spec } from "./spec.ts";

interface HostBuffer extends Buffer {
  data: ArrayBuffer;
}

/**
 * A back end in plain JavaScript. Values between nodes stay in float64; inputs and outputs are
 * those of the dtypes.
 */
export const createHost = (): Backend =>
  manageBackend<HostBuffer, Program>("host").backend("host", {
    alloc(bytes) {
      try {
        return { bytes, data: new ArrayBuffer(bytes) };
      } catch {
        throw rangeError("host", "no-room", message`no room for ${{ bytes }} bytes`);
      }
    },
    free(buffer) {
      buffer.data = new ArrayBuffer(0);
    },
    write: ({ data }, bytes) => new Uint8Array(data).set(bytes),
    read: async ({ data }) => data.slice(0),
    compile: (graph) => ({
      steps: graph.nodes.map((n) => ({ kernel: "reference", nodes: [n], estimate: 0, others: [] })),
      bytes: 0,
      run(inputs: readonly HostBuffer[], outputs: readonly HostBuffer[]) {
        const results = evaluate(
          graph,
          inputs.map(({ data }, i) => {
            const s = graph.inputs[i].spec;
            return hostArray(s, decodeElements(s.dtype, data, sizeOf(s.shape)));
          }),
        );
        outputs.forEach(({ data }, i) => {
          const elements = encodeElements(results[i].dtype, results[i].data);
          new Uint8Array(data).set(new Uint8Array(elements.buffer));
        });
      },
      dispose() {},
    }),
    close() {},
  });

/** Runs a graph by the references of its ops, entirely in float64. */
export function evaluate(graph: Graph, inputs: readonly HostArray[]): HostArray[] {
  const known = new Map<Value, HostArray>();
  graph.inputs.forEach((v, i) => known.set(v, inputs[i]));
  for (const v of constantsOf(graph)) known.set(v, arrayOf(v));
  for (const n of graph.nodes) {
    const results = n.op.reference(
      n.inputs.map((v) => known.get(v)!),
      n.params,
    );
    n.outputs.forEach((v, i) => known.set(v, results[i]));
  }
  return graph.outputs.map((v) => known.get(v)!);
}

/** The elements of a constant as an array for references. */
export const arrayOf = ({ spec: s, data }: Constant): HostArray =>
  hostArray(s, decodeElements(s.dtype, data.slice().buffer, sizeOf(s.shape)));

/** An array for a reference to fill, zero everywhere. */
export const hostArray = (
  s: Spec,
  data: Float64Array = new Float64Array(sizeOf(s.shape)),
): HostArray => ({ shape: s.shape, dtype: s.dtype, data });
