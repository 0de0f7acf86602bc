// A plan made into pipelines, buffers and the order in which they are dispatched: one submission a run, nothing read back in between.

import { root } from "@conv/ops/plan";
import { bytesOf, formatShape, mustHold, optimise, unsupported, type Buffer, type Graph, type Program, type Step } from "@conv/tensor";
import type { Caps } from "./caps.ts";
import { place, roundUp, unsafeInputs, type Home, type Placed } from "./place.ts";
import { plan } from "./plan.ts";
import { USAGE, MAP_READ, type Pipeline, type Runtime } from "./runtime.ts";
import { GROUPS_PER_AXIS, shaderOf } from "./wgsl.ts";

/** A buffer of this back end. `version` names its contents: no two contents have the same. */
export interface GpuTensorBuffer extends Buffer {
  /** Null once it is freed. */
  gpu: GPUBuffer | null;
  readonly id: number;
  version: number;
}

/** What a buffer was when it was given to a run, which may come after it is freed. */
interface Given {
  readonly gpu: GPUBuffer;
  readonly id: number;
  readonly buffer: GpuTensorBuffer;
}

export interface GpuProgram extends Program {
  /** Bytes of the buffers between its steps. */
  readonly bytes: number;
  /** All pipelines are compiled. Runs before that wait in order. */
  readonly ready: Promise<void>;
  /** The shaders, in the order in which they run. */
  readonly shaders: readonly { readonly label: string; readonly code: string; readonly groups: number; readonly step: number }[];
  /** Runs once and gives the seconds that the device took for each step. Throws UnsupportedError where the adapter has no timestamps. */
  time(inputs: readonly Buffer[], outputs: readonly Buffer[]): Promise<number[]>;
}

/** Sets of buffers for which a program keeps its bind groups: training takes turns between few. */
const MOST_BINDINGS = 16;

