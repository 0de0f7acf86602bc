// Forward passes of one model over parameters that lie on a device: one program for each number of samples, compiled when first asked for.

import { bytesOf, graphOf, input, optimise, sizeOf, spec, type Backend, type Buffer, type Program, type Value } from "@conv/tensor";
import { traceModel, type Model } from "./layer.ts";

/** Loss of a batch: output and labels (int32, one a sample) to one element. */
export type Loss = (output: Value, labels: Value) => Value;

interface Compiled {
  readonly program: Program;
  readonly inputs: readonly Buffer[];
  readonly outputs: readonly Buffer[];
}

export interface Forward {
  /** Enqueues one pass over as many samples as `labels` has; reads the output, and the loss where there is one. */
  run(x: Float32Array, labels: Int32Array): { output: Promise<Float32Array>; loss: Promise<number> };
  dispose(): void;
}

/** `parameters` are in the order of the model's entries and belong to the caller. Without `loss` labels only count, and the loss is 0. */
export function createForward(backend: Backend, model: Model, parameters: readonly Buffer[], loss?: Loss): Forward {
  const compiled = new Map<number, Compiled>();
  const compile = (n: number): Compiled => {
    const { x, values, output } = traceModel(model, { batch: n });
    const labels = input(spec([n], "int32"), "labels");
    const inputs = loss ? [x, labels] : [x];
    const outputs = loss ? [output, loss(output, labels)] : [output];
    const program = backend.compile(optimise(graphOf([...inputs, ...values], outputs)));
    return { program, inputs: inputs.map((v) => backend.alloc(bytesOf(v.spec))), outputs: outputs.map((v) => backend.alloc(bytesOf(v.spec))) };
  };
  return {
    run(x, labels) {
      const n = labels.length;
      let made = compiled.get(n);
      if (!made) compiled.set(n, (made = compile(n)));
      const { program, inputs, outputs } = made;
      backend.write(inputs[0], x);
      if (loss) backend.write(inputs[1], labels);
      program.run([...inputs, ...parameters], outputs);
      return { output: readFloats(backend, outputs[0]), loss: loss ? readFloats(backend, outputs[1]).then(([value]) => value) : Promise.resolve(0) };
    },
    dispose() {
      for (const { program, inputs, outputs } of compiled.values()) {
        program.dispose();
        for (const buffer of [...inputs, ...outputs]) backend.free(buffer);
      }
      compiled.clear();
    },
  };
}

export const readFloats = (backend: Backend, buffer: Buffer): Promise<Float32Array> => backend.read(buffer).then((bytes) => new Float32Array(bytes));

/** Copies float arrays to buffers of their own. */
export function upload(backend: Backend, arrays: readonly Float32Array[]): Buffer[] {
  return arrays.map((data) => {
    const buffer = backend.alloc(data.byteLength);
    backend.write(buffer, data);
    return buffer;
  });
}

/** The index of the largest value in each of `rows` equal rows; the first of equals. */
export function argMax(values: Float32Array, rows: number): Int32Array {
  const width = values.length / rows;
  return Int32Array.from({ length: rows }, (_, row) => {
    let best = 0;
    for (let i = 1; i < width; i++) if (values[row * width + i] > values[row * width + best]) best = i;
    return best;
  });
}

export const sampleSize = (model: Model): number => sizeOf(model.input);
