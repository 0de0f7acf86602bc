// Elementwise work: any number of expressions over any number of inputs, in one pass over one shape, with broadcasting. One invocation makes
// four neighbours where the rhythm of all tensors allows it.

import { broadcastStrides } from "@conv/ops";
import { fusedOp, inputName, mergeAxes, type FusedParams } from "@conv/ops/plan";
import { bytesOf, sizeOf, stridesOf } from "@conv/tensor";
import { inputAt, outputAt, type GpuKernel } from "../code.ts";
import { coordinates, emitExprs, mainOf, offsetOf } from "../wgsl.ts";

const SIZE = 64;

export const fused: GpuKernel = {
  name: "elementwise",
  declines: (task) => (task.op.name === fusedOp.name ? null : "does elementwise work"),
  // Bound by memory; what passes between the nodes of a task does not go there.
  estimate: ({ inputs, outputs }, caps) => [...inputs, ...outputs].reduce((sum, s) => sum + bytesOf(s), 0) / caps.bandwidth + caps.launch,
  build(task) {
    const { shape, values } = task.params as FusedParams;
    const axes = mergeAxes(shape, [stridesOf(shape), ...task.inputs.map((s) => broadcastStrides(s.shape, shape))]);
    const inner = axes.at(-1)!;
    const width = inner.size % 4 === 0 && inner.strides[0] === 1 && inner.strides.every((s) => s < 2) ? 4 : 1;
    const sizes = axes.map(({ size }, a) => (a === axes.length - 1 ? size / width : size));
    const items = sizeOf(sizes);
    const names = axes.map((_, a) => `c${a}`);
    // Inputs that move along the inner axis are read as vectors, the others spread over one.
    const moving = (i: number) => width === 4 && inner.strides[i + 1] === 1;
    const stridesFor = (i: number, vectors: boolean) =>
      axes.map(({ strides }, a) => (vectors && a < axes.length - 1 ? strides[i] / width : strides[i]));
    const T = width === 4 ? "vec4f" : "f32";
    const load = (i: number) => {
      const at = `${inputName(i)}[${offsetOf(names, stridesFor(i + 1, moving(i)))}]`;
      return `let v${i} = ${moving(i) || width === 1 ? `${T}(${at})` : `vec4f(f32(${at}))`};`;
    };
    const {
      functions,
      statements,
      values: results,
    } = emitExprs(values, Object.fromEntries(task.inputs.map((_, i) => [inputName(i), `v${i}`])), width);
    const groups = Math.ceil(items / SIZE);
    const body = [
      `let index = group * ${SIZE}u + lane;`,
      ...(items % SIZE ? [`if (index >= ${items}u) { return; }`] : []),
      coordinates("index", sizes, names),
      ...task.inputs.map((_, i) => load(i)),
      ...(statements ? [statements] : []),
      ...results.map((v, i) => `y${i}[index] = ${width === 4 ? `vec4<Y${i}>` : `Y${i}`}(${v});`),
    ].join("\n");
    return {
      scratch: [],
      stages: [
        {
          label: "elementwise",
          elementwise: true,
          reads: task.inputs.map((_, i) => ({ name: inputName(i), place: inputAt(i), width: moving(i) ? 4 : 1 })),
          writes: task.outputs.map((_, i) => ({ name: `y${i}`, place: outputAt(i), width })),
          code: `${functions}${functions && "\n\n"}${mainOf(groups, SIZE, body)}`,
          groups,
        },
      ],
    };
  },
};
