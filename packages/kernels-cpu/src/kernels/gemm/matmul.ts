// Matrix products of any shape, batched, with either side transposed.

import { matmulGeometry, matmulOp, type MatmulParams } from "@conv/ops";
import { exactly, sizeOf } from "@conv/tensor";
import { inputAt, scratchAt, type CpuKernel, type Task } from "../../compile/code.ts";
import { i32, v128 } from "../../wasm/asm.ts";
import { fitted, gemmWork } from "../fitted.ts";
import { columnsPerTile } from "./blocking.ts";
import { gemmStage, type Gemm } from "./gemm.ts";
import { eachColumn, packRows, transposedPanel } from "./panel.ts";
import { epilogueName } from "./tile.ts";

const geometryOf = (task: Task<MatmulParams>) =>
  matmulGeometry(task.inputs[0], task.inputs[1], task.params);

export const matmul: CpuKernel = fitted({
  name: "matmul",
  fuses: ["column", "element"],
  ops: [matmulOp],
  work(task, caps) {
    const { batch, m, k, n, transposeB } = geometryOf(task);
    const filled = sizeOf(batch) * k * n;
    return {
      ...gemmWork(caps, sizeOf(batch), m, k, n),
      [transposeB ? "gathered" : "moved"]: filled,
    };
  },
  build(task, caps) {
    const { batch, m, k, n, transposeA, transposeB } = geometryOf(task);
    const problems = sizeOf(batch);
    const [rowStride, kStride] = transposeA ? [1, m] : [k, 1];
    const [k4, n4] = transposeB ? [4, k * 4] : [n * 4, 4];
    const packed = scratchAt(0);
    const nr = columnsPerTile(caps);
    const gemm: Gemm = {
      name: `matmul${exactly([problems, m, k, n, transposeA, transposeB, caps])}${epilogueName(task.epilogue)}`,
      m,
      units: k,
      unit: 1,
      columns: n,
      problems,
      rowBytes: n * 4,
      epilogue: task.epilogue,
      tileBytes: nr * 4,
      yBase: (problem) => i32.mul(problem, m * n * 4),
      channelBase: () => i32.mul(0, 0),
      tile: (t) =>
        eachColumn(t, (c) =>
          i32.add(t.source, i32.add(i32.mul(t.problem, k * n * 4), i32.mul(c, n4))),
        ),
      panel(f, { first, units, own, into }) {
        const offset = f.let("i32", "offset", i32.mul(first, k4));
        if (transposeB) {
          const pointers = Array.from({ length: nr }, (_, i) =>
            f.let("i32", `p${i}`, i32.add(i32.load(own, i * 4), offset)),
          );
          transposedPanel(f, pointers, into, units, 1);
          return;
        }
        // Columns are neighbors: each step copies whole vectors, in the last tile too. Results past
        // the end of the row are not stored.
        const p = f.let("i32", "p", i32.add(i32.load(own), offset));
        const i = f.local("i32", "i");
        f.for(i, 0, units, 1, () => {
          for (let half = 0; half < nr / 4; half++)
            f.store(into, v128.load(p, half * 16), half * 16);
          f.bump(p, k4);
          f.bump(into, nr * 4);
        });
      },
    };
    return {
      scratch: [{ bytes: (problems * m * k + 16) * 4, packs: 0 }],
      stages: [
        packRows(
          { problems, m, pieces: 1, k, problemStride: m * k, rowStride, pieceStride: 0, kStride },
          inputAt(0),
          packed,
        ),
        gemmStage(gemm, caps, inputAt(1), packed),
      ],
    };
  },
});
