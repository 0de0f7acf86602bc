// What a trainer keeps on the device: parameters, slots of the optimiser, and the compiled programs of its steps.

import { bytesOf, type Backend, type Buffer, type Graph, type Program } from "@conv/tensor";
import type { Batch, Target } from "./data.ts";
import { flagGraph, originOf, type Origin } from "./diagnose.ts";
import { readFloats, targetKey, upload } from "./forward.ts";
import type { Entry, Model } from "./layer.ts";
import type { Optimizer } from "./optim.ts";
import { slotsOf, traceGradients, traceStep, traceUpdate, type Slot, type StepOptions } from "./step.ts";

/** What a pass over a batch needs besides what lies on the device; `seed` gives that of each use of randomness. */
export interface Pass extends Batch {
  readonly count: number;
  readonly target?: Target;
  readonly seed: (use: number) => Int32Array;
}

/** A pass that updates. */
export interface StepPass extends Pass {
  readonly gather?: StepOptions["gather"];
  readonly hyper: readonly number[];
}

/** What a step answers, once it is read. */
export interface StepOutput {
  readonly loss: number;
  readonly output: Float32Array;
  /** Whether it changed anything: loss and gradients were finite, and those of all steps before. */
  readonly fine: boolean;
}

interface Compiled {
  readonly program: Program;
  readonly inputs: readonly Buffer[];
  readonly outputs: readonly Buffer[];
  /** Parameters, buffers and slots that it reads, and those that it writes. */
  readonly reads: readonly Buffer[];
  readonly writes: readonly Buffer[];
}

export interface Device {
  readonly slots: readonly Slot[];
  readonly parameters: readonly Buffer[];
  readonly slotBuffers: readonly Buffer[];
  /** The parameters, but the moving averages of those that have one. */
  readonly averages: readonly Buffer[];
  /** Enqueues a step. */
  step(pass: StepPass): Promise<StepOutput>;
  /** Enqueues forward and backward; the gradients are those of the trained parameters. */
  gradients(pass: Pass): Promise<{ loss: number; gradients: Float32Array[] }>;
  /** Enqueues an update by gradients of the trained parameters. */
  update(hyper: readonly number[], gradients: readonly Float32Array[]): void;
  /** Runs a step once more, changing nothing, to see which layer first made a value that is not finite. */
  diagnose(pass: StepPass): Promise<Origin | null>;
  /** Lets steps change things again after one that was not fine. */
  heal(): void;
  dispose(): void;
}

