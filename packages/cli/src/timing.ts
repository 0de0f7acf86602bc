// The time of a network on a back end: the estimates of the kernels for each step, and measured
// times.

import { programMemoryOf, type ProgramMemory } from "@conv/analysis";
import { layoutOf } from "@conv/kernels-cpu/explain";
import type { GpuBackend } from "@conv/kernels-gpu";
import { matmul, neg } from "@conv/ops";
import {
  allocate,
  bytesOf,
  costOf,
  exactly,
  graphOf,
  keyOfOp,
  optimize,
  spec,
  trace,
  type Buffer,
  type Graph,
  type Node,
  type Value,
} from "@conv/tensor";
import { openBackend, type DeviceOptions, type Opened } from "./backend.ts";

/**
 * One step of the program. Plain data; seconds, and bytes that it reads and writes, each operand
 * once.
 */
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
  /** What it runs on, in words. */
  readonly on: string;
  readonly predicted: number;
  /** Of the whole network; absent where it was not run. */
  readonly measured?: number;
  /**
   * Bytes of the program's memory: values between its steps, packed weights, scratch of kernels.
   */
  readonly programBytes: number;
  /**
   * Memory that the programs of inference and of a training step reserve, on a back end that plans
   * it before it compiles.
   */
  readonly reserved?: {
    readonly inference: ProgramMemory;
    readonly training: ProgramMemory | null;
  };
  /**
   * Measured peaks of the device: GFLOP/s in a large matrix product, GB/s read and written in a
   * copy.
   */
  readonly roofs: { readonly gflops: number; readonly bandwidth: number };
  readonly layers: readonly StepTime[];
}

// seconds: to let the engine optimize the code, then to measure
const [WARM, TIMED] = [0.03, 0.06];

/** The graphs of a network, and what to measure. */
export interface TimingOptions extends DeviceOptions {
  readonly graph: Graph;
  /**
   * Of a training step, all but two of whose outputs are written over inputs; null where there is
   * none.
   */
  readonly training: Graph | null;
  /** Whether to run it, and measure each step. */
  readonly run: boolean;
}

/** Compiles the network and collects the estimates of its steps. */
export async function timeLayers({
  graph: traced,
  training,
  run,
  ...options
}: TimingOptions): Promise<Timing> {
  const { backend, on, announce } = await openBackend(options);
  try {
    announce();
    const graph = optimize(traced);
    const program = backend.compile(graph);
    const { steps, bytes } = program;
    const reserved = "blocks" in program &&
      backend.kind === "cpu" && {
        inference: programMemoryOf(program),
        training:
          training &&
          programMemoryOf(layoutOf(training, backend.caps), {
            inPlace: training.outputs.length - 2,
          }),
      };
    program.dispose();
    const before = await roofsOf(backend);
    const times = run
      ? await (backend.kind === "gpu"
          ? timesWithin(backend, graph)
          : timesAlone(backend, graph, steps))
      : [];
    const layers = steps.map(({ nodes, kernel, estimate }, i): StepTime => {
      const part = alone(nodes, graph);
      return {
        path: nodes[0].path,
        ops: nodes.map((n) => n.op.name),
        kernel,
        macs: nodes.reduce((sum, n) => sum + costOf(n).macs, 0),
        bytes: [...part.inputs, ...part.outputs].reduce((sum, v) => sum + bytesOf(v.spec), 0),
        predicted: estimate,
        ...(run && { measured: times[i] }),
      };
    });
    return {
      on,
      predicted: steps.reduce((sum, s) => sum + s.estimate, 0),
      ...(run && { measured: await leastTime(backend, graph) }),
      programBytes: bytes,
      ...(reserved && { reserved }),
      roofs: higher(before, run ? await roofsOf(backend) : before),
      layers,
    };
  } finally {
    backend.dispose();
  }
}

type Timed = Opened["backend"];

/** Each step as a separate program: the CPU cannot time steps within one. */
async function timesAlone(
  backend: Timed,
  graph: Graph,
  steps: readonly { readonly nodes: readonly Node[] }[],
): Promise<number[]> {
  const known = new Map<string, Promise<number>>(); // networks repeat their layers
  const times: number[] = [];
  for (const { nodes } of steps) {
    const part = alone(nodes, graph);
    const key = exactly([
      ...nodes.map((n) => keyOfOp(n.op, n.params)),
      ...part.inputs.map((v) => v.spec),
    ]);
    const time = known.get(key) ?? leastTime(backend, part);
    known.set(key, time);
    times.push(await time);
  }
  return times;
}

const MOST = 8; // runs with timestamps: one takes seconds on a software adapter

/**
 * The minimum of several runs of each step within the whole program, by timestamps of the device.
 */
