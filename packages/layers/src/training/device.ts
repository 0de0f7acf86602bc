// What a trainer keeps on the device: parameters, slots of the optimizer, and the compiled programs
// of its steps.

import { bytesOf, createCache, type Backend, type Buffer, type Graph } from "@conv/tensor";
import type { Batch, Target } from "../data/data.ts";
import {
  compileStep,
  KEPT_PROGRAMS,
  readFloats,
  release,
  targetKey,
  upload,
  type Compiled,
} from "../inference/forward.ts";
import type { Entry, Model } from "../layers/layer.ts";
import { flagGraph, originOf, type Origin } from "./diagnose.ts";
import type { Optimizer } from "./optim.ts";
import {
  followedOf,
  slotsOf,
  traceGradients,
  traceStep,
  traceUpdate,
  type Slot,
  type StepOptions,
} from "./step.ts";

/**
 * What a pass over a batch needs besides what lies on the device; `seed` gives that of each use of
 * randomness.
 */
export interface Pass extends Batch {
  readonly count: number;
  readonly target?: Target | undefined;
  readonly seed: (use: number) => Int32Array;
}

/** A pass that updates. */
export interface StepPass extends Pass {
  readonly gather?: StepOptions["gather"] | undefined;
  readonly hyper: readonly number[];
}

/** What a step answers, once it is read. */
export interface StepOutput extends Numbers {
  readonly output: Float32Array;
  /**
   * Whether it changed anything: all that it made was finite, and so was that of all steps before.
   */
  readonly fine: boolean;
}

/**
 * What a pass measured: the loss with all that is added to it, what its mean is over, and what was
 * added.
 */
export interface Numbers {
  readonly loss: number;
  readonly weight: number;
  readonly added: number;
}

interface Step extends Compiled {
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
  /** Compiles a step; throws ShapeError where the model can't take so few samples. */
  prepare(pass: Pick<StepPass, "count" | "target" | "gather">): void;
  /** Enqueues a step. */
  step(pass: StepPass): Promise<StepOutput>;
  /** Indices of the entries that the model itself changes while training: running statistics. */
  readonly followed: readonly number[];
  /**
   * Enqueues forward and backward; gradients of the trained parameters, and what the followed
   * entries become.
   */
  gradients(pass: Pass): Promise<Numbers & { gradients: Float32Array[]; next: Float32Array[] }>;
  /**
   * Enqueues an update by gradients of the trained parameters, and of the followed entries; says
   * whether it changed anything.
   */
  update(
    hyper: readonly number[],
    gradients: readonly Float32Array[],
    next: readonly Float32Array[],
  ): Promise<boolean>;
  /**
   * Runs a step once more, changing nothing, to see which layer first made a value that is not
   * finite.
   */
  diagnose(pass: StepPass): Promise<Origin | null>;
  /** Lets steps change things again after one that was not fine. */
  heal(): void;
  dispose(): void;
}

