// Conv itself: a graph of one convolution as a program of the CPU back end. Timed is `Program.run` alone, buffers on the device.

import { createCpu } from "@conv/kernels-cpu";
import { convGradInputOp, convGradWeightOp, convOp, type ConvGeometry } from "@conv/ops";
import { bytesOf, spec, trace, node, type Op } from "@conv/tensor";
import { shapesOf, type Direction } from "../layers.ts";
import type { Engine } from "../task.ts";

const ops: Record<Direction, Op<ConvGeometry>> = { forward: convOp, gradInput: convGradInputOp, gradWeight: convGradWeightOp };

export async function createEngine(threads: number): Promise<Engine> {
  const backend = await createCpu({ threads });
  return {
    version: "this working tree",
    async layer({ direction, geometry }, operands) {
      const graph = trace(
        (a, b) => node(ops[direction], geometry, [a!, b!]),
        shapesOf(direction, geometry).operands.map((shape) => spec(shape)),
      );
      const program = backend.compile(graph);
      const inputs = operands.map((data) => {
        const buffer = backend.alloc(data.byteLength);
        backend.write(buffer, data);
        return buffer;
      });
      const output = backend.alloc(bytesOf(graph.outputs[0]!.spec));
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
  };
}