async function timesWithin(backend: GpuBackend, graph: Graph): Promise<number[]> {
  const program = backend.compile(graph);
  return withBuffers(backend, graph, async (inputs, outputs) => {
    let least = await program.time(inputs, outputs);
    const start = performance.now();
    for (let run = 1; run < MOST && performance.now() - start < 20e3 * TIMED; run++) {
      const times = await program.time(inputs, outputs);
      least = least.map((t, i) => Math.min(t, times[i]));
    }
    return least;
  }).finally(() => program.dispose());
}

/** The nodes of a step as a separate graph. */
function alone(nodes: readonly Node[], graph: Graph): Graph {
  const inside = new Set(nodes);
  const kept = new Set(graph.outputs);
  const users = new Map<Value, Node[]>();
  for (const n of graph.nodes) for (const v of n.inputs) users.set(v, [...(users.get(v) ?? []), n]);
  const reads = new Set(
    nodes.flatMap((n) => n.inputs).filter((v) => !v.node || !inside.has(v.node)),
  );
  const writes = nodes
    .flatMap((n) => n.outputs)
    .filter((v) => kept.has(v) || (users.get(v) ?? []).some((n) => !inside.has(n)));
  return optimize(graphOf([...reads], writes));
}

const WAVE = Float32Array.from({ length: 4096 }, (_, i) => Math.sin(i) / 8);

/** So many numbers: WAVE, repeated. */
function waves(count: number): Float32Array {
  const data = new Float32Array(count);
  for (let at = 0; at < count; at += WAVE.length) data.set(WAVE.subarray(0, count - at), at);
  return data;
}

async function withBuffers<R>(
  backend: Timed,
  graph: Graph,
  work: (inputs: readonly Buffer[], outputs: readonly Buffer[]) => Promise<R>,
): Promise<R> {
  const buffers = allocate(
    backend,
    [...graph.inputs, ...graph.outputs].map((v) => bytesOf(v.spec)),
  );
  const [inputs, outputs] = [
    buffers.slice(0, graph.inputs.length),
    buffers.slice(graph.inputs.length),
  ];
  graph.inputs.forEach((v, i) =>
    backend.write(inputs[i], v.dtype === "int32" ? new Int32Array(1) : waves(bytesOf(v.spec) / 4)),
  );
  return work(inputs, outputs).finally(() => buffers.forEach((buffer) => backend.free(buffer)));
}

// seconds that runs on the GPU take together, much longer than waiting for them takes
const SHORTEST = 5e-3;

async function leastTime(backend: Timed, graph: Graph): Promise<number> {
  const program = backend.compile(graph);
  const onGpu = backend.kind === "gpu";
  const fence = backend.alloc(4);
  return withBuffers(backend, graph, async (inputs, outputs) => {
    let [least, runs] = [Infinity, 1];
    const timed = async () => {
      const start = performance.now();
      for (let i = 0; i < runs; i++) program.run(inputs, outputs);
      if (onGpu) await backend.read(fence); // the CPU is done when it returns
      return (performance.now() - start) / 1000;
    };
    if (onGpu) await timed(); // compiles
    if (onGpu) while ((await timed()) < SHORTEST) runs *= 2;
    const until = async (seconds: number, record: boolean) => {
      for (let [count, spent] = [0, 0]; spent < seconds || count < 3; count++) {
        const time = await timed();
        spent += time;
        if (record) least = Math.min(least, time / runs);
        if (spent > 20 * seconds) break;
      }
    };
    await until(WARM, false);
    await until(TIMED, true);
    return least;
  }).finally(() => {
    program.dispose();
    backend.free(fence);
  });
}

// The side of the matrices whose product measures the peak. A GPU needs large ones to be busy; a
// software GPU is slow.
const sideOn = (backend: Timed) => (backend.kind === "gpu" ? (backend.software ? 256 : 4096) : 512);
// Bytes of the copy: more than the caches of a core hold.
const copiedOn = (backend: Timed) =>
  backend.kind === "gpu" && backend.software ? 2 ** 20 : 32 * 2 ** 20;

async function roofsOf(backend: Timed): Promise<Timing["roofs"]> {
  const side = sideOn(backend);
  const copied = copiedOn(backend);
  const square = spec([side, side]);
  const product = trace((a, b) => matmul(a, b), [square, square]);
  const copy = trace((x) => neg(x), [spec([copied / 4])]);
  return {
    gflops: (2 * side ** 3) / (await leastTime(backend, product)) / 1e9,
    bandwidth: (2 * copied) / (await leastTime(backend, copy)) / 1e9,
  };
}

/** The higher of two measurements: other processes only lower them. */
const higher = (a: Timing["roofs"], b: Timing["roofs"]): Timing["roofs"] => ({
  gflops: Math.max(a.gflops, b.gflops),
  bandwidth: Math.max(a.bandwidth, b.bandwidth),
});
