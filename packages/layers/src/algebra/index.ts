// @conv/layers/algebra: rewrites convolutions and networks into equivalent ones, or into
// approximations with a known error.

export { compose } from "./compose.ts";
export {
  convolutionOf,
  convolve,
  effortOf,
  layersOf,
  type Convolution,
  type Effort,
  type Sliding,
} from "./convolution.ts";
export { foldBatchNorm } from "./fold.ts";
export { convolveFull, flip } from "./full.ts";
export { times, toMatrix, transposed, type SparseMatrix } from "./matrix.ts";
export type { ModelState } from "./rewrite.ts";
export { separate, type Separated, type SeparateOptions } from "./separate.ts";
export { conv1x1ToLinear, linearToConv1x1 } from "./slide.ts";
export { svd, type Svd } from "./svd.ts";
