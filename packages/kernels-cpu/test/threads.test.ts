// Threads that fail, end, or cannot start: no call waits forever, each later one throws the cause,
// and nothing is left behind.

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { matmul, relu } from "@conv/ops";
import { spec, tensor, trace } from "@conv/tensor";
import { kill, type Kill } from "@conv/testkit/kills";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createCpu, type CpuBackend, type CpuOptions } from "../src/index.ts";
import { workerText } from "../src/runtime/runtime.ts";

vi.setConfig({ testTimeout: 30_000 }); // workers start slowly on a busy machine

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

const graph = trace((x, w) => relu(matmul(x, w)), [spec([64, 64]), spec([64, 64])]);

/** A program and its buffers. */
function ready(cpu: CpuBackend) {
  const program = cpu.compile(graph);
  const [x, w, y] = [0, 1, 2].map(() => cpu.alloc(4 * 64 * 64));
  cpu.write(x, new Float32Array(64 * 64).fill(1));
  cpu.write(w, new Float32Array(64 * 64).fill(2));
  return { program, y, run: () => program.run([x, w], [y]) };
}

/** A worker from the text that createCpu makes, changed. */
const changed = (change: (text: string) => string) => () =>
  new Worker(change(workerText()), { eval: true, execArgv: [] });

/** What a call throws, or a promise rejects with. */
const thrown = async (call: () => unknown): Promise<unknown> => {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return null;
};

const kinds: CpuOptions[] = [
  { threads: 1 },
  { threads: 2 },
  { threads: 1, offThread: true },
  { threads: 2, offThread: true },
];

describe.each(kinds)("%j", (options) => {
  it("is disposed once, and everything after that is an error that says so, or does nothing", async () => {
    const cpu = await createCpu(options);
    const { program, y, run } = ready(cpu);
    run();
    const kept = tensor(cpu, [1, -2], [2]);
    cpu.dispose();
    cpu.dispose();
    const disposed = expect.objectContaining({
      message: "cpu: the back end is disposed",
      code: "disposed",
    });
    for (const call of [
      run,
      () => cpu.alloc(4),
      () => cpu.write(y, new Float32Array(1)),
      () => cpu.read(y),
      () => cpu.compile(graph),
      () => relu(kept),
    ])
      expect(await thrown(call)).toEqual(disposed);
    program.dispose();
    cpu.free(y);
    kept.dispose();
  });

  it("gives what was asked for before it was disposed", async () => {
    using cpu = await createCpu(options);
    const { y, run } = ready(cpu);
    run();
    const result = cpu.read(y);
    cpu.dispose();
    expect(new Float32Array(await result)[7]).toBe(128);
  });
});

describe("a thread that fails", () => {
  // As code instrumented for coverage does, which names variables that a worker does not have.
  const named = (where: string) =>
    changed((text) => text.replace(where, `${where} notThere.count++;`));

  it.each([
    ["while it waits for orders", "if (order === LOAD) {"],
    ["when it runs a program", "if (order === RUN) {"],
  ])("%s is the error of the call, and of all later ones", async (_, where) => {
    const cpu = await createCpu({ threads: 2, worker: named(where) });
    expect(cpu.caps.threads).toBe(2);
    const error = await thrown(() => ready(cpu).run());
    expect(error).toEqual(
      new Error(
        "cpu: a thread failed (thread 1: ReferenceError: notThere is not defined); make the back end again",
      ),
    );
    expect(await thrown(() => cpu.alloc(4))).toBe(error);
    expect(await thrown(() => cpu.compile(graph))).toBe(error);
    cpu.dispose();
    expect(await thrown(() => cpu.alloc(4))).toEqual(
      expect.objectContaining({ message: "cpu: the back end is disposed", code: "disposed" }),
    );
    using again = await createCpu({ threads: 2 });
    ready(again).run();
  });

  it("while others wait in a barrier sets them free", async () => {
    const slow = changed((text) =>
      text.replace(
        "programs.get(id)(thread, 1);",
        "if (thread === 2) throw new Error('no memory'); programs.get(id)(thread, 1);",
      ),
    );
    using cpu = await createCpu({ threads: 4, worker: slow });
    expect(await thrown(() => ready(cpu).run())).toEqual(
      new Error("cpu: a thread failed (thread 2: Error: no memory); make the back end again"),
    );
  });

  it("in a worker that leads is the error of the next read, and of what comes after", async () => {
    const worker = changed((text) => text.replace("copy(after);", "throw new Error('no memory');"));
    using cpu = await createCpu({ threads: 2, offThread: true, worker });
    const { y, run } = ready(cpu);
    run();
    const error = await thrown(() => cpu.read(y));
    expect(error).toEqual(new Error("cpu: Error: no memory; make the back end again"));
    expect(await thrown(run)).toBe(error);
    expect(await thrown(() => cpu.read(y))).toBe(error);
  });

  it("before it is ready is the reason for one thread", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    using cpu = await createCpu({
      threads: 3,
      worker: changed((text) => text.replace("const [LOAD,", "notThere.count++; const [LOAD,")),
    });
    expect([cpu.caps.threads, cpu.singleThreadReason]).toEqual([
      1,
      "ReferenceError: notThere is not defined",
    ]);
    ready(cpu).run();
  });
});

