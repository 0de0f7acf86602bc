// A plan made into pipelines, buffers and the order in which they are dispatched: one submission a
// run, nothing read back in between.

import {
  createFreshness,
  distinctDependencies,
  root,
  transfersOf,
  type Allocation,
  type Packed,
  type Packs,
  type Transfer,
} from "@conv/compiler";
import {
  bytesOf,
  formatShape,
  message,
  optimize,
  rangeError,
  unsupported,
  type Graph,
  type Step,
} from "@conv/tensor";
import type { GpuProgram } from "../api.ts";
import type { Pipeline } from "../runtime/pipelines.ts";
import { USAGE, type GpuTensorBuffer, type Runtime } from "../runtime/runtime.ts";
import { GROUPS_PER_AXIS, shaderOf } from "../wgsl/wgsl.ts";
import type { Arena } from "./arena.ts";
import type { Caps } from "./caps.ts";
import type { GpuKernel } from "./code.ts";
import { inPlace, place, replacements, roundUp, type Placed, type Placement } from "./place.ts";
import { plan } from "./plan.ts";

type PackedWeights = Packed<GpuTensorBuffer, GpuTensorBuffer>;

/** What the programs of one back end share. */
export interface Shared {
  readonly runtime: Runtime;
  /** The kernels to choose from, and the end of errors about tasks that none of them computes. */
  readonly kernels: readonly GpuKernel[];
  readonly remedy: string;
  readonly arena: Arena;
  readonly packs: Packs<GpuTensorBuffer, GpuTensorBuffer>;
}

/** Sets of buffers for which a program keeps its bind groups: training takes turns between few. */
const MOST_BINDINGS = 16;

/** A stage as it is dispatched. */
interface Dispatch {
  readonly pipeline: Pipeline;
  readonly group: GPUBindGroup;
}

/** A program with the buffers of a run. */
interface Bound {
  readonly dispatches: readonly Dispatch[];
  /**
   * Inputs that are outputs, saved before outputs are copied; then the outputs that no stage writes
   * where they belong.
   */
  readonly copies: readonly Transfer<GPUBuffer>[];
  readonly ready: Promise<void>;
  waiting: boolean;
}

/** A run that is to be encoded. */
interface Prepared {
  readonly bound: Bound;
  readonly ins: readonly GpuTensorBuffer[];
  readonly outs: readonly GpuTensorBuffer[];
  readonly packed: readonly PackedWeights[];
}

export interface CompiledProgram extends GpuProgram {
  /** Bytes that it shares with no other program. */
  readonly ownBytes: number;
}

