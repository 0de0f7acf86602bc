// Why each step of a graph is run by the kernel it is: the candidates with what their estimates are
// made of, the reasons of all others, and, on a running back end, the time that each really takes;
// and what a program would hold. An entry point of its own, as programs do without.

import { refusal, serves } from "@conv/compiler";
import { allocate, bytesOf, optimize, type Graph, type Node } from "@conv/tensor";
import type { CpuBackend } from "./backend.ts";
import type { Caps } from "./compile/caps.ts";
import type { CostRow, Work } from "./compile/code.ts";
import { layOut, type ProgramLayout } from "./compile/layout.ts";
import { choose, plan } from "./compile/plan.ts";
import type { CpuProgram } from "./compile/program.ts";
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
  /** What the estimate is the sum of; empty for kernels whose estimate is one formula. */
  readonly parts: readonly Part[];
  /** See `Step.roundoff` of @conv/tensor. */
  readonly roundoff?: number | undefined;
}

export interface Explanation {
  readonly nodes: readonly Node[];
  readonly chosen: string;
  /** Kernels that can do it, the quickest by their estimates first. */
  readonly candidates: readonly Candidate[];
  /** All others; `foreign` are those made for other ops. */
  readonly declined: readonly {
    readonly kernel: string;
    readonly reason: string;
    readonly foreign: boolean;
  }[];
}

/**
 * What a program of the graph would hold with these capabilities, to the byte, without compiling
 * it. Throws UnsupportedError where no kernel can do a step.
 */
export const layoutOf = (graph: Graph, caps: Caps): ProgramLayout =>
  layOut(graph, caps, kernels).layout;

/**
 * One explanation for each step that `caps` would make of a graph. Throws UnsupportedError where no
 * kernel can do a step.
 */
export function explain(graph: Graph, caps: Caps): Explanation[] {
  return plan(optimize(graph), caps, kernels).map(({ nodes, task, kernel }) => ({
    nodes,
    chosen: kernel.name,
    candidates: choose(task, caps, kernels).map(
      ({ kernel: { name, roundoff, work }, estimate }) => ({
        kernel: name,
        estimate,
        parts: work ? partsOf(name, work(task, caps), caps) : [],
        roundoff,
      }),
    ),
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
  /** Turns of each kernel after it has warmed up, and milliseconds of a turn. */
  readonly rounds?: number | undefined;
  readonly turnMs?: number | undefined;
  /** Sees the outputs of each kernel's first run. */
  readonly check?: ((kernel: string, outputs: readonly Float32Array[]) => void) | undefined;
}

/** Milliseconds and runs before a kernel is measured: by then the engine has made its best code. */
const WARM = { ms: 25, runs: 10 };

/**
 * Least seconds of a run of a graph of one step by each kernel, which take turns, so that what the
 * machine does meanwhile hits all alike. Runs are measured in bundles of 0.2 ms at least, for
 * clocks are coarse. Throws an Error if a kernel cannot do it.
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
      if (steps[0]?.kernel !== names[i]) throw new Error(`${names[i]} does not do this`);
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