describe("a thread that is ended", () => {
  // `pnpm hunt --only threads` ends many more.
  it("at any moment, in barriers too, is noticed", { timeout: 120_000 }, async () => {
    // https://en.wikipedia.org/wiki/Linear_congruential_generator, with the constants of Numerical
    // Recipes
    let state = 19980511;
    const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
    const makeWorker = () => new Worker(workerText(), { eval: true, execArgv: [] });
    const found: Kill[] = [];
    while (found.length < 12) found.push(await kill({ createCpu, makeWorker }, random));
    expect(new Set(found.map((k) => k.call))).toEqual(new Set(["run", "compile"]));
  });

  it.each([0, 1])(
    "of a worker that leads (thread %i) is the error of the next read",
    async (victim) => {
      const workers: Worker[] = [];
      const worker = () => {
        workers.push(new Worker(new URL("../src/worker.ts", import.meta.url)));
        return workers.at(-1)!;
      };
      using cpu = await createCpu({ threads: 2, offThread: true, worker });
      const { y, run } = ready(cpu);
      run();
      void workers[victim].terminate();
      run();
      const error = await thrown(async () => {
        for (;;) await cpu.read(y);
      });
      expect(error).toEqual(new Error("cpu: a worker has ended; make the back end again"));
      expect(await thrown(run)).toBe(error);
    },
  );
});

describe("threads that cannot be had", () => {
  it("without WebAssembly, without SIMD, and where nothing may be compiled: UnsupportedError when it is made", async () => {
    const { compile } = WebAssembly;
    vi.spyOn(WebAssembly, "compile").mockRejectedValue(
      new WebAssembly.CompileError("code generation disallowed by embedder"),
    );
    const policy = "a content security policy must have 'wasm-unsafe-eval' in script-src";
    const forbidden = `cpu: WebAssembly may not be compiled here (code generation disallowed by embedder); ${policy}`;
    expect(await thrown(() => createCpu())).toMatchObject({
      name: "UnsupportedError",
      message: forbidden,
    });
    vi.stubGlobal("WebAssembly", { compile, validate: () => false });
    expect(await thrown(() => createCpu())).toMatchObject({
      name: "UnsupportedError",
      message: "cpu: this engine has no WebAssembly SIMD",
    });
    vi.stubGlobal("WebAssembly", undefined);
    expect(await thrown(() => createCpu())).toMatchObject({
      name: "UnsupportedError",
      message: "cpu: this engine has no WebAssembly",
    });
  });

  it("in a Node that is too old: the reason names its version", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    vi.spyOn(process as { getBuiltinModule?: unknown }, "getBuiltinModule", "get").mockReturnValue(
      undefined,
    );
    using cpu = await createCpu({ threads: 2 });
    expect(cpu.singleThreadReason).toBe(
      `threads need Node 20.16, 22.3 or later, and this is ${process.version}`,
    );
    expect(await thrown(() => createCpu({ offThread: true }))).toMatchObject({
      name: "UnsupportedError",
      message: `cpu: offThread needs a worker: threads need Node 20.16, 22.3 or later, and this is ${process.version}`,
    });
  });

  it("more than can be of use: as many as can, and a warning", async () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    using cpu = await createCpu({ threads: 200 });
    const cores = navigator.hardwareConcurrency;
    const most = Math.max(8, 2 * cores);
    expect(cpu.caps.threads).toBe(most);
    expect(warn.mock.calls).toEqual([
      [`@conv/kernels-cpu: 200 threads are more than ${cores} cores can use: running on ${most}`],
    ]);
  });

  it("leave no worker that keeps Node alive, whichever step fails", { timeout: 60_000 }, () => {
    const index = fileURLToPath(new URL("../src/index.ts", import.meta.url));
    const script = `
      import { Worker } from "node:worker_threads";
      import { createCpu } from ${JSON.stringify(index)};
      const text = ${JSON.stringify(workerText())};
      let made = 0;
      const second = () => new Worker(made++ === 1 ? "throw new Error('no')" : text, { eval: true, execArgv: [] });
      const cpu = await createCpu({ threads: 3, worker: second });
      const trial = await createCpu({ threads: 2, simd256: true, worker: () => new Worker(text.replace("order === RUN", "notThere"), { eval: true, execArgv: [] }) }).catch((e) => e.message);
      const worker = await createCpu({ offThread: true, threads: 2, worker: () => { throw new Error("none") } }).catch((e) => e.message);
      console.log([cpu.singleThreadReason, trial, worker].join("\\n"));`;
    const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
      encoding: "utf8",
      timeout: 30_000,
    });
    expect(stdout).toBe(
      [
        "Error: no",
        "cpu: a thread failed (thread 1: ReferenceError: notThere is not defined); make the back end again",
        "cpu: offThread needs a worker: none\n",
      ].join("\n"),
    );
  });
});
