// @conv/layers: layers, initialisers, optimisers, the trainer and the predictor. Nothing here knows a back end; it is passed in.

export { dropout, flatten, leakyRelu, linear, logSoftmax, pipe, relu, scaledTanh, sequential, sigmoid, softmax, tanh, type LinearOptions, type Parts } from "./basic.ts";
export { conv1d, conv2d, conv3d, convTranspose1d, convTranspose2d, convTranspose3d, type ConvLayerOptions, type ConvTransposeLayerOptions } from "./conv.ts";
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
  type Initialiser,
  type KaimingOptions,
} from "./init.ts";
export { traceModel, type Context, type Entry, type Layer, type Model, type TracedModel, type TraceOptions } from "./layer.ts";
export { avgPool1d, avgPool2d, avgPool3d, maxPool1d, maxPool2d, maxPool3d, type AvgPoolLayerOptions, type MaxPoolLayerOptions, type PoolLayerOptions } from "./pool.ts";
export { createRandom, shuffled, type Random } from "./random.ts";
export { initialise, matchState, type Saved, type State } from "./state.ts";
