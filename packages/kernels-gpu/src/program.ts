// A plan made into pipelines, buffers and the order in which they are dispatched: one submission a run, nothing read back in between.

import { distinctCauses, root } from "@conv/ops/plan";
import { bytesOf, formatShape, optimise, unsupported, type Buffer, type Graph, type Managed, type Step } from "@conv/tensor";
import type { GpuProgram } from "./api.ts";
import type { Caps } from "./caps.ts";
import { inPlace, place, replacements, roundUp, type Home, type Placed } from "./place.ts";
import { plan } from "./plan.ts";
import { USAGE, type Pipeline, type Runtime } from "./runtime.ts";
import { GROUPS_PER_AXIS, shaderOf } from "./wgsl.ts";

/** A buffer of this back end. `version` names its contents: no two contents have the same. */
export interface GpuTensorBuffer extends Buffer {
  readonly gpu: GPUBuffer;
  readonly id: number;
  version: number;
}

/** Sets of buffers for which a program keeps its bind groups: training takes turns between few. */
const MOST_BINDINGS = 16;

/** A stage as it is dispatched. */
interface Dispatch {
  readonly pipeline: Pipeline;
  readonly group: GPUBindGroup;
}

interface Copy {
  readonly from: GPUBuffer;
  readonly to: GPUBuffer;
  readonly bytes: number;
}

/** A program with the buffers of a run. */
interface Bound {
  readonly dispatches: readonly Dispatch[];
  /** Inputs that are outputs, saved before outputs are copied; then the outputs that no stage writes where they belong. */
  readonly copies: readonly Copy[];
  readonly ready: Promise<void>;
  waiting: boolean;
}

