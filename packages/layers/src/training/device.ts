// The tensors of a trainer on its device, and the compiled programs of its steps.

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
import type { StepOptions } from "./options.ts";
import { followedOf, traceGradients, traceStep, traceUpdate, type UpdateGraph } from "./step.ts";
import { slotsOf, type Slot } from "./update.ts";

/** The data of a pass over a batch; seed(i) is the seed of the i-th call of `ctx.seed`. */
export interface Pass extends Batch {
  readonly count: number;
  readonly target?: Target | undefined;
  readonly seed: (use: number) => Int32Array;
}

/** The data of a training step. */
export interface StepPass extends Pass {
  readonly accumulate?: StepOptions["accumulate"] | undefined;
  readonly hyper: readonly number[];
}

/** The properties of a step that need a program of their own. */
export type StepKind = Pick<StepPass, "count" | "target" | "accumulate">;

/**
 * The loss of a pass with all added terms, the weight of its mean, and the sum of the added terms.
 */
export interface Numbers {
  readonly loss: number;
  readonly weight: number;
  readonly added: number;
}

/** The results of a step. */
export interface StepOutput extends Numbers {
  readonly output: Float32Array;
  /**
   * Whether the step updated: whether all values of this step and of the steps before it were
   * finite.
   */
  readonly fine: boolean;
}

export interface Device extends Pick<Tensors, "slots" | "parameters" | "slotBuffers" | "averages"> {
  /** Compiles a step. Throws ShapeError if the model needs more samples. */
  prepare(kind: StepKind): void;
  /** Enqueues a step. */
  step(pass: StepPass): Promise<StepOutput>;
  /** Indices of the entries that the model itself updates in training: running statistics. */
  readonly followed: readonly number[];
  /**
   * Enqueues forward and backward pass. Returns the gradients of the trained parameters, and the
   * new values of the followed entries.
   */
  gradients(pass: Pass): Promise<Numbers & { gradients: Float32Array[]; next: Float32Array[] }>;
  /**
   * Enqueues an update by gradients of the trained parameters and new values of the followed
   * entries. Resolves to whether it updated: whether all values were finite.
   */
  update(
    hyper: readonly number[],
    gradients: readonly Float32Array[],
    next: readonly Float32Array[],
  ): Promise<boolean>;
  /** Runs a step again without an update and returns the first value that is not finite. */
  diagnose(pass: StepPass): Promise<Origin | null>;
  /** Allows steps to update again after a step that was not finite. */
  resetHealth(): void;
  dispose(): void;
}

/** A trainer's model and optimizer, and the options of all its steps. */
export interface Plan {
  readonly model: Model;
  readonly optimizer: Optimizer;
  readonly settings: StepOptions;
  /** Whether some steps accumulate gradients. */
  readonly accumulates: boolean;
}

/** The tensors of a trainer. */
interface Tensors {
  readonly slots: readonly Slot[];
  readonly parameters: readonly Buffer[];
  readonly slotBuffers: readonly Buffer[];
  /** The parameters, with the moving average instead of each parameter that has one. */
  readonly averages: readonly Buffer[];
  /** One element: 1 if all steps so far were finite, else 0. */
  readonly health: Buffer;
}

/**
 * Uploads the initial values of the entries, and of the slots: a moving average starts as its
 * parameter, other slots as 0.
 */
function uploadTensors(
  backend: Backend,
  slots: readonly Slot[],
  values: readonly Float32Array[],
): Tensors {
  const isAverage = (slot: Slot) => slot.name.startsWith("average/");
  const starts = slots.map((s) =>
    isAverage(s) ? values[s.entry] : new Float32Array(bytesOf(s.spec) / 4),
  );
  const buffers = upload(backend, [...values, ...starts, Float32Array.of(1)]);
  const parameters = buffers.slice(0, values.length);
  const slotBuffers = buffers.slice(values.length, -1);
  return {
    slots,
    parameters,
    slotBuffers,
    averages: parameters.map(
      (buffer, i) => slotBuffers[slots.findIndex((s) => s.entry === i && isAverage(s))] ?? buffer,
    ),
    health: buffers[buffers.length - 1],
  };
}

interface Step extends Compiled {
  /** The tensors of the trainer that it reads, and those that it writes. */
  readonly reads: readonly Buffer[];
  readonly writes: readonly Buffer[];
}

