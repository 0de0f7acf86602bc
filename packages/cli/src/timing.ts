// How long a network takes on the CPU back end: what the kernels of each step estimate, and what was measured.

import { createCpu, type CpuBackend } from "@conv/kernels-cpu";
import { matmul } from "@conv/ops";
import { bytesOf, costOf, graphOf, optimise, spec, trace, type Graph, type Node, type Value } from "@conv/tensor";

/** One step of the program. Plain data; seconds, and bytes that it reads and writes, each operand once. */
export interface StepTime {
  readonly path: string;
  readonly ops: readonly string[];
  readonly kernel: string;
  readonly macs: number;
  readonly bytes: number;
  readonly predicted: number;
  /** Absent where nothing was run. */
  readonly measured?: number;
}

export interface Timing {
  readonly threads: number;
  readonly predicted: number;
  /** Of the whole network; absent where it was not run. */
  readonly measured?: number;
  /** Bytes of the program's own memory: what lies between its steps, packed weights, room for kernels. */
  readonly programBytes: number;
  /** What this machine reaches: GFLOP/s of its kernels in a large matrix product, GB/s read and written when copying. */
  readonly roofs: { readonly gflops: number; readonly bandwidth: number };
  readonly layers: readonly StepTime[];
}

const [WARM, TIMED] = [0.03, 0.06]; // seconds: for the engine to make its best code, then for the least of many times

/** Compiles the network and asks the kernels of its steps what they will take; with `run` also runs it, and each step alone. */
export async function timeLayers({ graph: traced }: { readonly graph: Graph }, run: boolean, threads?: number): Promise<Timing> {
  const cpu = await createCpu(threads === undefined ? {} : { threads });
  try {
    const graph = optimise(traced);
    const program = cpu.compile(graph);
    const { steps, bytes } = program;
    program.dispose();
    const known = new Map<string, number>(); // networks repeat their layers
    const layers = steps.map(({ nodes, kernel, estimate }): StepTime => {
      const part = alone(nodes, graph);
      const key = JSON.stringify([...nodes.map((n) => [n.op.name, n.params]), ...part.inputs.map((v) => v.shape)]);
      if (run && !known.has(key)) known.set(key, leastTime(cpu, part));
      const measured = known.get(key);
      return {
        path: nodes[0].path,
        ops: nodes.map((n) => n.op.name),
        kernel,
        macs: nodes.reduce((sum, n) => sum + costOf(n).macs, 0),
        bytes: [...part.inputs, ...part.outputs].reduce((sum, v) => sum + bytesOf(v.spec), 0),
        predicted: estimate,
        ...(measured !== undefined && { measured }),
      };
    });
    return {
      threads: cpu.caps.threads,
      predicted: steps.reduce((sum, s) => sum + s.estimate, 0),
      ...(run && { measured: leastTime(cpu, graph) }),
      programBytes: bytes,
      roofs: roofsOf(cpu),
      layers,
    };
  } finally {
    cpu.dispose();
  }
}

/** The nodes of a step as a graph of their own. */
function alone(nodes: readonly Node[], graph: Graph): Graph {
  const inside = new Set(nodes);
  const kept = new Set(graph.outputs);
  const users = new Map<Value, Node[]>();
  for (const n of graph.nodes) for (const v of n.inputs) users.set(v, [...(users.get(v) ?? []), n]);
  const reads = new Set(nodes.flatMap((n) => n.inputs).filter((v) => !v.node || !inside.has(v.node)));
  const writes = nodes.flatMap((n) => n.outputs).filter((v) => kept.has(v) || (users.get(v) ?? []).some((n) => !inside.has(n)));
  return optimise(graphOf([...reads], writes));
}

function leastTime(cpu: CpuBackend, graph: Graph): number {
  const program = cpu.compile(graph);
  const [inputs, outputs] = [graph.inputs, graph.outputs].map((list) => list.map((v) => cpu.alloc(bytesOf(v.spec))));
  graph.inputs.forEach((v, i) =>
    cpu.write(inputs[i], v.dtype === "int32" ? new Int32Array(1) : Float32Array.from({ length: bytesOf(v.spec) / 4 }, (_, j) => Math.sin(j) / 8)),
  );
  try {
    let least = Infinity;
    const until = (seconds: number, record: boolean) => {
      let runs = 0;
      for (let spent = 0; spent < seconds || runs < 3; runs++) {
        const start = performance.now();
        program.run(inputs, outputs);
        const time = (performance.now() - start) / 1000;
        spent += time;
        if (record) least = Math.min(least, time);
        if (spent > 20 * seconds) break;
      }
    };
    until(WARM, false);
    until(TIMED, true);
    return least;
  } finally {
    program.dispose();
    for (const buffer of [...inputs, ...outputs]) cpu.free(buffer);
  }
}

const SIDE = 512; // of the matrices whose product stands for the most that the kernels reach
const COPIED = 32 * 2 ** 20; // bytes, beyond the caches of a core

function roofsOf(cpu: CpuBackend): Timing["roofs"] {
  const square = spec([SIDE, SIDE]);
  const seconds = leastTime(
    cpu,
    trace((a, b) => matmul(a, b), [square, square]),
  );
  const [from, to] = [new Uint8Array(COPIED).fill(1), new Uint8Array(COPIED)];
  let copy = Infinity;
  for (let run = 0; run < 8; run++) {
    const start = performance.now();
    to.set(from);
    copy = Math.min(copy, performance.now() - start);
  }
  return { gflops: (2 * SIDE ** 3) / seconds / 1e9, bandwidth: (2 * COPIED) / copy / 1e6 };
}
