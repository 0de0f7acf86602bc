// @conv/layers: layers, initializers, optimizers, the trainer and the predictor. The caller passes
// the back end.

export {
  elu,
  gelu,
  hardSigmoid,
  hardSwish,
  leakyRelu,
  logSoftmax,
  mish,
  prelu,
  relu,
  relu6,
  scaledTanh,
  selu,
  sigmoid,
  silu,
  softmax,
  softplus,
  tanh,
  type ActivationName,
  type PreluOptions,
} from "./layers/activation.ts";
export {
  channelDropout,
  dropout,
  flatten,
  linear,
  pipe,
  sequential,
  stochasticDepth,
  type LinearOptions,
  type Parts,
} from "./layers/basic.ts";
export { atrousPyramid } from "./blocks/atrousPyramid.ts";
export { channelShuffle } from "./blocks/channelShuffle.ts";
export { convNorm2d, type ConvNormOptions } from "./blocks/convNorm.ts";
export { denseBlock, denseTransition } from "./blocks/dense.ts";
export { fire } from "./blocks/fire.ts";
export {
  inceptionA,
  inceptionB,
  inceptionC,
  inceptionD,
  inceptionE,
  inceptionV1,
  type InceptionV1Widths,
} from "./blocks/inception.ts";
export {
  invertedResidual,
  linearBottleneck,
  type InvertedResidualOptions,
} from "./blocks/invertedResidual.ts";
export { rbf, subsample2d, tableConv2d, type ConnectionTable } from "./blocks/lenet.ts";
export { mlpconv } from "./blocks/mlpconv.ts";
export {
  residualBasic,
  residualBottleneck,
  type BottleneckOptions,
  type ResidualOptions,
} from "./blocks/residual.ts";
export { shuffleUnit } from "./blocks/shuffleUnit.ts";
export { squeezeExcitation, type SqueezeExcitationOptions } from "./blocks/squeezeExcitation.ts";
export { unetConvs, unetDown, unetUp, type UnetOptions } from "./blocks/unet.ts";
export { branches, parallel, residual } from "./layers/branch.ts";
export {
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  type ConvLayerOptions,
  type ConvTransposeLayerOptions,
} from "./layers/conv.ts";
export { deformConv2d, type DeformConvOptions } from "./layers/deform.ts";
export {
  depthwiseConv1d,
  depthwiseConv2d,
  depthwiseConv3d,
  pointwiseConv1d,
  pointwiseConv2d,
  pointwiseConv3d,
  separableConv1d,
  separableConv2d,
  separableConv3d,
  type DepthwiseOptions,
  type PointwiseOptions,
  type SeparableOptions,
} from "./layers/separable.ts";
export type { Gradients } from "./training/exchange.ts";
export type { FitOptions } from "./training/fit.ts";
export {
  maxUnpool1d,
  maxUnpool2d,
  maxUnpool3d,
  pad1d,
  pad2d,
  pad3d,
  pixelShuffle,
  pixelUnshuffle,
  upsample,
  type Around,
} from "./layers/resize.ts";
export {
  constant,
  fanOf,
  kaimingNormal,
  kaimingUniform,
  lecun1998,
  normal,
  ones,
  pytorch,
  uniform,
  values,
  xavierNormal,
  xavierUniform,
  zeros,
  type Fan,
  type Init,
  type KaimingOptions,
  type Role,
  type XavierOptions,
} from "./layers/init.ts";
export {
  augmentAll,
  augmented,
  crop,
  cutOut,
  flip,
  rotate,
  shift,
  warp,
  type Augmentation,
  type Fill,
  type WarpOptions,
} from "./data/augment.ts";
export { decodeIdx, IDX_HEADER, readIdxHeader, type Idx, type IdxHeader } from "./data/idx.ts";
export {
  arrayDataset,
  subset,
  type ArrayDatasetOptions,
  type Batch,
  type Dataset,
  type Target,
} from "./data/data.ts";
export { DivergedError, type Origin } from "./training/diagnose.ts";
export type { Loss } from "./training/loss.ts";
export { keepCheckpoints, type KeepCheckpoint, type KeepOptions } from "./training/keep.ts";
export {
  averagedState,
  decodeCheckpoint,
  type Checkpoint,
  type Position,
} from "./training/checkpoint.ts";
export {
  maxNorm,
  minMaxNorm,
  nonNeg,
  unitNorm,
  type MinMaxNormOptions,
  type NormOptions,
} from "./training/constrain.ts";
export {
  channelsLast,
  freeze,
  type AffineOptions,
  type LayerOptions,
  type Layout,
  type SpatialOptions,
  type WeightOptions,
} from "./layers/options.ts";
export { l1, l1l2, l2 } from "./training/regularize.ts";
export {
  traceModel,
  type Auxiliary,
  type Constraint,
  type Context,
  type Entry,
  type Inputs,
  type Layer,
  type Model,
  type ParamOptions,
  type Regularizer,
  type TraceOptions,
  type TracedModel,
  type Values,
} from "./layers/layer.ts";
export {
  groupNorm,
  instanceNorm1d,
  instanceNorm2d,
  instanceNorm3d,
  layerNorm,
  type InstanceNormOptions,
  type StandardizeOptions,
} from "./layers/groupNorm.ts";
export { localResponseNorm, type LocalResponseNormOptions } from "./layers/responseNorm.ts";
export { batchNorm1d, batchNorm2d, batchNorm3d, type BatchNormOptions } from "./layers/norm.ts";
export {
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  adaptiveMaxPool1d,
  adaptiveMaxPool2d,
  adaptiveMaxPool3d,
  avgPool1d,
  avgPool2d,
  avgPool3d,
  globalAvgPool,
  globalMaxPool,
  lpPool1d,
  lpPool2d,
  lpPool3d,
  maxPool1d,
  maxPool2d,
  maxPool3d,
  type AvgPoolLayerOptions,
  type GlobalPoolOptions,
  type MaxPoolLayerOptions,
} from "./layers/pool.ts";
export {
  createBest,
  type Best,
  type Candidate,
  type Creators,
  type Passed,
} from "./inference/best.ts";
export { confusion, meanAbsoluteError, topK, type Metric } from "./training/metrics.ts";
export * from "./training/optim.ts";
export type { ParameterRule } from "./training/rules.ts";
export {
  cosine,
  inTurn,
  multiStep,
  oneCycle,
  stepDecay,
  warmUp,
  type OneCycleOptions,
  type Schedule,
} from "./training/schedule.ts";
export { createPredictor, type Predictor, type PredictorOptions } from "./inference/predict.ts";
export { createRandom, shuffled, type Random } from "./data/random.ts";
export { decodeSafetensors, encodeSafetensors, type Decoded } from "./state/safetensors.ts";
export {
  average,
  initialize,
  matchState,
  mustBeFinite,
  type Saved,
  type State,
} from "./state/state.ts";
export type { Clip, StepOptions } from "./training/options.ts";
export {
  traceGradients,
  traceStep,
  traceUpdate,
  type TrainingGraph,
  type UpdateGraph,
} from "./training/step.ts";
export type { Slot } from "./training/update.ts";
export type { EpochReport, Evaluation, StepReport } from "./training/reports.ts";
export {
  createTrainer,
  type Trainer,
  type TrainerOptions,
  type Training,
} from "./training/train.ts";