/** `settings` are those of every step; `gathers` says whether some gather gradients. */
export function createDevice(
  backend: Backend,
  { model, optimizer, settings, gathers }: { model: Model; optimizer: Optimizer; settings: StepOptions; gathers: boolean },
  entries: readonly Entry[],
  values: readonly Float32Array[],
): Device {
  const slots = slotsOf(model, optimizer, entries, { ...settings, gather: gathers ? "add" : undefined });
  const isAverage = (slot: Slot) => slot.name.startsWith("average/");
  const parameters = upload(backend, values);
  const slotBuffers = upload(
    backend,
    slots.map((s) => (isAverage(s) ? values[s.entry] : new Float32Array(bytesOf(s.spec) / 4))),
  );
  const averages = parameters.map((buffer, i) => slotBuffers[slots.findIndex((s) => s.entry === i && isAverage(s))] ?? buffer);
  const [health] = upload(backend, [Float32Array.of(1)]);
  const programs = new Map<string, Compiled>();

  const cached = (key: string, compile: () => Compiled): Compiled => {
    let made = programs.get(key);
    if (!made) programs.set(key, (made = compile()));
    return made;
  };
  /** Allocates the first inputs and outputs of a graph, those that a run brings and leaves. */
  const prepare = (graph: Graph, inputs: number, outputs: number, rest: Pick<Compiled, "reads" | "writes">): Compiled => {
    const allocate = (list: Graph["inputs"]) => list.map((v) => backend.alloc(bytesOf(v.spec)));
    const program = backend.compile(graph);
    return { program, inputs: allocate(graph.inputs.slice(0, inputs)), outputs: allocate(graph.outputs.slice(0, outputs)), ...rest };
  };
  const buffersOf = (used: readonly Slot[]) => used.map(({ name }) => slotBuffers[slots.findIndex((s) => s.name === name)]);
  const touched = (used: readonly Slot[], written: readonly number[], kept: readonly number[]) => {
    const own = buffersOf(used);
    return { reads: [...parameters, ...own], writes: [...written.map((i) => parameters[i]), ...kept.map((i) => own[i])] };
  };
  const run = ({ program, inputs, outputs, reads, writes }: Compiled, data: readonly ArrayBufferView[]) => {
    data.forEach((array, i) => backend.write(inputs[i], array));
    program.run([...inputs, ...reads], [...outputs, ...writes]);
    return outputs;
  };
  const floats = (buffer: Buffer) => readFloats(backend, buffer);
  const seeds = ({ seed }: Pass, count: number) => Array.from({ length: count }, (_, use) => seed(use));
  const optionsOf = ({ target, gather }: StepPass): StepOptions => ({ ...settings, target, gather, guard: true });

  return {
    slots,
    parameters,
    slotBuffers,
    averages,
    step(pass) {
      const { count, target, gather, x, y, hyper } = pass;
      const step = cached(`step ${gather ?? ""} ${targetKey(count, target)}`, () => {
        const { graph, slots: used, written, kept, seeds: uses } = traceStep(model, optimizer, count, optionsOf(pass));
        const { reads, writes } = touched(used, written, kept);
        return prepare(graph, 3 + uses, 2, { reads: [...reads, health], writes: [...writes, health] });
      });
      const [loss, output] = run(step, [x, y, Float32Array.from(hyper), ...seeds(pass, step.inputs.length - 3)]);
      return Promise.all([floats(loss), floats(output), floats(health)]).then(([[value], answers, [fine]]) => ({
        loss: value,
        output: answers,
        fine: fine === 1,
      }));
    },
    gradients(pass) {
      const { count, target, x, y } = pass;
      const step = cached(`gradients ${targetKey(count, target)}`, () => {
        const graph = traceGradients(model, count, { ...settings, target });
        return prepare(graph, graph.inputs.length - parameters.length, graph.outputs.length, { reads: parameters, writes: [] });
      });
      const [loss, ...gradients] = run(step, [x, y, ...seeds(pass, step.inputs.length - 2)]).map(floats);
      return Promise.all([loss, ...gradients]).then(([[value], ...arrays]) => ({ loss: value, gradients: arrays }));
    },
    update(hyper, gradients) {
      const step = cached("update", () => {
        const { graph, slots: used, written, kept } = traceUpdate(model, optimizer, settings);
        return prepare(graph, 1 + gradients.length, 0, touched(used, written, kept));
      });
      run(step, [Float32Array.from(hyper), ...gradients]);
    },
    async diagnose(pass) {
      const { traced, slots: used, seeds: uses } = traceStep(model, optimizer, pass.count, optionsOf(pass));
      const step = prepare(flagGraph(traced), 3 + uses, 1, { reads: [...parameters, ...buffersOf(used), health], writes: [] });
      const [flags] = run(step, [pass.x, pass.y, Float32Array.from(pass.hyper), ...seeds(pass, uses)]);
      const result = await floats(flags);
      release(step);
      return originOf(traced, result);
    },
    heal: () => backend.write(health, Float32Array.of(1)),
    dispose() {
      for (const step of programs.values()) release(step);
      programs.clear();
      for (const buffer of [...parameters, ...slotBuffers, health]) backend.free(buffer);
    },
  };

  function release({ program, inputs, outputs }: Compiled): void {
    program.dispose();
    for (const buffer of [...inputs, ...outputs]) backend.free(buffer);
  }
}
