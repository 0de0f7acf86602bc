// Much padding: what a program keeps in memory is of the size of its tensors, whatever lies between
// the taps and around the source.

import {
  avgPoolGradOp,
  avgPoolOp,
  convGeometry,
  convGradInputOp,
  convGradWeightOp,
  convOp,
  maxPoolGradOp,
  maxPoolOp,
  maxPoolPickOp,
  poolGeometry,
} from "@conv/ops";
import type { ConvOptions, PoolOptions } from "@conv/ops";
import { bytesOf, node, spec, trace, type Graph, type Op, type Spec } from "@conv/tensor";
import { check, drawAll } from "@conv/testkit";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createCpu, type CpuBackend } from "../src/index.ts";

/**
 * A program may take so many times the bytes of its inputs and outputs, and so many bytes besides:
 * tables, tiles, cache lines.
 */
const TIMES = 16;
const BYTES = 64 * 1024;

const graphs: [string, Graph][] = [];
function add<P>(name: string, op: Op<P>, params: P, ...inputs: Spec[]): void {
  graphs.push([`${op.name} ${name}`, trace((...xs) => node(op, params, xs), inputs)]);
}

const convs: [string, number[], number[], ConvOptions][] = [
  ["3×3 dilation 1000 @5", [2, 16, 5, 5], [24, 16, 3, 3], { padding: 1000, dilation: 1000 }],
  [
    "3×3 dilation 1000 @5 depthwise",
    [1, 16, 5, 5],
    [16, 1, 3, 3],
    { padding: 1000, dilation: 1000, groups: 16 },
  ],
  ["3×3×3 dilation 100 @3", [1, 2, 3, 3, 3], [4, 2, 3, 3, 3], { padding: 100, dilation: 100 }],
  ["3 dilation 100000 @7", [1, 2, 7], [4, 2, 3], { padding: 100000, dilation: 100000 }],
  [
    "3×3 dilation 9 stride 2 @10",
    [1, 4, 10, 10],
    [4, 4, 3, 3],
    { padding: 9, dilation: 9, stride: 2 },
  ],
];
for (const [name, x, w, options] of convs) {
  const g = convGeometry(spec(x), spec(w), options);
  const y = spec([g.n, g.oc, ...g.output]);
  add(name, convOp, g, spec(x), spec(w));
  add(name, convGradInputOp, g, y, spec(w));
  add(name, convGradWeightOp, g, y, spec(x));
}
// Most outputs see nothing.
const far = convGeometry(spec([1, 8, 6, 6]), spec([8, 8, 3, 3]), { padding: 2000, stride: 100 });
add("3×3 stride 100 padding 2000", convOp, far, spec([1, 8, 6, 6]), spec([8, 8, 3, 3]));
add("3×3 stride 100 padding 2000", convGradInputOp, far, spec([1, 8, 41, 41]), spec([8, 8, 3, 3]));

const pools: [string, number[], number, PoolOptions][] = [
  ["3×3 dilation 1000", [2, 3, 5, 6], 3, { padding: 1000, dilation: 1000, stride: 1 }],
  [
    "3×3 dilation 3 padding 2|5",
    [1, 3, 5, 4],
    3,
    {
      padding: [
        [2, 5],
        [5, 2],
      ],
      dilation: 3,
      stride: 1,
    },
  ],
  [
    "2×2 dilation 3 padding 1, first tap past the edge",
    [1, 3, 3, 3],
    2,
    {
      padding: [
        [1, 0],
        [1, 0],
      ],
      dilation: 3,
      stride: 1,
    },
  ],
];
for (const [name, x, kernel, options] of pools) {
  const g = poolGeometry(spec(x), kernel, options);
  const y = spec([g.n, g.c, ...g.output]);
  const mean = { ...g, countIncludePad: false };
  add(name, maxPoolOp, g, spec(x));
  add(name, maxPoolGradOp, g, spec(x), y);
  add(name, maxPoolPickOp, g, spec(x), spec(x));
  add(name, avgPoolOp, mean, spec(x));
  add(name, avgPoolGradOp, mean, y);
}

let cpu: CpuBackend;
beforeAll(async () => void (cpu = await createCpu({ threads: 1 })));
afterAll(() => cpu.dispose());

it.each(graphs)(
  "%s, by the kernel chosen and by every other that takes it",
  async (name, graph) => {
    const tensors = [...graph.inputs, ...graph.outputs].reduce(
      (sum, v) => sum + bytesOf(v.spec),
      0,
    );
    const specs = graph.inputs.map((v) => v.spec);
    const { steps, dispose } = cpu.compile(graph);
    dispose();
    for (const kernel of steps.flatMap((s) => [s.kernel, ...s.others.map((o) => o.kernel)])) {
      const prefer = { prefer: [kernel] };
      const program = cpu.compile(graph, prefer);
      expect(program.bytes, kernel).toBeLessThan(TIMES * tensors + BYTES);
      program.dispose();
      await check(
        { ...cpu, compile: (g) => cpu.compile(g, prefer) },
        graph,
        drawAll(specs, "normal", name),
      );
    }
  },
);
