// The host back end: every op by its own reference, in float64, one node after the other. Slow,
// obvious, and the oracle.

import type { Backend, Buffer, Program } from "./backend.ts";
import { manageBackend } from "./driver.ts";
import { rangeError } from "./errors.ts";
import type { Graph, Value } from "./graph.ts";
import type { HostArray } from "./op.ts";
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
        throw rangeError("host", `no room for ${bytes} bytes`);
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
          inputs.map(({ data }, i) => decode(data, graph.inputs[i].spec)),
        );
        outputs.forEach(({ data }, i) => encode(results[i], data));
      },
      dispose() {},
    }),
    close() {},
  });

/** Runs a graph by the references of its ops, entirely in float64. */
export function evaluate(graph: Graph, inputs: readonly HostArray[]): HostArray[] {
  const known = new Map<Value, HostArray>();
  graph.inputs.forEach((v, i) => known.set(v, inputs[i]));
  for (const n of graph.nodes) {
    const results = n.op.reference(
      n.inputs.map((v) => known.get(v)!),
      n.params,
    );
    n.outputs.forEach((v, i) => known.set(v, results[i]));
  }
  return graph.outputs.map((v) => known.get(v)!);
}

/** An array for a reference to fill, zero everywhere. */
export const hostArray = (
  s: Spec,
  data: Float64Array = new Float64Array(sizeOf(s.shape)),
): HostArray => ({ shape: s.shape, dtype: s.dtype, data });

function decode(bytes: ArrayBuffer, s: Spec): HostArray {
  const size = sizeOf(s.shape);
  return hostArray(
    s,
    Float64Array.from(
      s.dtype === "int32" ? new Int32Array(bytes, 0, size) : new Float32Array(bytes, 0, size),
    ),
  );
}

function encode(from: HostArray, bytes: ArrayBuffer): void {
  (from.dtype === "int32" ? new Int32Array(bytes) : new Float32Array(bytes)).set(from.data);
}
