// @conv/ops: what each operation means.

export { cast, castOp, type CastParams } from "./cast.ts";
export {
  compareOp,
  equal,
  greater,
  greaterEqual,
  less,
  lessEqual,
  notEqual,
  where,
  whereOp,
  type CompareParams,
  type Relation,
} from "./compare.ts";
export * from "./conv.ts";
export * from "./create.ts";
export { deformConv2d } from "./deform.ts";
export {
  abs,
  add,
  affine,
  broadcastShape,
  cos,
  div,
  elementwiseOp,
  elu,
  erf,
  exp,
  expm1,
  floor,
  gelu,
  hardSigmoid,
  hardSwish,
  isElementwise,
  leakyRelu,
  log,
  log1p,
  map,
  maximum,
  minimum,
  mish,
  mul,
  neg,
  pow,
  prelu,
  relu,
  relu6,
  round,
  scaledTanh,
  selu,
  sigmoid,
  silu,
  sin,
  softplus,
  sqrt,
  square,
  sub,
  tanh,
  type ElementwiseOp,
  type ElementwiseParams,
} from "./elementwise.ts";
export {
  explainPadding,
  formatPadding,
  type PaddingCalls,
  type PaddingChoice,
  type PaddingExplanation,
  type PaddingQuestion,
} from "./explainPadding.ts";
export {
  countFns,
  differentiate,
  evaluator,
  formatExpr,
  numbers,
  substitute,
  variable,
  variables,
  type Expr,
  type Fn,
} from "./expr.ts";
export { mustDivide } from "./check.ts";
export * from "./geometry.ts";
export { grad } from "./grad.ts";
export {
  absoluteError,
  binaryCrossEntropy,
  binaryCrossEntropyWithLogits,
  crossEntropy,
  dice,
  hinge,
  huber,
  lossTerms,
  squaredError,
  type CrossEntropyOptions,
  type LossTerms,
} from "./loss.ts";
export {
  linear,
  matmul,
  matmulGeometry,
  matmulOp,
  type MatmulGeometry,
  type MatmulParams,
} from "./matmul.ts";
export { max, maxOp } from "./max.ts";
export { mean } from "./mean.ts";
export { flip, resample, resampleOp, select, type ResampleParams, type Tap } from "./resample.ts";
export * from "./move.ts";
export { padWith, type PaddingMode } from "./padWith.ts";
export * from "./pool.ts";
export {
  broadcastStrides,
  broadcastTo,
  broadcastToOp,
  sum,
  sumOp,
  sumTo,
  type Axes,
  type ReduceParams,
} from "./reduce.ts";
export { logSoftmax, logSoftmaxOp, softmax, softmaxOp, type SoftmaxParams } from "./softmax.ts";
export {
  scatterAdd,
  scatterAddOp,
  gather,
  gatherOp,
  type ScatterAddParams,
  type GatherParams,
} from "./gather.ts";
export { pixelShuffle, pixelUnshuffle, upsample, type UpsampleOptions } from "./upsample.ts";
export { walk } from "./walk.ts";
