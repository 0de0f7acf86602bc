// Convolutions, their gradients and matrix products by threads that work alone
// (registersShader.ts): for small and thin shapes on any adapter, and for all shapes on software
// adapters, where workgroup memory and barriers cost more than they save.

import { inputAt, outputAt, type GpuKernel } from "../../compile/code.ts";
import { emitEpilogue } from "../../wgsl/wgsl.ts";
import { CONV, GRAD_WEIGHT, MATMUL, productsOf, type Family } from "../gemm/product.ts";
import { registersShader } from "./registersShader.ts";
import { chosenFor } from "./tiles.ts";

function kernelOf(name: string, family: Family): GpuKernel {
  return {
    name,
    ...family,
    estimate: (task, caps) =>
      productsOf(task)!.products.reduce((total, p) => total + chosenFor(p, caps).seconds, 0),
    build(task, caps) {
      const { products, a, x } = productsOf(task)!;
      const epilogue = emitEpilogue(task.epilogue, 2);
      return {
        scratch: [],
        stages: products.map((p) => ({
          label: name,
          reads: [
            { name: "a", place: inputAt(a) },
            { name: "x", place: inputAt(x) },
            ...epilogue.reads,
          ],
          writes: [{ name: "y", place: outputAt(0) }],
          ...registersShader(p, chosenFor(p, caps).tile, epilogue),
        })),
      };
    },
  };
}

export const direct: GpuKernel = /* @__PURE__ */ kernelOf("direct", CONV);
export const directGradWeight: GpuKernel = /* @__PURE__ */ kernelOf(
  "directGradWeight",
  GRAD_WEIGHT,
);
export const directMatmul: GpuKernel = /* @__PURE__ */ kernelOf("directMatmul", MATMUL);
