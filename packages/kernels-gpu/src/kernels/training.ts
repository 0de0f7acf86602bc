// The kernels that only the backward pass needs: gradients of convolution to the weight, and of
// pooling. One line for each file.

export { depthwiseGradWeight } from "./depthwise/gradWeight.ts";
export { directGradWeight } from "./direct/direct.ts";
export { dotGradWeight } from "./gemm/dot.ts";
export { gradWeightF16, gradWeightMatrix } from "./gemm/half.ts";
export { gradWeight } from "./gemm/tiled.ts";
export { poolGrad } from "./pool/grad.ts";
export {
  winogradGradWeight1d4,
  winogradGradWeight1d6,
  winogradGradWeight1d8,
  winogradGradWeight2d4,
  winogradGradWeight2d6,
  winogradGradWeight2d8,
} from "./winograd/gradWeight.ts";