export function compileProgram(
  source: Graph,
  caps: Caps,
  runtime: Runtime,
  nextVersion: () => number,
  mustHold: Managed<GpuTensorBuffer, GpuProgram, never>["mustHold"],
): GpuProgram {
  const { device } = runtime;
  const graph = optimise(source);
  const placement = place(graph, plan(graph, caps), caps);
  const { stages, blocks, slotOf, slotBytes, homes } = placement;
  mustFit(graph, placement.blocks, stages, caps);
  const busy = [...new Set(stages.map((s) => s.by))];
  const shaders = stages.map(({ stage, elements, by }) => ({
    label: stage.label,
    code: shaderOf(stage, elements),
    groups: stage.groups,
    step: busy.indexOf(by),
  }));
  const replacing = replacements(graph, placement);
  // What may run in place is compiled when the first run tells whether it does.
  const pipelines = stages.map((s, i) =>
    replacing.inPlace.has(i) ? null : runtime.pipeline(shaders[i].code, s.stage.label, s.reads.length, s.writes.length),
  );
  const ready = Promise.all(pipelines.map((p) => p?.ready)).then(() => {});
  const slots = allOrNone(runtime, slotBytes, "memory of a program");
  blocks.forEach(({ data }, i) => {
    if (data) void runtime.later(() => device.queue.writeBuffer(slots[slotOf[i]], 0, data.buffer as ArrayBuffer, data.byteOffset, data.byteLength));
  });

  const causes = distinctCauses(stages);
  const numbers = new Map(causes.map((c, i) => [c.join(), i]));
  const seen = causes.map((inputs) => inputs.map(() => -1));
  const sizes = graph.outputs.map((v) => Math.ceil(bytesOf(v.spec) / 4) * 4);
  const sources = graph.outputs.map((v) => homes.get(root(v))!);
  const spare = new Map<number, GPUBuffer>();
  const known = new Map<string, Bound>();
  let live = true;

  const bind = (ins: readonly GpuTensorBuffer[], outs: readonly GpuTensorBuffer[]): Bound => {
    const same = (input: number, output: number) => ins[input].id === outs[output].id;
    const isDirect = (o: number) => sources[o].kind === "output" && sources[o].index === o;
    const spareFor = (o: number) => {
      const buffer = spare.get(o) ?? runtime.create(roundUp(sizes[o]), "an output that replaces an input");
      spare.set(o, buffer);
      return buffer;
    };
    // An output that would overwrite an input too early goes through memory of its own.
    const targets = outs.map((b, o) => (isDirect(o) && replacing.unsafe[o].some((i) => same(i, o)) ? spareFor(o) : b.gpu));
    const bufferOf = ({ kind, index }: Home): GPUBuffer =>
      kind === "own" ? slots[slotOf[index]] : kind === "input" ? ins[index].gpu : targets[index];
    const dispatches = stages.map((s, i): Dispatch => {
      const pairs = (replacing.inPlace.get(i) ?? []).filter(({ input, output }) => same(input, output) && targets[output] === outs[output].gpu);
      const reads = s.reads.filter((_, at) => pairs.every(({ read }) => read !== at));
      const code = pairs.length ? shaderOf(...inPlace(s, pairs)) : shaders[i].code;
      const pipeline = pipelines[i] ?? runtime.pipeline(code, s.stage.label, reads.length, s.writes.length);
      const entries = [...reads, ...s.writes].map((home, binding) => ({ binding, resource: { buffer: bufferOf(home) } }));
      return { pipeline, group: device.createBindGroup({ layout: pipeline.layout, entries }) };
    });
    const first: Copy[] = [];
    const then = outs.flatMap((b, o): Copy[] => {
      const [source, bytes] = [sources[o], sizes[o]];
      if (bytes === 0) return [];
      if (source.kind !== "input") {
        const from = targets[source.index];
        return from === b.gpu ? [] : [{ from, to: b.gpu, bytes }];
      }
      const taken = ins[source.index];
      if (taken.id === b.id) return [];
      if (outs.every(({ id }) => id !== taken.id)) return [{ from: taken.gpu, to: b.gpu, bytes }];
      first.push({ from: taken.gpu, to: spareFor(o), bytes });
      return [{ from: spareFor(o), to: b.gpu, bytes }];
    });
    const compiled = Promise.all(dispatches.map((d) => d.pipeline.ready)).then(() => void (bound.waiting = false));
    const bound: Bound = { dispatches, copies: [...first, ...then], ready: compiled, waiting: dispatches.some((d) => d.pipeline.pipeline === null) };
    return bound;
  };

  /** The same; if that fails it holds no more than before. */
  const bindOrNone: typeof bind = (ins, outs) => {
    const before = new Set(spare.keys());
    try {
      return bind(ins, outs);
    } catch (error) {
      const added = [...spare].filter(([o]) => !before.has(o));
      for (const [o] of added) spare.delete(o);
      runtime.destroy(added.map(([, buffer]) => buffer));
      throw error;
    }
  };

  /** The program with these buffers, and those of its inputs and outputs. */
  const prepare = (ins: readonly GpuTensorBuffer[], outs: readonly GpuTensorBuffer[]) => {
    const key = [...ins, ...outs].map((b) => b.id).join(" ");
    const bound = known.get(key) ?? bindOrNone(ins, outs);
    known.delete(key);
    known.set(key, bound); // the last to go
    if (known.size > MOST_BINDINGS) known.delete(known.keys().next().value!);
    return { bound, ins, outs };
  };

  /** Encodes a run; `timing` gives the timestamps of a stage. */
  const encode = ({ bound, ins, outs }: ReturnType<typeof prepare>, timing?: (stage: number) => GPUComputePassTimestampWrites) => {
    const failed = bound.dispatches.find((d) => d.pipeline.failure !== null);
    if (failed) {
      runtime.fail(failed.pipeline.failure);
      return null;
    }
    const skipped = causes.map((inputs, c) => inputs.every((i, j) => seen[c][j] === ins[i].version));
    causes.forEach((inputs, c) => inputs.forEach((i, j) => (seen[c][j] = ins[i].version)));
    const encoder = device.createCommandEncoder();
    let pass = timing ? null : encoder.beginComputePass();
    stages.forEach(({ stage, once }, i) => {
      if (once && skipped[numbers.get(once.join())!]) return;
      if (timing) pass = encoder.beginComputePass({ timestampWrites: timing(i) });
      const { pipeline, group } = bound.dispatches[i];
      pass!.setPipeline(pipeline.pipeline!);
      pass!.setBindGroup(0, group);
      pass!.dispatchWorkgroups(Math.min(stage.groups, GROUPS_PER_AXIS), Math.ceil(stage.groups / GROUPS_PER_AXIS));
      if (timing) pass!.end();
    });
    if (!timing) pass!.end();
    for (const { from, to, bytes } of bound.copies) encoder.copyBufferToBuffer(from, 0, to, 0, bytes);
    for (const b of outs) b.version = nextVersion();
    return encoder;
  };

  return {
    get bytes() {
      return slotBytes.reduce((a, b) => a + b, 0) + [...spare.keys()].reduce((sum, o) => sum + roundUp(sizes[o]), 0);
    },
    steps: busy.map((p): Step => ({ kernel: p.kernel.name, nodes: p.nodes, estimate: p.estimate, roundoff: p.kernel.roundoff, others: p.others })),
    ready,
    shaders,
    run(inputs: readonly GpuTensorBuffer[], outputs: readonly GpuTensorBuffer[]) {
      const prepared = prepare(inputs, outputs);
      const { bound } = prepared;
      void runtime.later(
        () => {
          const encoder = encode(prepared);
          if (encoder) device.queue.submit([encoder.finish()]);
        },
        bound.waiting ? bound.ready : null,
      );
    },
    async time(inputs: readonly GpuTensorBuffer[], outputs: readonly GpuTensorBuffer[]) {
      mustHold(graph, inputs, outputs);
      if (!live) throw new Error("gpu: program used after dispose");
      const prepared = prepare(inputs, outputs);
      if (!caps.timestamps) throw unsupported("gpu", "this adapter has no timestamps");
      const seconds = busy.map(() => 0);
      const count = 2 * stages.length;
      if (count === 0) return seconds;
      const set = device.createQuerySet({ type: "timestamp", count });
      const made: GPUBuffer[] = [];
      const create = (usage: number) => made[made.push(runtime.create(8 * count, "times", usage)) - 1];
      try {
        const [resolved, readable] = [create(USAGE.queryResolve | USAGE.copySrc), create(USAGE.mapRead | USAGE.copyDst)];
        await runtime.later(() => {
          const encoder = encode(prepared, (i) => ({ querySet: set, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 }));
          encoder?.resolveQuerySet(set, 0, count, resolved, 0);
          encoder?.copyBufferToBuffer(resolved, 0, readable, 0, 8 * count);
          if (encoder) device.queue.submit([encoder.finish()]);
        }, prepared.bound.ready);
        const ticks = new BigUint64Array(await runtime.mapped(readable));
        shaders.forEach(({ step }, i) => (seconds[step] += Number(ticks[2 * i + 1] - ticks[2 * i]) / 1e9));
        return seconds;
      } finally {
        set.destroy();
        runtime.destroy(made);
      }
    },
    dispose() {
      live = false;
      known.clear();
      runtime.destroy([...slots, ...spare.values()]);
    },
  };
}

