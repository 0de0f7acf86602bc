// Conv itself on its CPU back end: a graph of one convolution or a whole network (timed is `Program.run` alone, buffers on the device),
// or the training step of LeNet-5 as one program (timed with the optimiser's few numbers going in and the loss coming out).

import { createCpu, type CpuBackend } from "@conv/kernels-cpu";
import { adam, initialise, traceModel, traceStep } from "@conv/layers";
import { lenet5, models } from "@conv/layers/models";
import { conv, convGradInputOp, convGradWeightOp, convOp, type ConvGeometry } from "@conv/ops";
import { bytesOf, spec, trace, node, type Op } from "@conv/tensor";
import { shapesOf, type Direction } from "../layers.ts";
import type { Engine } from "../task.ts";

const ops: Record<Direction, Op<ConvGeometry>> = { forward: convOp, gradInput: convGradInputOp, gradWeight: convGradWeightOp };

export async function createEngine(threads: number, simd256: boolean): Promise<Engine> {
  const backend = await createCpu({ threads, simd256 });
  const put = (data: ArrayBufferView) => {
    const buffer = backend.alloc(data.byteLength);
    backend.write(buffer, data);
    return buffer;
  };
  return {
    version: "of this commit",
    async layer({ direction, geometry }, operands) {
      const graph = trace(
        (a, b) => node(ops[direction], geometry, [a!, b!]),
        shapesOf(direction, geometry).operands.map((shape) => spec(shape)),
      );
      const program = backend.compile(graph);
      const inputs = operands.map(put);
      const output = backend.alloc(bytesOf(graph.outputs[0].spec));
      return {
        kernels: program.steps.map((step) => step.kernel),
        run: () => program.run(inputs, [output]),
        read: async () => new Float32Array(await backend.read(output)),
        dispose() {
          program.dispose();
          [...inputs, output].forEach((buffer) => backend.free(buffer));
        },
      };
    },
    async network({ model, batch }, images, weights) {
      warmUp(backend);
      const started = performance.now();
      const { graph } = traceModel(models[model](), { batch });
      const program = backend.compile(graph);
      const inputs = [images, ...weights].map(put);
      const output = backend.alloc(bytesOf(graph.outputs[0].spec));
      const run = () => program.run(inputs, [output]);
      const read = async () => new Float32Array(await backend.read(output));
      run();
      await read();
      return {
        startMs: performance.now() - started,
        kernels: counted(program.steps.map((step) => step.kernel)),
        run,
        read,
        dispose() {
          program.dispose();
          [...inputs, output].forEach((buffer) => backend.free(buffer));
        },
      };
    },
    async train({ batch }, images, labels) {
      const optimizer = adam();
      const { graph, entries } = traceStep(lenet5(), optimizer, batch);
      const program = backend.compile(graph);
      const weights = initialise(lenet5(), 0);
      const parameters = entries.map((e) => put(weights.get(e.name)!.data));
      const slots = graph.inputs.slice(3 + entries.length).map((v) => put(new Float32Array(bytesOf(v.spec) / 4)));
      const [x, y, hyper] = [put(images), put(labels), put(new Float32Array(optimizer.hypers))];
      const [loss, output] = graph.outputs.slice(0, 2).map((v) => backend.alloc(bytesOf(v.spec)));
      const learned = [...parameters, ...slots];
      const losses: number[] = [];
      return {
        kernels: [...new Set(program.steps.map((step) => step.kernel))],
        async run() {
          backend.write(hyper, Float32Array.from(optimizer.hyper(losses.length)));
          program.run([x, y, hyper, ...learned], [loss, output, ...learned]);
          losses.push(new Float32Array(await backend.read(loss))[0]);
        },
        read: async () => Float32Array.of(losses[0], losses.at(-1)!),
        dispose() {
          program.dispose();
          [x, y, hyper, loss, output, ...learned].forEach((buffer) => backend.free(buffer));
        },
      };
    },
  };
}

/** The compiler itself loads with the first program, as onnxruntime does with its first session; what a network takes to start should not hold that. */
function warmUp(backend: CpuBackend): void {
  backend.compile(trace((x, w) => conv(x, w), [spec([1, 1, 1, 1]), spec([1, 1, 1, 1])])).dispose();
}

/** Each kernel once, with how often it runs, the most frequent first. */
function counted(kernels: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const kernel of kernels) counts.set(kernel, (counts.get(kernel) ?? 0) + 1);
  return [...counts].toSorted(([, a], [, b]) => b - a).map(([kernel, count]) => `${count} ${kernel}`);
}