export function compileProgram(source: Graph, caps: Caps, shared: Shared): CompiledProgram {
  const { runtime } = shared;
  const graph = optimize(source);
  const placement = place(graph, plan(graph, caps, shared.kernels, shared.remedy), caps);
  const { stages, slots, busy } = placement;
  mustFit(graph, placement.blocks, stages, caps);
  const shaders = stages.map(({ stage, code, by }) => ({
    label: stage.label,
    code,
    groups: stage.groups,
    step: busy.indexOf(by),
  }));
  const replacing = replacements(graph, placement);
  // What may run in place is compiled when the first run tells whether it does.
  const pipelines = stages.map((s, i) =>
    replacing.inPlace.has(i)
      ? null
      : runtime.pipeline(s.code, s.stage.label, s.reads.length, s.writes.length),
  );
  const ready = Promise.all(pipelines.map((p) => p?.ready)).then(() => {});
  const memory = createMemory(placement, shared);
  const spare = createSpare(graph, runtime);
  const bind = createBinder(graph, placement, replacing, pipelines, spare, runtime);
  const encode = createEncoder(placement, memory.packs, shared);
  const known = new Map<string, Bound>();

  /** The program with these buffers, and those of its inputs and outputs. */
  const prepare = (ins: readonly GpuTensorBuffer[], outs: readonly GpuTensorBuffer[]): Prepared => {
    const { own, packed } = memory.bind(ins);
    const key = [...ins, ...outs, ...own].map((b) => b.id).join(" ");
    const bound = known.get(key) ?? bind(ins, outs, own);
    known.delete(key);
    known.set(key, bound); // the last to go
    if (known.size > MOST_BINDINGS) known.delete(known.keys().next().value!);
    return { bound, ins, outs, packed };
  };

  return {
    get bytes() {
      return slots.reduce((sum, { bytes }) => sum + bytes, spare.bytes());
    },
    get ownBytes() {
      return memory.bytes + spare.bytes();
    },
    steps: busy.map((p): Step => ({
      kernel: p.kernel.name,
      nodes: p.nodes,
      estimate: p.estimate,
      roundoff: p.kernel.roundoff,
      others: p.others,
    })),
    ready,
    shaders,
    run(inputs: readonly GpuTensorBuffer[], outputs: readonly GpuTensorBuffer[]) {
      const prepared = prepare(inputs, outputs);
      const { bound } = prepared;
      void runtime.later(() => encode(prepared), bound.waiting ? bound.ready : null);
    },
    async time(inputs: readonly GpuTensorBuffer[], outputs: readonly GpuTensorBuffer[]) {
      const prepared = prepare(inputs, outputs);
      if (!caps.timestamps)
        throw unsupported(
          "gpu",
          "timestamps-missing",
          message`the device has no timestamps (the WebGPU feature timestamp-query)`,
        );
      const ticks = await timestamps(runtime, stages.length, (timing) =>
        runtime.later(() => encode(prepared, timing), prepared.bound.ready),
      );
      return busy.map((_, step) =>
        shaders.reduce(
          (sum, s, i) =>
            s.step === step ? sum + Number(ticks[2 * i + 1] - ticks[2 * i]) / 1e9 : sum,
          0,
        ),
      );
    },
    dispose() {
      known.clear();
      memory.dispose();
      spare.dispose();
    },
  };
}

/**
 * Memory for the slots of a program: its own, with the tables written, and what it shares. Throws,
 * and holds nothing, where there is no room.
 */
function createMemory({ slots, slotOf, blocks }: Placement, { runtime, arena, packs }: Shared) {
  const wanted = slots.flatMap(({ pack }) => pack ?? []);
  const working = slots.flatMap(({ persistent, bytes }) => (persistent ? [] : [bytes]));
  const persistent = slots.map((slot) => slot.persistent && !slot.pack);
  const made: (GpuTensorBuffer | null)[] = [];
  const dispose = () => runtime.destroy(made.flatMap((b) => b?.gpu ?? []));
  arena.claim(working);
  try {
    for (const [i, { bytes }] of slots.entries())
      made.push(persistent[i] ? runtime.buffer(bytes, "the working memory of a program") : null);
  } catch (error) {
    dispose();
    arena.release(working);
    throw error;
  }
  blocks.forEach(({ scratch }, i) => {
    const data = scratch?.data;
    const own = made[slotOf[i]];
    if (data && own)
      void runtime.later(() =>
        runtime.device.queue.writeBuffer(
          own.gpu,
          0,
          data.buffer as ArrayBuffer,
          data.byteOffset,
          data.byteLength,
        ),
      );
  });
  let packed: readonly PackedWeights[] = [];
  return {
    packs: wanted,
    bytes: made.reduce((sum, b) => sum + (b?.bytes ?? 0), 0),
    /** What is packed of the inputs, and the buffer of each slot. */
    bind(ins: readonly GpuTensorBuffer[]) {
      packed = packs.bind(wanted, ins, packed);
      const [weights, work] = [packed.values(), arena.buffers(working).values()];
      return {
        packed,
        own: slots.map(
          ({ pack }, i) => made[i] ?? (pack ? weights.next().value!.memory : work.next().value!),
        ),
      };
    },
    dispose() {
      dispose();
      arena.release(working);
      packs.drop(packed);
    },
  };
}

/** Buffers for outputs that would overwrite an input too early. */
function createSpare({ outputs }: Graph, runtime: Runtime) {
  const made: GpuTensorBuffer[] = []; // with holes
  return {
    of: (o: number): GPUBuffer =>
      (made[o] ??= runtime.buffer(
        roundUp(bytesOf(outputs[o].spec)),
        "an output in the place of an input",
      )).gpu,
    bytes: () => made.reduce((sum, b) => sum + b.bytes, 0),
    dispose: () => runtime.destroy(made.flatMap((b) => b.gpu)),
  };
}

