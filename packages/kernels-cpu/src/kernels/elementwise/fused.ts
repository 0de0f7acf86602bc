// Elementwise ops: any number of expressions over any number of inputs, in one pass over one shape,
// with broadcasting. Neighboring axes are merged if the strides of every input allow it, so most
// passes are one flat loop over vectors.

import { fusedOp, inputName, mergeAxes, type FusedParams, countOf } from "@conv/compiler";
import { broadcastStrides } from "@conv/ops";
import { exactly, stridesOf } from "@conv/tensor";
import { inputAt, outputAt, type CpuKernel } from "../../compile/code.ts";
import { i32, v128, type Local, type Operand } from "../../wasm/asm.ts";
import { emitExpr } from "./expr.ts";

export const fused: CpuKernel<FusedParams> = {
  name: "elementwise",
  ops: [fusedOp],
  // Bound by memory: 8 GB/s from the outer caches on one core.
  estimate: (task, { threads }) =>
    (task.cost.bytesRead + task.cost.bytesWritten) / 8e9 / threads + 1e-6,
  build(task, caps) {
    const { shape, values } = task.params;
    const axes = mergeAxes(shape, [
      stridesOf(shape),
      ...task.inputs.map((s) => broadcastStrides(s.shape, shape)),
    ]);
    const inner = axes.at(-1)!;
    const outer = axes.slice(0, -1);
    const flat = outer.length === 0;
    const vectors = Math.ceil(inner.size / 4);
    const reads = task.inputs.map((_, i) => inputAt(i));
    const writes = task.outputs.map((_, i) => outputAt(i));
    return {
      scratch: [],
      stages: [
        {
          name: `each${exactly([axes, values, reads.length, caps.relaxed])}`,
          items: flat ? vectors : countOf(outer),
          reads,
          writes,
          emit(_, f, at, { lo, hi }) {
            const inputs = at.slice(0, reads.length);
            // Inputs that are constant along the inner axis fill a vector once.
            const still = new Map<number, Local>();
            const pointers = at.map((p, i) => f.let("i32", `p_${p.name}_${i}`, p));
            const inputPointers = pointers.slice(0, inputs.length);
            const outputPointers = pointers.slice(inputs.length);
            const moving = (i: number) => inner.strides[i + 1] !== 0;
            const spread = () =>
              inputPointers.forEach((p, i) => {
                if (moving(i) || inner.size === 1) return;
                const v = still.get(i) ?? f.local("v128", inputName(i));
                still.set(i, v);
                f.set(v, v128.loadSplat(p));
              });
            const compute = (): Operand[] => {
              const names: Record<string, Operand> = {};
              inputPointers.forEach(
                (p, i) =>
                  (names[inputName(i)] =
                    still.get(i) ??
                    f.let("v128", inputName(i), moving(i) ? v128.load(p) : v128.loadSplat(p))),
              );
              const shared = new Map<string, Local>();
              return values.map((e) => emitExpr(f, caps, e, names, shared));
            };
            const advance = () =>
              pointers.forEach((p, i) => (i >= inputs.length || moving(i)) && f.bump(p, 16));
            const count = f.local("i32", "count");
            if (flat) {
              // Buffers end on a cache line, so the last vector may run past the last element.
              pointers.forEach(
                (p, i) => (i >= inputs.length || moving(i)) && f.bump(p, i32.mul(lo, 16)),
              );
              spread();
              f.for(count, lo, hi, 1, () => {
                compute().forEach((v, i) => f.store(outputPointers[i], v));
                advance();
              });
              return;
            }
            const [item, rest, coordinate] = f.ints("item", "rest", "coordinate");
            f.for(item, lo, hi, 1, () => {
              pointers.forEach((p, i) => f.set(p, at[i]));
              f.set(rest, item);
              for (const axis of outer.toReversed()) {
                f.set(coordinate, i32.rem(rest, axis.size));
                f.set(rest, i32.div(rest, axis.size));
                pointers.forEach((p, i) =>
                  f.bump(p, i32.mul(coordinate, axis.strides[i < inputs.length ? i + 1 : 0] * 4)),
                );
              }
              spread();
              f.for(count, 0, inner.size >> 2, 1, () => {
                compute().forEach((v, i) => f.store(outputPointers[i], v));
                advance();
              });
              const tail = inner.size % 4;
              if (tail)
                compute().forEach((v, i) =>
                  Array.from({ length: tail }, (_, lane) =>
                    f.storeLane(outputPointers[i], v, lane, lane * 4),
                  ),
                );
            });
          },
        },
      ],
    };
  },
};
