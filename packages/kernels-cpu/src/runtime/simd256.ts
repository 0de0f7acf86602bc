// Pairs of 128-bit vectors in one 256-bit register: V8 joins them in optimized code if the flag
// --experimental-wasm-revectorize is set (in Node at run time, in Chrome when it starts). The flag
// is experimental, so a trial decides whether it is used.

import { add, conv, convOp, matmul, matmulOp, relu, tanh } from "@conv/ops";
import {
  bytesOf,
  spec,
  trace,
  UnsupportedError,
  type Backend,
  type Graph,
  type Program,
} from "@conv/tensor";
import type { CpuKernel } from "../compile/code.ts";
import { nodeModule } from "./threads.ts";

/** What the option `simd256` needs: the flag and the trial. */
export interface Simd256 {
  /** Sets the flag of the engine where a program can do so (in Node). */
  request(): void;
  /**
   * Runs the same work with wide and with narrow tiles, by kernels of the list. Returns null if the
   * wide tiles are correct and faster, else the reason against them.
   */
  trial(kernels: readonly CpuKernel[], wide: Backend, narrow: Backend): Promise<string | null>;
}

export const simd256: Simd256 = {
  request: () => nodeModule("node:v8")?.setFlagsFromString("--experimental-wasm-revectorize"),
  trial: tryPairs,
};

/** The least duration of the trial: the engine optimizes its code meanwhile. */
const TRIAL = { milliseconds: 150, rounds: 30 };
/**
 * Milliseconds until the trial gives up if wide tiles are not faster: other work may delay them.
 */
const PATIENCE = 1000;

const NO_KERNEL = "no kernel of the list is made for 256 bits";

async function tryPairs(
  kernels: readonly CpuKernel[],
  wide: Backend,
  narrow: Backend,
): Promise<string | null> {
  const computes = (op: unknown) => kernels.some(({ ops }) => ops.some((own) => own === op));
  const convolves = computes(convOp);
  if (!convolves && !computes(matmulOp)) return NO_KERNEL;
  // A product of 96×512 and 512×96, as a convolution if there are kernels for it, and one whose
  // epilogue contains an exponential.
  const shapes = convolves
    ? [
        [1, 512, 8, 12],
        [96, 512, 1, 1],
        [96, 1, 1],
        [1, 16, 12, 12],
        [24, 16, 3, 3],
      ]
    : [[96, 512], [512, 96], [96]];
  const specs = shapes.map((shape) => spec(shape));
  const graph = trace(
    (a, b, c, x, w) =>
      convolves
        ? [relu(add(conv(a, b), c)), tanh(conv(x, w, { padding: 1 }))]
        : [relu(add(matmul(a, b), c))],
    specs,
  );
  const programs = compileBoth(graph, [wide, narrow]);
  if (!programs) return NO_KERNEL;
  const sides = [wide, narrow].map((backend, i) => {
    const inputs = specs.map((s, n) => {
      const buffer = backend.alloc(bytesOf(s));
      backend.write(
        buffer,
        Float32Array.from({ length: bytesOf(s) / 4 }, (_, j) => Math.sin(j * (n + 1)) / 4),
      );
      return buffer;
    });
    const outputs = graph.outputs.map((v) => backend.alloc(bytesOf(v.spec)));
    return { backend, inputs, outputs, program: programs[i], least: Infinity };
  });
  try {
    const [a, b] = sides;
    const begin = performance.now();
    // Wide tiles take 0.75 of the time of narrow ones if pairs are joined, and 1.35 of it if not.
    // The least times of many short runs are least disturbed by other work on the machine.
    const faster = () => 1.1 * a.least < b.least;
    for (
      let round = 0;
      round < TRIAL.rounds ||
      performance.now() - begin < (faster() ? TRIAL.milliseconds : PATIENCE);
      round++
    )
      for (const side of sides) {
        const start = performance.now();
        for (let i = 0; i < 3; i++) side.program.run(side.inputs, side.outputs);
        await side.backend.read(side.inputs[2]); // waits for a worker
        side.least = Math.min(side.least, performance.now() - start);
      }
    if (!faster())
      return "the engine does not join pairs of vectors (it needs --experimental-wasm-revectorize, and AVX2)";
    for (const o of a.outputs.keys()) {
      const [got, want] = await Promise.all(
        sides.map(async ({ backend, outputs }) => new Float32Array(await backend.read(outputs[o]))),
      );
      if (!got.every((v, i) => Math.abs(v - want[i]) <= 1e-4))
        return "the engine joins pairs of vectors, but their results are wrong";
    }
    return null;
  } finally {
    for (const { backend, program, inputs, outputs } of sides) {
      program.dispose();
      for (const buffer of [...inputs, ...outputs]) backend.free(buffer);
    }
  }
}

/** The program of each back end; null if their kernels cannot compute the graph. */
function compileBoth(graph: Graph, backends: readonly Backend[]): Program[] | null {
  try {
    return backends.map((backend) => backend.compile(graph));
  } catch (error) {
    if (error instanceof UnsupportedError) return null;
    throw error;
  }
}
