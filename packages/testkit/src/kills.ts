// Ends worker threads at random moments, inside barriers too, while the caller runs and compiles
// programs: every call must return or throw soon. Node only.

import type { Worker } from "node:worker_threads";
import { conv, matmul, relu, softmax } from "@conv/ops";
import { sizeOf, spec, trace, type Backend } from "@conv/tensor";

/** What is tried: a back end with threads, and a worker for one of them. */
export interface Threaded {
  createCpu(options: { readonly threads: number; readonly worker: () => Worker }): Promise<
    Backend & {
      readonly caps: { readonly threads: number };
      readonly singleThreadReason: string | null;
    }
  >;
  makeWorker(): Worker;
}

/** Many stages with little work, so that threads meet all the time; and one with more. */
const graphs = [
  trace(
    (x, w) => {
      let y = x;
      for (let i = 0; i < 6; i++) y = softmax(matmul(y, w), i % 2);
      return y;
    },
    [spec([32, 32]), spec([32, 32])],
  ),
  trace(
    (x, w) => relu(conv(relu(conv(x, w, { padding: 1 })), w, { padding: 1 })),
    [spec([1, 32, 56, 56]), spec([32, 32, 3, 3])],
  ),
];

export interface Kill {
  /** What the calls threw. */
  readonly message: string;
  /** From the kill to the throw. */
  readonly milliseconds: number;
  /** The call that found it. */
  readonly call: string;
}

/**
 * Ends one thread of one back end, and gives what the caller saw. `random` gives numbers 0 ≤ x < 1.
 * Throws if a call was wrong.
 */
export async function kill(
  { createCpu, makeWorker }: Threaded,
  random: () => number,
): Promise<Kill> {
  const workers: Worker[] = [];
  const threads = 2 + Math.floor(random() * 2);
  const worker = () => {
    const made = makeWorker();
    workers.push(made);
    return made;
  };
  const cpu = await createCpu({ threads, worker });
  if (cpu.caps.threads !== threads) throw new Error(`no threads: ${cpu.singleThreadReason}`);
  const graph = graphs[Math.floor(random() * 2)];
  const buffers = [...graph.inputs, ...graph.outputs].map((v) => cpu.alloc(4 * sizeOf(v.shape)));
  const program = cpu.compile(graph);
  const run = () => program.run(buffers.slice(0, 2), buffers.slice(2));
  const compile = () => cpu.compile(graphs[0]).dispose();
  const calls = { run, compile };
  const times = Math.floor(random() * 30);
  for (let i = 0; i < times; i++) run();
  const pause = random() < 0.5 ? 0 : random() * 3;
  const victim = workers[Math.floor(random() * workers.length)];
  const compiles = random() < 0.3;
  void victim.terminate(); // it ends a little later, whatever it is at
  const start = performance.now();
  while (performance.now() - start < pause);
  let name: keyof typeof calls = "run";
  try {
    for (;;) {
      name = compiles ? "compile" : "run";
      calls[name]();
      if (performance.now() - start > 10_000) throw new Error("nobody noticed in 10 s");
    }
  } catch (error) {
    const milliseconds = performance.now() - start;
    const message = error instanceof Error ? error.message : String(error);
    // The death of a thread may be the cause that is told, or its event.
    if (
      !/^cpu: a (thread failed \(thread 0: thread \d has ended\)|worker has ended); make the back end again$/.test(
        message,
      )
    )
      throw error;
    for (const call of [
      run,
      compile,
      () => cpu.alloc(4),
      () => cpu.write(buffers[0], new Float32Array(1)),
    ]) {
      const again = thrown(call);
      if (again !== error) throw new Error(`a later call gave ${again}`, { cause: error });
    }
    program.dispose();
    cpu.free(buffers[0]);
    return { message, milliseconds, call: name };
  } finally {
    cpu.dispose();
  }
}

function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return "nothing";
}
