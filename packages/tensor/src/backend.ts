// The contract of a back end, a value that is passed and never a global, and of the kernels a back
// end chooses from.

import type { Graph } from "./graph.ts";
import type { Node, Value } from "./op.ts";

/** Memory of a device. Only the back end that made it knows what is behind it. */
export interface Buffer {
  readonly bytes: number;
}

/**
 * What a back end holds: live buffers and the bytes in them, programs and the bytes of their
 * arenas.
 */
export interface MemoryInfo {
  readonly buffers: number;
  readonly bytes: number;
  readonly programs: number;
  readonly programBytes: number;
}

/**
 * A device that can hold tensors and run programs. Calls are enqueued in order; only `read` waits,
 * and reports what went wrong before it. A back end runs until it fails or is disposed. After a
 * failure every call throws its cause; after `dispose` every call throws an error that says so.
 * `free`, and `dispose` of what was made here, do nothing after that. Buffers of another back end
 * are refused.
 */
export interface Backend extends Disposable {
  readonly name: string;
  readonly kind: "host" | "cpu" | "gpu";
  /**
   * Contents are undefined until written. Throws RangeError, with the sizes, unless `bytes` is a
   * whole number ≥ 0 and there is room.
   */
  alloc(bytes: number): Buffer;
  /** Does nothing if the buffer is freed already. */
  free(buffer: Buffer): void;
  /** Writes from the start of the buffer; `data` may be reused as soon as the call returns. */
  write(buffer: Buffer, data: ArrayBufferView): void;
  read(buffer: Buffer): Promise<ArrayBuffer>;
  /**
   * Throws UnsupportedError naming op, shape, and why each kernel declined; RangeError when the
   * device has no room for what lies between the steps.
   */
  compile(graph: Graph): Program;
  memory(): MemoryInfo;
  /**
   * Ends threads and releases the device, with all that was made on it. Does nothing the second
   * time.
   */
  dispose(): void;
}

/** A graph made ready to run on one back end. */
export interface Program {
  readonly steps: readonly Step[];
  /** Bytes that it holds: its arena, and weights that it keeps packed. */
  readonly bytes: number;
  /**
   * Enqueues one run. Outputs may be the same buffers as inputs: the outcome is as if every input
   * were read before any output is written. Two outputs may not share a buffer. A buffer too many,
   * too few or too small for its value is a RangeError, and nothing is written.
   */
  run(inputs: readonly Buffer[], outputs: readonly Buffer[]): void;
  /** Does nothing the second time. */
  dispose(): void;
}

/**
 * Which kernel runs which nodes, with the time it was predicted to take and the kernels it was
 * preferred to.
 */
export interface Step {
  readonly kernel: string;
  readonly nodes: readonly Node[];
  /** Predicted seconds. */
  readonly estimate: number;
  /**
   * The factor c of the bound that the kernel states for its rounding errors, where plain
   * summation's does not hold (Winograd):
   * |Δy| ≤ c·2⁻²³·Σ|x|*·|w|, with |x|* the largest |x| of the channel's plane.
   */
  readonly roundoff?: number | undefined;
  readonly others: readonly { readonly kernel: string; readonly estimate: number }[];
  /**
   * Results that are kept from run to run, where the step runs only when what it depends on has
   * changed.
   */
  readonly persistent?: readonly Value[] | undefined;
}

/**
 * One way to carry out a node, for a back end whose kernels are `Code` and are chosen by geometry
 * `G` and device capabilities `Caps`.
 */
export interface Kernel<G, Caps, Code> {
  readonly name: string;
  /** null if the kernel can do it, else the reason why it cannot, in a few words. */
  unsupportedReason(geometry: G, caps: Caps): string | null;
  /** Predicted seconds; the comment at each says from what it was fitted. */
  estimate(geometry: G, caps: Caps): number;
  build(geometry: G, caps: Caps): Code;
}
