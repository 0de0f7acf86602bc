// The contract of a back end, a value that is passed and never a global, and of the kernels a back end chooses from.

import type { Graph, Node, Value } from "./graph.ts";
import { bytesOf } from "./spec.ts";

/** Memory of a device. Only the back end that made it knows what is behind it. */
export interface Buffer {
  readonly bytes: number;
}

/** What a back end holds: live buffers and the bytes in them, programs and the bytes of their arenas. */
export interface MemoryInfo {
  readonly buffers: number;
  readonly bytes: number;
  readonly programs: number;
  readonly programBytes: number;
}

/** A device that can hold tensors and run programs. Calls are enqueued in order; only `read` waits, and reports what went wrong before it. */
export interface Backend {
  readonly name: string;
  /** Contents are undefined until written. Throws RangeError when the device has no room, naming the sizes. */
  alloc(bytes: number): Buffer;
  free(buffer: Buffer): void;
  /** Writes from the start of the buffer; `data` may be reused as soon as the call returns. */
  write(buffer: Buffer, data: ArrayBufferView): void;
  read(buffer: Buffer): Promise<ArrayBuffer>;
  /** Throws UnsupportedError naming op, shape, and why each kernel declined; RangeError when the device has no room for what lies between the steps. */
  compile(graph: Graph): Program;
  memory(): MemoryInfo;
  /** Ends threads and releases the device. Nothing made by it may be used after. */
  dispose(): void;
}

/** A graph made ready to run on one back end. */
export interface Program {
  readonly steps: readonly Step[];
  /**
   * Enqueues one run. Outputs may be the same buffers as inputs: the outcome is as if every input were read before any
   * output is written. Two outputs may not share a buffer. A buffer too many, too few or too small for its value is a RangeError, and
   * nothing is written.
   */
  run(inputs: readonly Buffer[], outputs: readonly Buffer[]): void;
  dispose(): void;
}

/** For back ends: throws RangeError, in the name of one, unless there is a buffer for each input and output of the graph, large enough for it. */
export function mustHold(name: string, { inputs, outputs }: Graph, from: readonly Buffer[], to: readonly Buffer[]): void {
  if (from.length !== inputs.length || to.length !== outputs.length)
    throw new RangeError(`${name}: program takes ${inputs.length} inputs and ${outputs.length} outputs, got ${from.length} and ${to.length}`);
  const each = (values: Graph["inputs"]) => (buffer: Buffer, i: number) => {
    const bytes = bytesOf(values[i].spec);
    if (buffer.bytes < bytes) throw new RangeError(`${name}: buffer of ${buffer.bytes} bytes for a value of ${bytes}`);
  };
  from.forEach(each(inputs));
  to.forEach(each(outputs));
}

/** Which kernel runs which nodes, with the time it was predicted to take and the kernels it was preferred to. */
export interface Step {
  readonly kernel: string;
  readonly nodes: readonly Node[];
  /** Predicted seconds. */
  readonly estimate: number;
  /**
   * The factor c of the bound that the kernel states for its rounding errors, where plain summation's does not hold (Winograd):
   * |Δy| ≤ c·2⁻²³·Σ|x|*·|w|, with |x|* the largest |x| of the channel's plane.
   */
  readonly roundoff?: number;
  readonly others: readonly { readonly kernel: string; readonly estimate: number }[];
  /** Results that are kept from run to run, where the step runs only when what it depends on has changed. */
  readonly keeps?: readonly Value[];
}

/** One way to carry out a node, for a back end whose kernels are `Code` and are chosen by geometry `G` and device capabilities `Caps`. */
export interface Kernel<G, Caps, Code> {
  readonly name: string;
  /** null if the kernel can do it, else the reason why it cannot, in a few words. */
  declines(geometry: G, caps: Caps): string | null;
  /** Predicted seconds; the comment at each says from what it was fitted. */
  estimate(geometry: G, caps: Caps): number;
  build(geometry: G, caps: Caps): Code;
}
