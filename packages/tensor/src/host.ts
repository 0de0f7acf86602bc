// The host back end: every op by its own reference, in float64, one node after the other. Slow, obvious, and the oracle.

import { mustHold, type Backend, type Buffer, type Program } from "./backend.ts";
import type { Graph, Value } from "./graph.ts";
import type { HostArray } from "./op.ts";
import { sizeOf, type Spec } from "./spec.ts";

interface HostBuffer extends Buffer {
  data: ArrayBuffer | null;
}

/** A back end in plain JavaScript. Values between nodes stay in float64; inputs and outputs are those of the dtypes. */
export function createHost(): Backend {
  const buffers = new Set<HostBuffer>();
  const programs = new Set<Program>();
  const own = (buffer: Buffer): HostBuffer & { data: ArrayBuffer } => {
    const b = buffer as HostBuffer;
    if (!b.data) throw new Error("host: buffer used after free");
    return b as HostBuffer & { data: ArrayBuffer };
  };
  return {
    name: "host",
    alloc(bytes) {
      try {
        const buffer: HostBuffer = { bytes, data: new ArrayBuffer(bytes) };
        buffers.add(buffer);
        return buffer;
      } catch (cause) {
        throw new RangeError(`host: no room for ${bytes} bytes`, { cause });
      }
    },
    free(buffer) {
      buffers.delete(buffer as HostBuffer);
      (buffer as HostBuffer).data = null;
    },
    write(buffer, data) {
      if (data.byteLength > buffer.bytes) throw new RangeError(`host: ${data.byteLength} bytes do not fit a buffer of ${buffer.bytes}`);
      new Uint8Array(own(buffer).data).set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    },
    async read(buffer) {
      return own(buffer).data.slice(0);
    },
    compile(graph) {
      const program: Program = {
        steps: graph.nodes.map((n) => ({ kernel: "reference", nodes: [n], estimate: 0, others: [] })),
        run(inputs, outputs) {
          mustHold("host", graph, inputs, outputs);
          const results = evaluate(
            graph,
            inputs.map((b, i) => decode(own(b).data, graph.inputs[i].spec)),
          );
          outputs.forEach((b, i) => encode(results[i], own(b).data));
        },
        dispose: () => void programs.delete(program),
      };
      programs.add(program);
      return program;
    },
    memory: () => ({ buffers: buffers.size, bytes: [...buffers].reduce((sum, b) => sum + b.bytes, 0), programs: programs.size, programBytes: 0 }),
    dispose() {
      buffers.clear();
      programs.clear();
    },
  };
}

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
export const hostArray = (s: Spec, data: Float64Array = new Float64Array(sizeOf(s.shape))): HostArray => ({ shape: s.shape, dtype: s.dtype, data });

function decode(bytes: ArrayBuffer, s: Spec): HostArray {
  const size = sizeOf(s.shape);
  return hostArray(s, Float64Array.from(s.dtype === "int32" ? new Int32Array(bytes, 0, size) : new Float32Array(bytes, 0, size)));
}

function encode(from: HostArray, bytes: ArrayBuffer): void {
  (from.dtype === "int32" ? new Int32Array(bytes) : new Float32Array(bytes)).set(from.data);
}
