// Conv itself on one of its back ends: a graph of one convolution or a whole network (timed is
// `Program.run` alone, buffers on the device), or a training step as one program (timed with the
// optimizer's few numbers going in and the loss coming out).

import { initialize, traceModel, traceStep } from "@conv/layers";
import { models } from "@conv/layers/models";
import { conv, convGradInputOp, convGradWeightOp, convOp, type ConvGeometry } from "@conv/ops";
import {
  bytesOf,
  spec,
  trace,
  node,
  type Buffer,
  type Graph,
  type Op,
  type Program,
} from "@conv/tensor";
import { shapesOf, type Direction } from "../layers.ts";
import { median } from "../stats.ts";
import type { Engine } from "../task.ts";
import { optimizerOf } from "../training.ts";
import type { Device, OwnBackend, OwnProgram } from "./context.ts";

const ops: Record<Direction, Op<ConvGeometry>> = {
  forward: convOp,
  gradInput: convGradInputOp,
  gradWeight: convGradWeightOp,
};

export function createEngine(backend: OwnBackend, device: Device): Engine {
  const put = (data: ArrayBufferView) => {
    const buffer = backend.alloc(data.byteLength);
    backend.write(buffer, data);
    return buffer;
  };
  const compile = async (graph: Graph): Promise<OwnProgram> => {
    const program = backend.compile(graph);
    await program.ready;
    return program;
  };
  const floats = async (buffer: Buffer) => new Float32Array(await backend.read(buffer));
  const mark = put(new Float32Array(1));
  /**
   * On the CPU, runs are complete when they return. Elsewhere calls run in order, so after a read
   * of four bytes all earlier ones are complete.
   */
  const finish = device === "cpu" ? undefined : async () => void (await backend.read(mark));
  /** The sum over all steps, the median of five runs; undefined where the device has no clock. */
  const clockOf = (program: OwnProgram, inputs: readonly Buffer[], outputs: readonly Buffer[]) => {
    const { time } = program;
    const { caps = {} } = backend;
    if (!time || !("timestamps" in caps && caps.timestamps)) return undefined;
    return async () => {
      const runs: number[] = [];
      for (let i = 0; i < 5; i++)
        runs.push((await time(inputs, outputs)).reduce((sum, seconds) => sum + 1000 * seconds, 0));
      return median(runs);
    };
  };
  const release = (program: Program, buffers: readonly Buffer[]) => {
    program.dispose();
    buffers.forEach((buffer) => backend.free(buffer));
  };
  return {
    version: "of this commit",
    async layer({ direction, geometry }, operands) {
      const graph = trace(
        (a, b) => node(ops[direction], geometry, [a, b]),
        shapesOf(direction, geometry).operands.map((shape) => spec(shape)),
      );
      const program = await compile(graph);
      const inputs = operands.map(put);
      const output = backend.alloc(bytesOf(graph.outputs[0].spec));
      return {
        kernels: program.steps.map((step) => step.kernel),
        run: () => program.run(inputs, [output]),
        finish,
        clock: clockOf(program, inputs, [output]),
        read: () => floats(output),
        dispose: () => release(program, [...inputs, output]),
      };
    },
    async network({ model, batch }, images, weights) {
      await warmUp(compile);
      const started = performance.now();
      const { graph } = traceModel(models[model](), { batch });
      const program = await compile(graph);
      const inputs = [images, ...weights].map(put);
      const output = backend.alloc(bytesOf(graph.outputs[0].spec));
      const run = () => program.run(inputs, [output]);
      run();
      await floats(output);
      return {
        startMs: performance.now() - started,
        kernels: counted(program.steps.map((step) => step.kernel)),
        run,
        finish,
        clock: clockOf(program, inputs, [output]),
        read: () => floats(output),
        dispose: () => release(program, [...inputs, output]),
      };
    },
    async train({ model, batch }, images, labels) {
      const optimizer = optimizerOf(model);
      const { graph, entries, slots, written, kept } = traceStep(models[model](), optimizer, batch);
      const program = await compile(graph);
      const weights = initialize(models[model](), 0);
      const parameters = entries.map((e) => put(weights.get(e.name)!.data));
      const state = slots.map((s) => put(new Float32Array(bytesOf(s.spec) / 4)));
      const [x, y, hyper] = [put(images), put(labels), put(new Float32Array(optimizer.hypers))];
      const [loss, output] = graph.outputs.slice(0, 2).map((v) => backend.alloc(bytesOf(v.spec)));
      const inputs = [x, y, hyper, ...parameters, ...state];
      const outputs = [
        loss,
        output,
        ...written.map((i) => parameters[i]),
        ...kept.map((i) => state[i]),
      ];
      const losses: number[] = [];
      return {
        kernels: [...new Set(program.steps.map((step) => step.kernel))],
        async run() {
          backend.write(hyper, Float32Array.from(optimizer.hyper(losses.length)));
          program.run(inputs, outputs);
          losses.push((await floats(loss))[0]);
        },
        read: async () => Float32Array.of(losses[0], losses.at(-1)!),
        dispose: () => release(program, [...inputs, loss, output]),
      };
    },
  };
}

/**
 * The compiler loads with the first program, as onnxruntime does with its first session; the start
 * time of a network excludes that.
 */
async function warmUp(compile: (graph: Graph) => Promise<Program>): Promise<void> {
  const program = await compile(
    trace((x, w) => conv(x, w), [spec([1, 1, 1, 1]), spec([1, 1, 1, 1])]),
  );
  program.dispose();
}

/** Each kernel once, with how often it runs, the most frequent first. */
function counted(kernels: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const kernel of kernels) counts.set(kernel, (counts.get(kernel) ?? 0) + 1);
  return [...counts]
    .toSorted(([, a], [, b]) => b - a)
    .map(([kernel, count]) => `${count} ${kernel}`);
}
