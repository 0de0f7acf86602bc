// The plan of the CPU back end: the tasks that a graph is divided into, each with a kernel of a
// list.

import {
  choose as chooseFrom,
  plan as planOf,
  type Choice,
  type Planned as PlannedOf,
} from "@conv/compiler";
import type { Graph } from "@conv/tensor";
import type { Caps } from "./caps.ts";
import type { CpuKernel, Task } from "./code.ts";

export type Planned = PlannedOf<CpuKernel>;

export const plan = (
  graph: Graph,
  caps: Caps,
  kernels: readonly CpuKernel[],
  remedy?: string,
): Planned[] => planOf(graph, (task) => choose(task, caps, kernels, remedy));

/** What a kernel that states a larger rounding error must gain to be taken. */
const ROUNDING_SECONDS = 5e-6;
/**
 * What a byte more to keep must gain on one thread, a quarter of the time in which transformed
 * weights are made (0.4 to 0.5 ns a byte, at the first run and whenever they change). Winograd's
 * F(6×6, 3×3) makes 64 numbers of 9: over F(4×4, 3×3), with 36, it has gained next to nothing where
 * it does not pay this (256→256 channels at 56×56: 33 ms and 33 ms, 8 MB more).
 */
const PERSISTENT_SECONDS = 0.1e-9;

/**
 * Kernels that take the task, the fastest by their own estimates first. What rounds more must gain
 * something (small sums come out as written), and so must what takes more memory. Throws
 * UnsupportedError if there is none.
 */
export const choose = (
  task: Task,
  caps: Caps,
  kernels: readonly CpuKernel[],
  remedy?: string,
): Choice<CpuKernel>[] =>
  chooseFrom(
    task,
    caps,
    kernels,
    (kernel) =>
      (kernel.roundoff ? ROUNDING_SECONDS : 0) +
      ((kernel.persistentBytes?.(task, caps) ?? 0) * PERSISTENT_SECONDS) / caps.threads,
    remedy,
  );