/** `settings` are those of every step; `gathers` says whether some gather gradients. */
export function createDevice(
  backend: Backend,
  {
    model,
    optimizer,
    settings,
    gathers,
  }: { model: Model; optimizer: Optimizer; settings: StepOptions; gathers: boolean },
  entries: readonly Entry[],
  values: readonly Float32Array[],
): Device {
  const slots = slotsOf(model, optimizer, entries, {
    ...settings,
    gather: gathers ? "add" : undefined,
  });
  const isAverage = (slot: Slot) => slot.name.startsWith("average/");
  const starts = slots.map((s) =>
    isAverage(s) ? values[s.entry] : new Float32Array(bytesOf(s.spec) / 4),
  );
  const held = upload(backend, [...values, ...starts, Float32Array.of(1)]);
  const parameters = held.slice(0, values.length);
  const slotBuffers = held.slice(values.length, -1);
  const health = held.at(-1)!;
  const averages = parameters.map(
    (buffer, i) => slotBuffers[slots.findIndex((s) => s.entry === i && isAverage(s))] ?? buffer,
  );
  const programs = createCache<Step>(KEPT_PROGRAMS, (step) => release(backend, step), model.name);
  const followed = followedOf(model, settings.rules);

  const prepare = (
    graph: Graph,
    inputs: number,
    outputs: number,
    rest: Pick<Step, "reads" | "writes">,
  ): Step => ({
    ...compileStep(backend, graph, inputs, outputs),
    ...rest,
  });
  const buffersOf = (used: readonly Slot[]) =>
    used.map(({ name }) => slotBuffers[slots.findIndex((s) => s.name === name)]);
  const touched = (used: readonly Slot[], written: readonly number[], kept: readonly number[]) => {
    const own = buffersOf(used);
    return {
      reads: [...parameters, ...own],
      writes: [...written.map((i) => parameters[i]), ...kept.map((i) => own[i])],
    };
  };
  const run = (
    { program, inputs, outputs, reads, writes }: Step,
    data: readonly ArrayBufferView[],
  ) => {
    data.forEach((array, i) => backend.write(inputs[i], array));
    program.run([...inputs, ...reads], [...outputs, ...writes]);
    return outputs;
  };
  const floats = (buffer: Buffer) => readFloats(backend, buffer);
  const numbersOf = ([loss, weight, added]: Float32Array): Numbers => ({ loss, weight, added });
  const isFine = () => floats(health).then(([fine]) => fine === 1);
  const seeds = ({ seed }: Pass, count: number) =>
    Array.from({ length: count }, (_, use) => seed(use));
  const optionsOf = ({ target, gather }: Pick<StepPass, "target" | "gather">): StepOptions => ({
    ...settings,
    target,
    gather,
    guard: true,
  });
  const stepOf = (pass: Pick<StepPass, "count" | "target" | "gather">): Step =>
    programs.get(`step ${pass.gather ?? ""} ${targetKey(pass.count, pass.target)}`, () => {
      const {
        graph,
        slots: used,
        written,
        kept,
        seeds: uses,
      } = traceStep(model, optimizer, pass.count, optionsOf(pass));
      const { reads, writes } = touched(used, written, kept);
      return prepare(graph, 3 + uses, 2, {
        reads: [...reads, health],
        writes: [...writes, health],
      });
    });

  return {
    slots,
    parameters,
    slotBuffers,
    averages,
    followed,
    prepare: (pass) => void stepOf(pass),
    step(pass) {
      const { x, y, hyper } = pass;
      const step = stepOf(pass);
      const [numbers, output] = run(step, [
        x,
        y,
        Float32Array.from(hyper),
        ...seeds(pass, step.inputs.length - 3),
      ]);
      return Promise.all([floats(numbers), floats(output), isFine()]).then(
        ([values, answers, fine]) => ({
          ...numbersOf(values),
          output: answers,
          fine,
        }),
      );
    },
    gradients(pass) {
      const { count, target, x, y } = pass;
      const step = programs.get(`gradients ${targetKey(count, target)}`, () => {
        const graph = traceGradients(model, count, { ...settings, target });
        return prepare(graph, graph.inputs.length - parameters.length, graph.outputs.length, {
          reads: parameters,
          writes: [],
        });
      });
      const [numbers, ...arrays] = run(step, [x, y, ...seeds(pass, step.inputs.length - 2)]).map(
        floats,
      );
      const own = arrays.length - followed.length;
      return Promise.all([numbers, ...arrays]).then(([values, ...read]) => ({
        ...numbersOf(values),
        gradients: read.slice(0, own),
        next: read.slice(own),
      }));
    },
    update(hyper, gradients, next) {
      const step = programs.get("update", () => {
        const {
          graph,
          slots: used,
          written,
          kept,
        } = traceUpdate(model, optimizer, { ...settings, guard: true });
        const { reads, writes } = touched(used, written, kept);
        return prepare(graph, 1 + gradients.length + next.length, 0, {
          reads: [...reads, health],
          writes: [...writes, health],
        });
      });
      run(step, [Float32Array.from(hyper), ...gradients, ...next]);
      return isFine();
    },
    async diagnose(pass) {
      const traced = traceStep(model, optimizer, pass.count, optionsOf(pass));
      const { slots: used, seeds: uses } = traced;
      const step = prepare(flagGraph(traced), 3 + uses, 1, {
        reads: [...parameters, ...buffersOf(used), health],
        writes: [],
      });
      try {
        const [flags] = run(step, [
          pass.x,
          pass.y,
          Float32Array.from(pass.hyper),
          ...seeds(pass, uses),
        ]);
        return originOf(traced, await floats(flags));
      } finally {
        release(backend, step);
      }
    },
    heal: () => backend.write(health, Float32Array.of(1)),
    dispose() {
      programs.dispose();
      for (const buffer of held) backend.free(buffer);
    },
  };
}