/** What binds the program's stages to buffers: those of inputs, outputs and slots. */
function createBinder(
  graph: Graph,
  { stages, slotOf, allocations }: Placement,
  replacing: ReturnType<typeof replacements>,
  pipelines: readonly (Pipeline | null)[],
  spare: ReturnType<typeof createSpare>,
  runtime: Runtime,
) {
  const sizes = graph.outputs.map((v) => Math.ceil(bytesOf(v.spec) / 4) * 4);
  const sources = graph.outputs.map((v) => allocations.get(root(v))!);
  const transfers = transfersOf(sources, sizes, replacing.unsafe, spare.of);
  return (
    ins: readonly GpuTensorBuffer[],
    outs: readonly GpuTensorBuffer[],
    own: readonly GpuTensorBuffer[],
  ): Bound => {
    const same = (input: number, output: number) => ins[input].id === outs[output].id;
    const { targets, before, after } = transfers(
      ins.map((b) => b.gpu),
      outs.map((b) => b.gpu),
    );
    const bufferOf = ({ kind, index }: Allocation): GPUBuffer =>
      kind === "block"
        ? own[slotOf[index]].gpu
        : kind === "input"
          ? ins[index].gpu
          : targets[index];
    const dispatches = stages.map((s, i): Dispatch => {
      const pairs = (replacing.inPlace.get(i) ?? []).filter(
        ({ input, output }) => same(input, output) && targets[output] === outs[output].gpu,
      );
      const reads = s.reads.filter((_, at) => pairs.every(({ read }) => read !== at));
      const code = pairs.length ? shaderOf(...inPlace(s, pairs)) : s.code;
      const pipeline =
        pipelines[i] ?? runtime.pipeline(code, s.stage.label, reads.length, s.writes.length);
      const entries = [...reads, ...s.writes].map((allocation, binding) => ({
        binding,
        resource: { buffer: bufferOf(allocation) },
      }));
      return {
        pipeline,
        group: runtime.device.createBindGroup({ layout: pipeline.layout, entries }),
      };
    });
    const compiled = Promise.all(dispatches.map((d) => d.pipeline.ready)).then(
      () => void (bound.waiting = false),
    );
    const bound: Bound = {
      dispatches,
      copies: [...before, ...after],
      ready: compiled,
      waiting: dispatches.some((d) => d.pipeline.pipeline === null),
    };
    return bound;
  };
}

/**
 * How each stage is timed: where its timestamps are written; and what is done with them at the end
 * of the run.
 */
interface Timing {
  stage(i: number): GPUComputePassTimestampWrites;
  end(encoder: GPUCommandEncoder): void;
}

/**
 * What encodes a run and submits it. Stages whose results are there from an earlier run are left
 * out.
 */