/** The programs of a trainer, compiled at their first use, in an LRU cache. */
function createPrograms(
  backend: Backend,
  { model, optimizer, settings }: Plan,
  { slots, parameters, slotBuffers, health }: Tensors,
) {
  const cache = createCache<Step>(KEPT_PROGRAMS, (step) => release(backend, step), model.name);
  const compile = (
    graph: Graph,
    inputs: number,
    outputs: number,
    tensors: Pick<Step, "reads" | "writes">,
  ): Step => ({ ...compileStep(backend, graph, inputs, outputs), ...tensors });
  /** The buffers that a guarded graph reads and writes. */
  const tensorsOf = ({ slots: used, written, kept }: Omit<UpdateGraph, "graph">) => {
    const own = used.map(({ name }) => slotBuffers[slots.findIndex((s) => s.name === name)]);
    return {
      reads: [...parameters, ...own, health],
      writes: [...written.map((i) => parameters[i]), ...kept.map((i) => own[i]), health],
    };
  };
  const traceOf = ({ count, target, accumulate }: StepKind) =>
    traceStep(model, optimizer, count, { ...settings, target, accumulate, guard: true });
  return {
    step: (kind: StepKind): Step =>
      cache.get(`step ${kind.accumulate ?? ""} ${targetKey(kind.count, kind.target)}`, () => {
        const traced = traceOf(kind);
        return compile(traced.graph, 3 + traced.seeds, 2, tensorsOf(traced));
      }),
    gradients: ({ count, target }: StepKind): Step =>
      cache.get(`gradients ${targetKey(count, target)}`, () => {
        const graph = traceGradients(model, count, { ...settings, target });
        const inputs = graph.inputs.length - parameters.length;
        return compile(graph, inputs, graph.outputs.length, { reads: parameters, writes: [] });
      }),
    /** `given` is the number of gradients and new values that are inputs. */
    update: (given: number): Step =>
      cache.get("update", () => {
        const traced = traceUpdate(model, optimizer, { ...settings, guard: true });
        return compile(traced.graph, 1 + given, 0, tensorsOf(traced));
      }),
    /** A step that returns one flag for each of its values; the caller releases it. */
    flags(kind: StepKind) {
      const traced = traceOf(kind);
      const { reads } = tensorsOf(traced);
      const step = compile(flagGraph(traced), 3 + traced.seeds, 1, { reads, writes: [] });
      return { traced, step };
    },
    dispose: cache.dispose,
  };
}

/** Uploads the initial values of the entries. If this throws, nothing stays allocated. */
export function createDevice(
  backend: Backend,
  plan: Plan,
  entries: readonly Entry[],
  values: readonly Float32Array[],
): Device {
  const { model, optimizer, settings, accumulates } = plan;
  const accumulate = accumulates ? "add" : undefined;
  const slots = slotsOf(model, optimizer, entries, { ...settings, accumulate });
  const tensors = uploadTensors(backend, slots, values);
  const { parameters, slotBuffers, averages, health } = tensors;
  const programs = createPrograms(backend, plan, tensors);
  const followed = followedOf(model, settings.rules);

  const run = (
    { program, inputs, outputs, reads, writes }: Step,
    data: readonly ArrayBufferView[],
  ) => {
    data.forEach((array, i) => backend.write(inputs[i], array));
    program.run([...inputs, ...reads], [...outputs, ...writes]);
    return outputs.map((buffer) => () => readFloats(backend, buffer));
  };
  const isFine = () => readFloats(backend, health).then(([fine]) => fine === 1);
  const numbersOf = ([loss, weight, added]: Float32Array): Numbers => ({ loss, weight, added });
  const seeds = ({ seed }: Pass, count: number) =>
    Array.from({ length: count }, (_, use) => seed(use));
  const dataOf = (pass: StepPass, { inputs }: Step) => {
    const hyper = Float32Array.from(pass.hyper);
    return [pass.x, pass.y, hyper, ...seeds(pass, inputs.length - 3)];
  };

  return {
    slots,
    parameters,
    slotBuffers,
    averages,
    followed,
    prepare: (kind) => void programs.step(kind),
    // If compilation fails, the next methods throw synchronously, before they enqueue anything.
    step(pass) {
      const step = programs.step(pass);
      const [numbers, output] = run(step, dataOf(pass, step));
      return Promise.all([numbers(), output(), isFine()]).then(([values, answers, fine]) => ({
        ...numbersOf(values),
        output: answers,
        fine,
      }));
    },
    gradients(pass) {
      const step = programs.gradients(pass);
      const results = run(step, [pass.x, pass.y, ...seeds(pass, step.inputs.length - 2)]);
      return Promise.all(results.map((read) => read())).then(([numbers, ...arrays]) => {
        const own = arrays.length - followed.length;
        return { ...numbersOf(numbers), gradients: arrays.slice(0, own), next: arrays.slice(own) };
      });
    },
    update(hyper, gradients, next) {
      const step = programs.update(gradients.length + next.length);
      run(step, [Float32Array.from(hyper), ...gradients, ...next]);
      return isFine();
    },
    async diagnose(pass) {
      const { traced, step } = programs.flags(pass);
      try {
        const [flags] = run(step, dataOf(pass, step));
        return originOf(traced, await flags());
      } finally {
        release(backend, step);
      }
    },
    resetHealth: () => backend.write(health, Float32Array.of(1)),
    dispose() {
      programs.dispose();
      for (const buffer of [...parameters, ...slotBuffers, health]) backend.free(buffer);
    },
  };
}
