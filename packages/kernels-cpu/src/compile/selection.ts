// How this back end chooses kernels: the fastest by estimate, unless it rounds more or takes more
// memory without a gain.

import type { Planned as PlannedOf, Selection as SelectionOf, Task } from "@conv/compiler";
import type { Caps } from "./caps.ts";
import type { CpuKernel } from "./code.ts";

export type Planned = PlannedOf<CpuKernel>;
export type Selection = SelectionOf<Caps, CpuKernel>;

/** Seconds that a kernel with larger rounding errors must gain. */
const ROUNDING_SECONDS = 5e-6;
/**
 * Seconds that each additional persistent byte must gain on one thread: a quarter of the time that
 * transforming weights takes (0.4 to 0.5 ns a byte, at the first run and whenever weights change).
 * Winograd's F(6×6, 3×3) stores 64 numbers for 9 weights, and F(4×4, 3×3) stores 36. Where it gains
 * less than this, the two are equally fast (256→256 channels at 56×56: 33 ms and 33 ms, 8 MB more).
 */
const PERSISTENT_SECONDS = 0.1e-9;

const handicap = (kernel: CpuKernel, task: Task, caps: Caps): number =>
  (kernel.roundoff ? ROUNDING_SECONDS : 0) +
  ((kernel.persistentBytes?.(task, caps) ?? 0) * PERSISTENT_SECONDS) / caps.threads;

/** What to choose kernels from. `remedy` is the end of the error for a task that none computes. */
export const selectionOf = (
  caps: Caps,
  kernels: readonly CpuKernel[],
  remedy?: string,
): Selection => ({ caps, kernels, handicap, remedy });
