// Explains why each step of a graph runs by its kernel: the candidates with the parts of their
// estimates, the reasons against all others, and measured times; and the memory that a program
// would take. A separate entry point, which programs do not need.

import { choose, plan, refusal, serves } from "@conv/compiler";
import {
  allocate,
  bytesOf,
  message,
  optimize,
  unsupported,
  type Graph,
  type Node,
} from "@conv/tensor";
import type { CpuBackend } from "./backend.ts";
import type { Caps } from "./compile/caps.ts";
import type { CostRow, Work } from "./compile/code.ts";
import { layOut, type ProgramLayout } from "./compile/layout.ts";
import type { CpuProgram } from "./compile/program.ts";
import { selectionOf } from "./compile/selection.ts";
import { partsOf, type Part } from "./kernels/fitted.ts";
import { kernels } from "./kernels/index.ts";

export { costs } from "./kernels/costs.ts";
export { capsOf } from "./compile/caps.ts";
export { kinds, type Part } from "./kernels/fitted.ts";
export type { ProgramBlock, ProgramLayout } from "./compile/layout.ts";
export type { Caps, CostRow, Work };

export interface Candidate {
  readonly kernel: string;
  /** Predicted seconds. */
  readonly estimate: number;
  /** The parts of the estimate; empty if it is one formula. */
  readonly parts: readonly Part[];
  /** See `Step.roundoff` of @conv/tensor. */
  readonly roundoff?: number | undefined;
}

export interface Explanation {
  readonly nodes: readonly Node[];
  readonly chosen: string;
  /** The kernels that can compute it, by estimate. */
  readonly candidates: readonly Candidate[];
  /** All other kernels; `foreign` if they compute other ops. */
  readonly declined: readonly {
    readonly kernel: string;
    readonly reason: string;
    readonly foreign: boolean;
  }[];
}

/**
 * The memory that a program of the graph would take with these capabilities, to the byte, without
 * compiling it. Throws UnsupportedError if no kernel can compute a step.
 */
export function layoutOf(graph: Graph, caps: Caps): ProgramLayout {
  const optimized = optimize(graph);
  return layOut(optimized, plan(optimized, selectionOf(caps, kernels)), caps).layout;
}

/**
 * One explanation for each step of a program of the graph with these capabilities. Throws
 * UnsupportedError if no kernel can compute a step.
 */
export function explain(graph: Graph, caps: Caps): Explanation[] {
  const selection = selectionOf(caps, kernels);
  return plan(optimize(graph), selection).map(({ nodes, task, kernel }) => ({
    nodes,
    chosen: kernel.name,
    candidates: choose(task, selection).map(({ kernel: { name, roundoff, work }, estimate }) => ({
      kernel: name,
      estimate,
      parts: work ? partsOf(name, work(task, caps), caps) : [],
      roundoff,
    })),
    declined: kernels.flatMap((k) => {
      const reason = refusal(k, task, caps);
      return reason === null ? [] : [{ kernel: k.name, reason, foreign: !serves(k, task) }];
    }),
  }));
}

export interface MeasureOptions {
  /** Values of the graph's inputs. */
  readonly inputs: readonly Float32Array[];
  /** Names of the kernels to measure. */
  readonly kernels: readonly string[];
  /** Rounds in which each kernel is measured after warming up, and milliseconds of each. */
  readonly rounds?: number | undefined;
  readonly turnMs?: number | undefined;
  /** Called with the outputs of each kernel's first run. */
  readonly check?: ((kernel: string, outputs: readonly Float32Array[]) => void) | undefined;
}

/** Milliseconds and runs before a kernel is measured, in which the engine optimizes its code. */
const WARM = { ms: 25, runs: 10 };

/**
 * The least seconds of a run of a graph of one step, for each kernel. The kernels take turns, so
 * that other work on the machine affects all of them alike. Runs are measured in groups of at least
 * 0.2 ms, since clocks are coarse. Throws UnsupportedError if a kernel cannot compute the step.
 */
export async function measure(
  cpu: CpuBackend,
  graph: Graph,
  { inputs: values, kernels: names, rounds = 5, turnMs = 3, check }: MeasureOptions,
): Promise<number[]> {
  const sizes = [
    ...values.map((data) => data.byteLength),
    ...graph.outputs.map((v) => bytesOf(v.spec)),
  ];
  const buffers = allocate(cpu, sizes);
  const [inputs, outputs] = [buffers.slice(0, values.length), buffers.slice(values.length)];
  const programs: CpuProgram[] = [];
  const timed = (i: number, runs: number) => {
    const start = performance.now();
    for (let run = 0; run < runs; run++) programs[i].run(inputs, outputs);
    return (performance.now() - start) / 1000;
  };
  try {
    values.forEach((data, i) => cpu.write(inputs[i], data));
    for (const name of names) programs.push(cpu.compile(graph, { prefer: [name] }));
    const bundles: number[] = [];
    for (const [i, { steps }] of programs.entries()) {
      if (steps[0]?.kernel !== names[i]) {
        const kernel = names[i];
        throw unsupported("measure", "kernel", message`${{ kernel }} does not compute this step`);
      }
      let last = timed(i, 1);
      check?.(
        names[i],
        await Promise.all(outputs.map(async (buffer) => new Float32Array(await cpu.read(buffer)))),
      );
      for (
        let runs = 1, spent = last;
        (runs < WARM.runs || spent < WARM.ms / 1000) && spent < 0.5;
        runs++
      )
        spent += last = timed(i, 1);
      bundles.push(Math.ceil(0.2e-3 / last));
    }
    const least = names.map(() => Infinity);
    for (let round = 0; round < rounds; round++)
      for (const i of names.keys()) {
        let spent = 0;
        do {
          const time = timed(i, bundles[i]);
          spent += time;
          least[i] = Math.min(least[i], time / bundles[i]);
        } while (spent < turnMs / 1000);
      }
    return least;
  } finally {
    for (const program of programs) program.dispose();
    for (const buffer of buffers) cpu.free(buffer);
  }
}
