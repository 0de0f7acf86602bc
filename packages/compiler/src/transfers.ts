// The copies around a run. The caller chooses the buffers of inputs and outputs, and one buffer may
// be both: an output that would overwrite an input too early is written elsewhere and copied, and so
// is an output that is an input, or the same value as another output.

import type { Allocation } from "./allocation.ts";

export interface Transfer<M> {
  readonly to: M;
  readonly from: M;
  readonly bytes: number;
}

export interface Transfers<M> {
  /** The memory that the program writes as each output. */
  readonly targets: readonly M[];
  /** Copies before the program runs, and after it has run, in order. */
  readonly before: readonly Transfer<M>[];
  readonly after: readonly Transfer<M>[];
}

/**
 * Plans the copies of a program whose outputs have these allocations and sizes. `unsafe[o]` are the
 * inputs whose buffer must not be that of output `o`; `spare(o)` is other memory for that output.
 * The result takes the memory of the inputs and outputs of a run.
 */
export function transfersOf<M>(
  sources: readonly Allocation[],
  sizes: readonly number[],
  unsafe: readonly (readonly number[])[],
  spare: (output: number) => M,
): (ins: readonly M[], outs: readonly M[]) => Transfers<M> {
  const direct = sources.map(({ kind, index }, o) => kind === "output" && index === o);
  return (ins, outs) => {
    const before: Transfer<M>[] = [];
    const after: Transfer<M>[] = [];
    const targets = outs.map((out, o) =>
      direct[o] && unsafe[o].some((i) => ins[i] === out) ? spare(o) : out,
    );
    outs.forEach((to, o) => {
      const bytes = sizes[o];
      const { kind, index } = sources[o];
      const from = kind === "input" ? ins[index]! : targets[index]!;
      if (from === to || bytes === 0) return;
      if (kind === "input" && outs.includes(from)) {
        // The program may write this input's buffer as another output.
        before.push({ to: spare(o), from, bytes });
        after.push({ to, from: spare(o), bytes });
      } else after.push({ to, from, bytes });
    });
    return { targets, before, after };
  };
}
