// The plan of the GPU back end: the tasks that a graph is divided into, with the kernels of this
// back end's list.

import {
  choose as chooseFrom,
  plan as planOf,
  type Choice,
  type Planned as PlannedOf,
  type Task,
} from "@conv/compiler";
import type { Graph } from "@conv/tensor";
import { kernels } from "../kernels/index.ts";
import type { Caps } from "./caps.ts";
import type { GpuKernel } from "./code.ts";
import { inline } from "./inline.ts";

export type Planned = PlannedOf<GpuKernel>;

export const plan = (graph: Graph, caps: Caps): Planned[] =>
  inline(
    graph,
    planOf(graph, (task) => choose(task, caps), caps.storageBuffers),
    caps,
  );

/**
 * Kernels that take the task, the fastest by their own estimates first. Throws UnsupportedError if
 * there is none.
 */
export const choose = (
  task: Task,
  caps: Caps,
  list: readonly GpuKernel[] = kernels,
): Choice<GpuKernel>[] => chooseFrom(task, caps, list);
