// Matrix product where one side has few rows or columns (a linear layer on one sample): the other
// side is read once, where it is stored.

import { matmulGeometry, matmulOp, type MatmulParams } from "@conv/ops";
import { sizeOf } from "@conv/tensor";
import type { CpuKernel, Task } from "../../compile/code.ts";
import { fitted } from "../fitted.ts";
import { MOST_COLUMNS, thinCode, thinWork, type Thin } from "./thin.ts";

const geometryOf = (task: Task<MatmulParams>) =>
  matmulGeometry(task.inputs[0], task.inputs[1], task.params);

/**
 * With few rows, the columns of b are the rows of the product (y transposed); with few columns, it
 * is the product itself.
 */
function productOf(task: Task<MatmulParams>): Thin & { fewRows: boolean } {
  const { batch, m, k, n, transposeA, transposeB } = geometryOf(task);
  const a = { problem: m * k, row: transposeA ? 1 : k, k: transposeA ? m : 1 };
  const b = { problem: k * n, row: transposeB ? k : 1, k: transposeB ? 1 : n };
  const fewRows = m < n;
  const [wide, few] = fewRows ? [b, a] : [a, b];
  const columns = Array.from({ length: fewRows ? m : n }, (_, p) => p);
  return {
    fewRows,
    problems: sizeOf(batch),
    rows: fewRows ? n : m,
    depth: k,
    wide,
    thin: { problem: few.problem, at: columns.map((p) => p * few.row), k: few.k },
    y: { problem: m * n, row: fewRows ? 1 : n, at: columns.map((p) => (fewRows ? p * n : p)) },
    operand: { problem: 0, row: fewRows ? 1 : 0, at: columns.map((p) => (fewRows ? 0 : p)) },
    epilogue: task.epilogue,
  };
}

export const thinMatmul: CpuKernel = fitted({
  name: "thinMatmul",
  fuses: ["column", "element"],
  ops: [matmulOp],
  unsupportedReason(task) {
    const { m, n } = geometryOf(task);
    const few = Math.min(m, n);
    return few < 1 || few > MOST_COLUMNS
      ? `takes 1 to ${MOST_COLUMNS} rows or columns, not ${m} and ${n}`
      : null;
  },
  work: (task) => thinWork(productOf(task), null),
  build(task, caps) {
    const { fewRows, ...thin } = productOf(task);
    return thinCode(thin, caps, fewRows ? { wide: 1, thin: 0 } : { wide: 0, thin: 1 });
  },
});