export function compileProgram(source: Graph, caps: Caps, runtime: Runtime, nextVersion: () => number): GpuProgram {
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
  const slots = slotBytes.map((bytes) => runtime.create(bytes, "memory of a program"));
  blocks.forEach(({ data }, i) => {
    if (data) device.queue.writeBuffer(slots[slotOf[i]], 0, data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  });
  const pipelines: Pipeline[] = stages.map((s, i) => runtime.pipeline(shaders[i].code, s.stage.label, s.reads.length, s.writes.length));
  let waiting = true;
  const ready = Promise.all(pipelines.map((p) => p.ready)).then(() => void (waiting = false));

  const causes = [...new Map(stages.flatMap(({ once }) => (once ? [[once.join(), once] as const] : []))).values()];
  const numbers = new Map(causes.map((c, i) => [c.join(), i]));
  const seen = causes.map((inputs) => inputs.map(() => -1));
  const sizes = graph.outputs.map((v) => bytesOf(v.spec));
  const sources = graph.outputs.map((v) => homes.get(root(v))!);
  const overwrites = unsafeInputs(graph, placement);
  const spare = new Map<number, GPUBuffer>();
  const bindings = new Map<string, GPUBindGroup[]>();
  let live = true;

  const groupsFor = (ins: readonly Given[], targets: readonly GPUBuffer[], key: string): GPUBindGroup[] => {
    const known = bindings.get(key);
    if (known) return known;
    const bufferOf = ({ kind, index }: Home): GPUBuffer =>
      kind === "own" ? slots[slotOf[index]] : kind === "input" ? ins[index].gpu : targets[index];
    const made = stages.map((s, i) =>
      device.createBindGroup({
        layout: pipelines[i].layout,
        entries: [...s.reads, ...s.writes].map((home, binding) => ({ binding, resource: { buffer: bufferOf(home) } })),
      }),
    );
    bindings.set(key, made);
    if (bindings.size > MOST_BINDINGS) bindings.delete(bindings.keys().next().value!);
    return made;
  };

  /** Records a run; `timing` gives the timestamps of a stage. */
  const record = (ins: readonly Given[], outs: readonly Given[], timing?: (stage: number) => GPUComputePassTimestampWrites) => {
    if (pipelines.some((p) => p.pipeline === null)) return null; // it has been said why
    // An output that would overwrite an input too early goes through memory of its own.
    const isDirect = (o: number) => sources[o].kind === "output" && sources[o].index === o;
    const detours = outs.map((b, o) => isDirect(o) && overwrites[o].some((i) => ins[i] === b));
    const targets = outs.map((b, o) => {
      if (!detours[o]) return b.gpu;
      const known = spare.get(o) ?? runtime.create(roundUp(sizes[o]), "an output that replaces an input");
      spare.set(o, known);
      return known;
    });
    const skipped = causes.map((inputs, c) => inputs.every((i, j) => seen[c][j] === ins[i].buffer.version));
    causes.forEach((inputs, c) => inputs.forEach((i, j) => (seen[c][j] = ins[i].buffer.version)));
    const groups = groupsFor(ins, targets, [...ins.map((b) => b.id), ...outs.map((b, o) => (detours[o] ? `s${o}` : b.id))].join(" "));
    const encoder = device.createCommandEncoder();
    let pass = timing ? null : encoder.beginComputePass();
    stages.forEach(({ stage, once }, i) => {
      if (once && skipped[numbers.get(once.join())!]) return;
      if (timing) pass = encoder.beginComputePass({ timestampWrites: timing(i) });
      pass!.setPipeline(pipelines[i].pipeline!);
      pass!.setBindGroup(0, groups[i]);
      pass!.dispatchWorkgroups(Math.min(stage.groups, GROUPS_PER_AXIS), Math.ceil(stage.groups / GROUPS_PER_AXIS));
      if (timing) pass!.end();
    });
    if (!timing) pass!.end();
    // Outputs that are inputs: taken before any is overwritten.
    const copies = outs.flatMap((b, o) => {
      const from = sources[o];
      const bytes = Math.ceil(sizes[o] / 4) * 4;
      if (bytes === 0) return [];
      if (from.kind === "input") {
        const taken = ins[from.index];
        if (taken.id === b.id) return [];
        if (outs.every(({ id }) => id !== taken.id)) return [{ from: taken.gpu, to: b.gpu, bytes }];
        const known = spare.get(o) ?? runtime.create(roundUp(bytes), "an input that is an output");
        spare.set(o, known);
        encoder.copyBufferToBuffer(taken.gpu, 0, known, 0, bytes);
        return [{ from: known, to: b.gpu, bytes }];
      }
      if (detours[o]) return [{ from: targets[o], to: b.gpu, bytes }];
      return isDirect(o) ? [] : [{ from: targets[from.index], to: b.gpu, bytes }]; // the same value as an earlier output
    });
    for (const { from, to, bytes } of copies) encoder.copyBufferToBuffer(from, 0, to, 0, bytes);
    return encoder;
  };

  const checked = (inputs: readonly Buffer[], outputs: readonly Buffer[]) => {
    if (!live) throw new Error("gpu: program used after dispose");
    runtime.mustLive();
    mustHold("gpu", graph, inputs, outputs);
    const given = (buffer: Buffer): Given => {
      const own = buffer as GpuTensorBuffer;
      if (own.gpu === null) throw new Error("gpu: buffer used after free");
      return { gpu: own.gpu, id: own.id, buffer: own };
    };
    return [inputs.map(given), outputs.map(given)] as const;
  };

  return {
    bytes: slotBytes.reduce((a, b) => a + b, 0),
    steps: busy.map((p): Step => ({ kernel: p.kernel.name, nodes: p.nodes, estimate: p.estimate, roundoff: p.kernel.roundoff, others: p.others })),
    ready,
    shaders,
    run(inputs, outputs) {
      const [ins, outs] = checked(inputs, outputs);
      runtime.later(
        () => {
          const encoder = record(ins, outs);
          if (encoder) device.queue.submit([encoder.finish()]);
          for (const { buffer } of outs) buffer.version = nextVersion();
        },
        waiting ? ready : null,
      );
    },
    async time(inputs, outputs) {
      const [ins, outs] = checked(inputs, outputs);
      if (!caps.timestamps) throw unsupported("gpu", "this adapter has no timestamps");
      await ready;
      const count = 2 * stages.length;
      const set = device.createQuerySet({ type: "timestamp", count });
      const resolved = device.createBuffer({ size: Math.max(16, 8 * count), usage: USAGE.queryResolve | USAGE.copySrc });
      const readable = device.createBuffer({ size: Math.max(16, 8 * count), usage: USAGE.mapRead | USAGE.copyDst });
      try {
        await new Promise<void>((resolve) =>
          runtime.later(() => {
            const encoder = record(ins, outs, (i) => ({ querySet: set, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 }));
            if (encoder && stages.length) {
              encoder.resolveQuerySet(set, 0, count, resolved, 0);
              encoder.copyBufferToBuffer(resolved, 0, readable, 0, 8 * count);
              device.queue.submit([encoder.finish()]);
            }
            for (const { buffer } of outs) buffer.version = nextVersion();
            resolve();
          }),
        );
        await readable.mapAsync(MAP_READ);
        const ticks = new BigUint64Array(readable.getMappedRange());
        const seconds = busy.map(() => 0);
        shaders.forEach(({ step }, i) => (seconds[step] += Number(ticks[2 * i + 1] - ticks[2 * i]) / 1e9));
        return seconds;
      } finally {
        for (const resource of [set, resolved, readable]) resource.destroy();
      }
    },
    dispose() {
      if (!live) return;
      live = false;
      runtime.later(() => {
        for (const buffer of [...slots, ...spare.values()]) buffer.destroy();
        bindings.clear();
      });
    },
  };
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
