// Pairs of 128-bit vectors as one register of 256 bits: V8 joins them in optimized code where
// --experimental-wasm-revectorize is set, in Node at run time too, in Chrome at its start. It is an
// experiment of the engine's, so it is believed only after a trial.

import { add, conv, matmul, relu, tanh } from "@conv/ops";
import { bytesOf, spec, trace, type Backend } from "@conv/tensor";
import { nodeModule } from "./threads.ts";

/** Asks the engine to join pairs, where a program may ask. */
export const requestPairs = (): void =>
  nodeModule("node:v8")?.setFlagsFromString("--experimental-wasm-revectorize");

/**
 * The trial, in which the engine optimizes its code too: at least so many milliseconds and rounds,
 */
const TRIAL = { milliseconds: 150, rounds: 30 };
/**
 * and, as long as the wide tiles are not faster, so many milliseconds: other work on the machine
 * may have held them up.
 */
const PATIENCE = 1000;

/**
 * Runs the same work by wide and by narrow tiles. null if the wide ones are right and faster, else
 * what is wrong.
 */
export async function tryPairs(wide: Backend, narrow: Backend): Promise<string | null> {
  const specs = [
    spec([96, 512]),
    spec([512, 96]),
    spec([96]),
    spec([1, 16, 12, 12]),
    spec([24, 16, 3, 3]),
  ];
  const graph = trace(
    (a, b, c, x, w) => [relu(add(matmul(a, b), c)), tanh(conv(x, w, { padding: 1 }))],
    specs,
  );
  const sides = [wide, narrow].map((backend) => {
    const inputs = specs.map((s, i) => {
      const buffer = backend.alloc(bytesOf(s));
      backend.write(
        buffer,
        Float32Array.from({ length: bytesOf(s) / 4 }, (_, j) => Math.sin(j * (i + 1)) / 4),
      );
      return buffer;
    });
    const outputs = graph.outputs.map((v) => backend.alloc(bytesOf(v.spec)));
    return { backend, inputs, outputs, program: backend.compile(graph), least: Infinity };
  });
  try {
    const [a, b] = sides;
    const begin = performance.now();
    // Joined, wide tiles take 0.75 of the time of narrow ones, and 1.35 of it otherwise. The least
    // times of many short runs: on a machine with other work too they are those of the code.
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
        await side.backend.read(side.inputs[2]); // a worker may be at it
        side.least = Math.min(side.least, performance.now() - start);
      }
    if (!faster())
      return "the engine does not join pairs of vectors (it needs --experimental-wasm-revectorize, and AVX2)";
    for (const o of a.outputs.keys()) {
      const [got, want] = await Promise.all(
        sides.map(async ({ backend, outputs }) => new Float32Array(await backend.read(outputs[o]))),
      );
      if (!got.every((v, i) => Math.abs(v - want[i]) <= 1e-4))
        return "the engine joins pairs of vectors, and computes wrongly with them";
    }
    return null;
  } finally {
    for (const { backend, program, inputs, outputs } of sides) {
      program.dispose();
      for (const buffer of [...inputs, ...outputs]) backend.free(buffer);
    }
  }
}