/** A buffer of each size, or an error and none. */
function allOrNone(runtime: Runtime, sizes: readonly number[], what: string): GPUBuffer[] {
  const made: GPUBuffer[] = [];
  try {
    for (const bytes of sizes) made.push(runtime.create(bytes, what));
    return made;
  } catch (error) {
    runtime.destroy(made);
    throw error;
  }
}

/** Throws RangeError, with the numbers, where a value or a kernel is beyond the limits of the adapter. */
function mustFit(graph: Graph, blocks: readonly { bytes: number; by: Placed["by"] }[], stages: readonly Placed[], caps: Caps): void {
  const tooLarge = (bytes: number, what: string) => {
    if (bytes > caps.bindingBytes) throw new RangeError(`gpu: ${what} takes ${bytes} bytes, a kernel of this adapter can bind ${caps.bindingBytes}`);
  };
  for (const v of [...graph.inputs, ...graph.outputs]) tooLarge(bytesOf(v.spec), `a value of shape ${formatShape(v.shape)}`);
  for (const { bytes, by } of blocks) {
    const { op, path, outputs } = by.nodes[0];
    tooLarge(bytes, `${path && `${path}: `}${op.name} into ${formatShape(outputs[0].shape)}`);
  }
  for (const { stage, by } of stages) {
    const count = stage.reads.length + stage.writes.length;
    if (count > caps.storageBuffers)
      throw unsupported(by.nodes[0].op.name, `its kernel binds ${count} buffers, a kernel of this adapter can bind ${caps.storageBuffers}`);
    if (stage.groups > GROUPS_PER_AXIS ** 2)
      throw unsupported(by.nodes[0].op.name, `it takes ${stage.groups} workgroups, the most is ${GROUPS_PER_AXIS ** 2}`);
  }
}
