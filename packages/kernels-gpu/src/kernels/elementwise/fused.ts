// Elementwise work: any number of expressions over any number of inputs, in one pass over one
// shape, with broadcasting. One invocation makes four neighbors where the rhythm of all tensors
// allows it.

import { fusedOp, inputName, mergeAxes, type FusedParams } from "@conv/compiler";
import { broadcastStrides } from "@conv/ops";
import { bytesOf, sizeOf, stridesOf } from "@conv/tensor";
import {
  inputAt,
  outputAt,
  scratchAt,
  type Binding,
  type GpuKernel,
  type GpuStage,
} from "../../compile/code.ts";
import { coordinates, emitExprs, mainOf, offsetOf } from "../../wgsl/wgsl.ts";

const SIZE = 64;

export const fused: GpuKernel = {
  name: "elementwise",
  unsupportedReason: (task) => (task.op === fusedOp ? null : "does elementwise work"),
  // Bound by memory; what passes between the nodes of a task does not go there.
  estimate: ({ inputs, outputs }, caps) =>
    [...inputs, ...outputs].reduce((sum, s) => sum + bytesOf(s), 0) / caps.bandwidth + caps.launch,
  build(task, caps) {
    const { shape, values } = task.params as FusedParams;
    const axes = mergeAxes(shape, [
      stridesOf(shape),
      ...task.inputs.map((s) => broadcastStrides(s.shape, shape)),
    ]);
    const inner = axes.at(-1)!;
    const width =
      inner.size % 4 === 0 && inner.strides[0] === 1 && inner.strides.every((s) => s < 2) ? 4 : 1;
    const sizes = axes.map(({ size }, a) => (a === axes.length - 1 ? size / width : size));
    const items = sizeOf(sizes);
    const names = axes.map((_, a) => `c${a}`);
    // Inputs that move along the inner axis are read as vectors, the others spread over one.
    const moving = (i: number) => width === 4 && inner.strides[i + 1] === 1;
    const stridesFor = (i: number, vectors: boolean) =>
      axes.map(({ strides }, a) =>
        vectors && a < axes.length - 1 ? strides[i] / width : strides[i],
      );
    const T = width === 4 ? "vec4f" : "f32";
    // Inputs beyond what a kernel may bind are copied into one buffer first, one after the other.
    const beyond = Math.max(0, task.inputs.length + task.outputs.length - caps.storageBuffers);
    const direct = task.inputs.length - (beyond && beyond + 1);
    const starts = task.inputs.map((_, i) =>
      task.inputs.slice(direct, i).reduce((sum, { shape: s }) => sum + sizeOf(s), 0),
    );
    const load = (i: number) => {
      if (i >= direct) {
        const first = `${starts[i]}u + ${offsetOf(names, stridesFor(i + 1, false))}${width === 4 && moving(i) ? ` + 3u * c${axes.length - 1}` : ""}`;
        if (!moving(i)) return `let v${i} = ${T}(copied[${first}]);`;
        return `let from${i} = ${first};\nlet v${i} = vec4f(${[0, 1, 2, 3].map((k) => `copied[from${i} + ${k}u]`).join(", ")});`;
      }
      const at = `${inputName(i)}[${offsetOf(names, stridesFor(i + 1, moving(i)))}]`;
      return `let v${i} = ${moving(i) || width === 1 ? `${T}(${at})` : `vec4f(f32(${at}))`};`;
    };
    const { statements, values: results } = emitExprs(
      values,
      Object.fromEntries(task.inputs.map((_, i) => [inputName(i), `v${i}`])),
      width,
    );
    const groups = Math.ceil(items / SIZE);
    const body = [
      `let index = group * ${SIZE}u + lane;`,
      ...(items % SIZE ? [`if (index >= ${items}u) { return; }`] : []),
      coordinates("index", sizes, names),
      ...task.inputs.map((_, i) => load(i)),
      ...(statements ? [statements] : []),
      ...results.map((v, i) => `y${i}[index] = ${width === 4 ? `vec4<Y${i}>` : `Y${i}`}(${v});`),
    ].join("\n");
    const copies = task.inputs.slice(direct).map(({ shape: s }, k): GpuStage => {
      const size = sizeOf(s);
      const count = Math.ceil(size / SIZE);
      const copy = `let index = group * ${SIZE}u + lane;\nif (index < ${size}u) { copied[index + ${starts[direct + k]}u] = f32(x[index]); }`;
      const reads: Binding[] = [{ name: "x", place: inputAt(direct + k) }];
      return {
        label: "elementwise: an operand",
        reads,
        writes: [{ name: "copied", place: scratchAt(0) }],
        code: mainOf(count, SIZE, copy),
        groups: count,
      };
    });
    const bound = task.inputs.slice(0, direct).map((_, i): Binding => ({
      name: inputName(i),
      place: inputAt(i),
      width: moving(i) ? 4 : 1,
    }));
    return {
      scratch: beyond
        ? [
            {
              bytes:
                4 * task.inputs.slice(direct).reduce((sum, { shape: s }) => sum + sizeOf(s), 0),
            },
          ]
        : [],
      stages: [
        ...copies,
        {
          label: "elementwise",
          elementwise: true,
          reads: [...bound, ...(beyond ? [{ name: "copied", place: scratchAt(0) }] : [])],
          writes: task.outputs.map((_, i) => ({ name: `y${i}`, place: outputAt(i), width })),
          code: mainOf(groups, SIZE, body),
          groups,
        },
      ],
    };
  },
};