function createEncoder(
  { stages, slotOf, slots }: Placement,
  packs: ReturnType<typeof createMemory>["packs"],
  { runtime }: Shared,
) {
  const { device } = runtime;
  const dependencies = distinctDependencies(stages.filter(({ pack }) => pack === null));
  const numbers = new Map(dependencies.map((c, i) => [c.join(), i]));
  const look = createFreshness(dependencies);
  const packOf = new Map(
    slots.flatMap(({ pack }, slot) => (pack ? [slot] : [])).map((slot, k) => [slot, k]),
  );
  return ({ bound, ins, outs, packed }: Prepared, timing?: Timing): void => {
    const failed = bound.dispatches.find((d) => d.pipeline.failure !== null);
    if (failed) return runtime.fail(failed.pipeline.failure);
    const { changed, commit } = look(ins);
    const contents = packs.map(({ input }) => ins[input].version);
    const isFresh = ({ invalidatedBy, pack }: Placed): boolean => {
      if (pack === null)
        return invalidatedBy !== null && !changed[numbers.get(invalidatedBy.join())!];
      const k = packOf.get(slotOf[pack])!;
      return packed[k].version === contents[k];
    };
    const encoder = device.createCommandEncoder();
    let pass = timing ? null : encoder.beginComputePass();
    stages.forEach((s, i) => {
      if (isFresh(s)) return;
      if (timing) pass = encoder.beginComputePass({ timestampWrites: timing.stage(i) });
      const { pipeline, group } = bound.dispatches[i];
      const { groups } = s.stage;
      pass!.setPipeline(pipeline.pipeline!);
      pass!.setBindGroup(0, group);
      pass!.dispatchWorkgroups(
        Math.min(groups, GROUPS_PER_AXIS),
        Math.ceil(groups / GROUPS_PER_AXIS),
      );
      if (timing) pass!.end();
    });
    if (!timing) pass!.end();
    for (const { from, to, bytes } of bound.copies)
      encoder.copyBufferToBuffer(from, 0, to, 0, bytes);
    timing?.end(encoder);
    device.queue.submit([encoder.finish()]);
    commit();
    packed.forEach((p, k) => (p.version = contents[k]));
    for (const b of outs) b.version = runtime.next();
  };
}

/**
 * Timestamps before and after each of so many stages, in nanoseconds; of those that do not run, 0.
 */
async function timestamps(
  runtime: Runtime,
  stages: number,
  run: (timing: Timing) => Promise<void>,
): Promise<BigUint64Array> {
  const count = 2 * stages;
  if (count === 0) return new BigUint64Array();
  const set = runtime.device.createQuerySet({ type: "timestamp", count });
  const made: GPUBuffer[] = [];
  const create = (usage: number) => made[made.push(runtime.create(8 * count, "times", usage)) - 1];
  try {
    const [resolved, readable] = [
      create(USAGE.queryResolve | USAGE.copySrc),
      create(USAGE.mapRead | USAGE.copyDst),
    ];
    await run({
      stage: (i) => ({
        querySet: set,
        beginningOfPassWriteIndex: 2 * i,
        endOfPassWriteIndex: 2 * i + 1,
      }),
      end(encoder) {
        encoder.resolveQuerySet(set, 0, count, resolved, 0);
        encoder.copyBufferToBuffer(resolved, 0, readable, 0, 8 * count);
      },
    });
    return new BigUint64Array((await runtime.mapped(readable)).slice());
  } finally {
    set.destroy();
    runtime.destroy(made);
  }
}

/**
 * Throws RangeError, with the numbers, where a value or a kernel is beyond the limits of the
 * adapter.
 */
function mustFit(
  graph: Graph,
  blocks: readonly { bytes: number; by: Placed["by"] }[],
  stages: readonly Placed[],
  caps: Caps,
): void {
  const checkBytes = (bytes: number, what: string) => {
    if (bytes > caps.bindingBytes)
      throw rangeError(
        "gpu",
        "binding-too-large",
        message`${{ what }} takes ${{ bytes }} bytes, a kernel of this adapter can bind ${{ most: caps.bindingBytes }}`,
      );
  };
  for (const v of [...graph.inputs, ...graph.outputs])
    checkBytes(bytesOf(v.spec), `a value of shape ${formatShape(v.shape)}`);
  for (const { bytes, by } of blocks) {
    const { op, path, outputs } = by.nodes[0];
    checkBytes(bytes, `${path && `${path}: `}${op.name} into ${formatShape(outputs[0].shape)}`);
  }
  for (const { stage, by } of stages) {
    const count = stage.reads.length + stage.writes.length;
    if (count > caps.storageBuffers)
      throw unsupported(
        by.nodes[0].op.name,
        "too-many-bindings",
        message`its kernel binds ${{ buffers: count }} buffers, a kernel of this adapter can bind ${{ most: caps.storageBuffers }}`,
      );
    if (stage.groups > GROUPS_PER_AXIS ** 2)
      throw unsupported(
        by.nodes[0].op.name,
        "too-many-workgroups",
        message`it takes ${{ groups: stage.groups }} workgroups, the most is ${{ most: GROUPS_PER_AXIS ** 2 }}`,
      );
  }
}
