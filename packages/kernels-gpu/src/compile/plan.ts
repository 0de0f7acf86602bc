// The plan of the GPU back end: the tasks that a graph is divided into, each with a kernel of a
// list.

import { plan as planOf } from "@conv/compiler";
import type { Graph } from "@conv/tensor";
import type { Caps } from "./caps.ts";
import type { GpuKernel, Planned } from "./code.ts";
import { inline } from "./inline.ts";

/**
 * Throws UnsupportedError where no kernel of the list computes a task; `remedy` is the end of its
 * message.
 */
export const plan = (
  graph: Graph,
  caps: Caps,
  kernels: readonly GpuKernel[],
  remedy?: string,
): Planned[] =>
  inline(graph, planOf(graph, { kernels, caps, remedy, mostOperands: caps.storageBuffers }), caps);
