// The gradient of a depthwise convolution to its weight: dw[oc, tap] = Σ over (image, p) of dy[oc,
// p] · x[c, p·stride + offset(tap)]. The sums of a few taps at a time are in registers, while dy
// and x are read, four neighbors p at once.

import { gatherAll, leavesTaps, readLayout, UNSEEN } from "@conv/compiler";
import { convGradWeightOp } from "@conv/ops";
import { exactly, sizeOf, stridesOf } from "@conv/tensor";
import { draft, inputAt, outputAt, type CpuKernel } from "../../compile/code.ts";
import { f32x4, i32, v128 } from "../../wasm/asm.ts";
import { madd } from "../../wasm/math.ts";
import { fitted, paddedElements } from "../fitted.ts";
import { acrossLanes, loadStepped, paddedInput } from "../move/pad.ts";
import { counted, eachCell, inBlocks, laneMask } from "../move/walk.ts";
import { tapsOf } from "./depthwise.ts";

/** Sums, a vector of dy and one of x fill the 16 vector registers. */
const SUMS = 12;
/** The most taps: with more of them the size of the code costs more than it saves. */
const MOST_TAPS = 144;

export const depthwiseGradWeight: CpuKernel = fitted({
  name: "depthwiseGradWeight",
  ops: [convGradWeightOp],
  unsupportedReason(task) {
    const g = task.params;
    if (g.ic !== g.groups) return `takes one source channel per group, not ${g.ic / g.groups}`;
    if (leavesTaps(gatherAll(g))) return UNSEEN;
    return sizeOf(g.kernel) > MOST_TAPS
      ? `unrolls at most ${MOST_TAPS} taps, not ${sizeOf(g.kernel)}`
      : null;
  },
  work(task) {
    const g = task.params;
    const last = g.output.length - 1;
    const taps = sizeOf(g.kernel);
    const rows = g.n * g.oc * sizeOf(g.output.slice(0, -1));
    const products = 4 * rows * Math.ceil(g.output[last] / 4) * taps;
    return {
      products,
      steps: rows * Math.ceil(g.output[last] / 4) * Math.ceil(taps / SUMS),
      moved: paddedElements(gatherAll(g)),
      gathered: g.stride[last] > 2 ? products : 0,
      tiles: rows * Math.ceil(taps / SUMS),
    };
  },
  build(task, caps) {
    const g = task.params;
    const gather = gatherAll(g);
    const rank = g.output.length;
    const width = g.output[rank - 1];
    const stepW = g.stride[rank - 1];
    const positions = sizeOf(g.output);
    const multiplier = g.oc / g.groups;
    const { strides, plane } = readLayout(gather);
    const outer = g.output
      .slice(0, -1)
      .map((size, a) => ({ size, strides: [g.stride[a] * strides[a]] }));
    const all = tapsOf(gather.phases[0], stridesOf(g.kernel), strides);
    const code = draft();
    const source = paddedInput(gather, 1, code);
    code.stages.push({
      name: `depthwiseGradWeight${exactly([g, caps.relaxed])}`,
      items: g.oc,
      reads: [inputAt(0), source],
      writes: [outputAt(0)],
      emit(_, f, [dy, x, dw], { lo, hi }) {
        const [oc, image, s, d, sRow, column] = f.ints("oc", "image", "s", "d", "sRow", "column");
        const sums = Array.from({ length: Math.min(SUMS, all.length) }, (_, i) =>
          f.local("v128", `sum${i}`),
        );
        const given = f.local("v128", "given");
        const tail = width % 4;
        const part = (taps: typeof all) => {
          const row = () => {
            f.set(s, sRow);
            const four = () =>
              taps.forEach(({ offset }, i) =>
                f.set(
                  sums[i],
                  madd(caps, given, loadStepped(f, s, offset * 4, stepW, "x"), sums[i]),
                ),
              );
            inBlocks(f, sums.slice(0, taps.length), width >> 2, 1, (count) =>
              f.for(column, 0, count, 1, () => {
                f.set(given, v128.load(d));
                four();
                f.bump(s, 16 * stepW);
                f.bump(d, 16);
              }),
            );
            if (!tail) return;
            // Lanes past the row must not count, whatever is in memory there (0·x is 0 only if x is
            // finite).
            const mask = laneMask(tail);
            f.set(given, v128.and(v128.load(d), mask));
            taps.forEach(({ offset }, i) => {
              const masked = v128.and(loadStepped(f, s, offset * 4, stepW, "x", tail), mask);
              f.set(sums[i], madd(caps, given, masked, sums[i]));
            });
            f.bump(d, tail * 4);
          };
          taps.forEach((_, i) => f.set(sums[i], 0));
          const totals = counted(f, sums.slice(0, taps.length));
          f.for(image, 0, g.n, 1, () => {
            f.set(d, i32.add(dy, i32.mul(i32.add(i32.mul(image, g.oc), oc), positions * 4)));
            f.set(
              sRow,
              i32.add(
                x,
                i32.mul(i32.add(i32.mul(image, g.ic), i32.div(oc, multiplier)), plane * 4),
              ),
            );
            eachCell(f, outer, [{ at: sRow, stride: 0 }], () => {
              row();
              totals.add(Math.ceil(width / 4));
            });
          });
          totals.finish();
          taps.forEach(({ tap }, i) => {
            acrossLanes(f, sums[i], f32x4.add);
            f.storeLane(i32.add(dw, i32.mul(oc, all.length * 4)), sums[i], 0, tap * 4);
          });
        };
        f.for(oc, lo, hi, 1, () => {
          for (let at = 0; at < all.length; at += SUMS) part(all.slice(at, at + SUMS));
        });
      },
    });
    return code;
  },
});
