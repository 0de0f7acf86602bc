// English. This dictionary defines the keys of all others.

import type { Facts } from "@conv/tensor";

const AMOUNT = new Intl.NumberFormat("en");
const plural = (n: number, one: string, many: string): string => `${n} ${n === 1 ? one : many}`;

/** Rounded up to two significant digits. */
export function roundUp(value: number): number {
  const step = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, value))) - 1);
  return Math.max(1, Math.ceil(value / step) * step);
}

export const en = {
  pages: { digits: "Digits", arithmetic: "Convolution arithmetic" },
  intros: {
    digits:
      "A convolutional network, shown down to single products. Draw a digit, train the network " +
      "on this page, and see how any of its values is computed.",
    arithmetic:
      "How kernel size, stride, padding, dilation and groups determine the output shape of a " +
      "convolution, one window at a time.",
  },
  noSuchPage: (name: string) => `There is no page “${name}”. This is the Digits page.`,
  noSuchNetwork: (name: string) => `There is no network “${name}”. This is LeNet-5.`,
  skip: "Skip to content",
  navigation: "Pages",
  language: "Language",
  useLight: "Use the light theme",
  useDark: "Use the dark theme",
  copy: "Copy",
  copied: "Copied",
  copyCode: (name: string) => `Copy the ${name} code`,
  copyLink: "Copy link",
  linkCopied: "Link copied.",
  linkNotCopied: "The browser blocked copying. The link is the address of this page.",
  linkCarriesAll: "It contains all parameters and the current step.",
  linkCarries: (weights: string) =>
    `It contains the network, its weights (${weights}), the digit, the selected value, the ` +
    "training settings and the device.",
  linkLacks:
    "It does not contain the current weights of this network or the learning curve. Save the " +
    "weights as a file and send it as well; “Load weights” opens it.",
  ownMissing: {
    trained:
      "The sender trained this network further. A link does not contain those weights, so " +
      "predictions and values can differ here. To see the same, load the sender's weights file.",
    file:
      "The sender's network had weights from a file. A link does not contain those weights, so " +
      "predictions and values can differ here. To see the same, load the sender's weights file.",
  },
  duration: (seconds: number) =>
    seconds < 90
      ? `${roundUp(seconds)} s`
      : seconds < 5400
        ? `${roundUp(seconds / 60)} min`
        : `${roundUp(seconds / 3600)} h`,

  // Arithmetic
  presets: "Examples",
  presetNames: {
    valid: "No padding",
    same: "Same size",
    strided: "Strided",
    dilated: "Dilated",
    uneven: "Asymmetric",
    depthwise: "Depthwise",
    transposed: "Transposed",
  },
  parametersTitle: "Parameters",
  parameters: {
    input: "Input",
    kernel: "Kernel",
    stride: "Stride",
    dilation: "Dilation",
    padLo: "Padding before",
    padHi: "Padding after",
    outputPadding: "Output padding",
    ic: "Input channels",
    oc: "Output channels",
    groups: "Groups",
  },
  height: "height",
  width: "width",
  padTop: "Padding, top",
  padBottom: "Padding, bottom",
  padLeft: "Padding, left",
  padRight: "Padding, right",
  direction: "Direction",
  plain: "Convolution",
  transposed: "Transposed",
  squareOnly: "Same for height and width",
  noGeometry: "These parameters do not fit together",
  setTo: (name: string, value: string) => `Set ${name} to ${value}`,
  mendAll: "Fix all parameters",
  backToLast: "Back to the last valid parameters",
  lastPicture: "Window by window (last valid parameters)",
  numbersOnly: "Numbers only",
  tooLarge: (limits: string) =>
    `Too large for the picture (${limits}). The numbers below are for your parameters.`,
  upTo: (name: string, most: number) => `${name.toLowerCase()} up to ${most}`,
  tooManyCells: (most: number) =>
    `Too many cells for the picture (at most ${AMOUNT.format(most)}). ` +
    "The numbers below are for your parameters.",
  unusedParameter: (name: string, given: string, used: string | null) =>
    `${name}: “${given}” in the link is not valid${used === null ? "" : `; using ${used}`}.`,
  outOfRange: (min: number, max: number, value: number) =>
    `Enter a whole number from ${min} to ${max}. Using ${value}.`,
  shapesOf: "Input ∗ weight → output",
  weightsAndBias: "Parameters",
  withBias: (weights: string, bias: string) => `${weights} weights (+ ${bias} with bias)`,
  macs: "Multiply-accumulates (padding included)",
  picture: "Window by window",
  input: "Input",
  output: "Output",
  kernel: "Kernel",
  inputSymbol: "x",
  outputSymbol: "y",
  channel: (c: number) => `channel ${c}`,
  group: (g: number) => `group ${g}`,
  kernelOf: (oc: number, ic: number) => `weight [${oc}, ${ic}]`,
  planeName: (name: string, channel: number) => `${name}, channel ${channel}`,
  cell: (row: number, column: number) => `row ${row}, column ${column}`,
  padding: "padding",
  isPadding: "This cell is padding. Its value is zero.",
  isCropped: "This cell is cropped: a transposed convolution removes its padding from the output.",
  isUsedBy: (n: number) => `contributes to ${plural(n, "output", "outputs")}:`,
  player: "Steps",
  play: "Play",
  pause: "Pause",
  stepBack: "Step back",
  stepForward: "Step forward",
  step: (step: number, steps: number) => `Step ${step} of ${steps}`,
  speed: (perSecond: number) => `${plural(perSecond, "step", "steps")} per second`,
  outputSize: "Output size",
  bothAxes: "both axes",
  formulaNote:
    "i: input size, k: kernel size, s: stride, d: dilation, p₀ and p₁: padding before and " +
    "after, o: output size.",
  formulaNoteTransposed:
    "i: input size, k: kernel size, s: stride, d: dilation, p₀ and p₁: padding before and " +
    "after, q: output padding, o: output size.",
  code: "Code",

  // Digits
  inputTitle: "Your digit",
  drawHere:
    "Drawing area: draw a digit with mouse, pen or finger. With the keyboard, choose one of the " +
    "samples below.",
  drawHint: "Draw here",
  clear: "Clear",
  samples: "Test digits (not used for training)",
  moreSamples: "Other samples",
  sample: (label: number) => `Sample of a ${label}`,
  answerTitle: "Prediction",
  answer: (digit: number, probability: string) => `${digit}, ${probability}`,
  answerUntrained: "Untrained: random weights, so this is a guess.",
  answerEmpty: "Draw a digit, or choose a sample.",
  answerNotFinite: "No prediction: the outputs contain NaN or infinity.",
  isReally: (label: number) => `It is a ${label}.`,
  probabilityOf: (digit: number, probability: string) => `${digit}: ${probability}`,
  trainingTitle: "Training",
  device: "Device",
  deviceNames: { cpu: "CPU", gpu: "GPU" },
  startingDevice: (device: string) => `Starting the ${device}…`,
  compiling: (ready: number, total: number) => `Compiling for the GPU: ${ready} of ${total}`,
  softwareGpu:
    "The browser emulates this GPU in software. Everything works, but slower than on the CPU.",
  onCpuBecause: (reason: string) => `Running on the CPU: ${reason}.`,
  noGpu: (reason: string) => `The GPU cannot be used: ${reason}.`,
  gpuReasons: {
    software: "this browser only emulates a GPU in software, which is slower",
    noWebGpu: "this browser has no WebGPU",
    noAdapter: "this browser has WebGPU, but found no GPU for it",
    failed: "the browser could not open it; the console has the details",
  },
  deviceLost: (reason: string, device: string) =>
    `The GPU was lost (${reason}). The network now runs on the ${device}, with the weights of ` +
    "the last picture.",
  train: (epochs: number, time: string | null) =>
    `Train (${epochs} epochs${time === null ? "" : `, about ${time}`})`,
  trainOn: (epochs: number, time: string | null) =>
    `Train ${epochs} more epochs${time === null ? "" : ` (about ${time})`}`,
  timeLeft: (time: string) => `about ${time} left`,
  measuringTime: "measuring the time…",
  slowTraining: (epochs: number, time: string) =>
    `Training this network is slow on this device: ${epochs} epochs take about ${time}. You can ` +
    "pause at any time and keep the weights.",
  pauseTraining: "Pause",
  useRandom: "Start untrained",
  useShipped: "Pretrained weights",
  weightsFrom: {
    shipped: "pretrained weights",
    random: "random weights",
    file: "weights from a file",
  },
  shippedWeights: (accuracy: string, testCount: number, epochs: number, trainCount: number) =>
    `Pretrained weights: ${epochs} epochs on ${AMOUNT.format(trainCount)} MNIST digits, stored ` +
    `in 8 bits. Test accuracy: ${accuracy} of ${AMOUNT.format(testCount)} digits.`,
  randomWeights: "Random weights, untrained.",
  noShippedWeights:
    "There are no pretrained weights for this network: train it here, or load a file.",
  randomTrained: (images: string) => `Random weights, trained here on ${images} images.`,
  shippedTrained: (images: string) =>
    `Pretrained weights, trained further here on ${images} images.`,
  fileWeights: "Weights from a file.",
  fileTrained: (images: string) => `Weights from a file, trained further here on ${images} images.`,
  learningRate: "Learning rate",
  optimizer: "Optimizer",
  augment: "Augment: shift and rotate",
  batchLoss: "loss",
  testAccuracy: "test accuracy",
  trainingPictures: "images seen",
  speedLabel: "images/s",
  curve: "Loss of each step and test accuracy, over the images seen",
  overImages: "over images seen",
  curveEmpty:
    "The learning curve appears here. Training runs in a worker on this device; no data leaves " +
    "the page.",
  saveWeights: "Save weights",
  loadWeights: "Load weights",
  loaded: (name: string) => `Loaded ${name}.`,
  refusals: {
    notSafetensors: "Not a safetensors file.",
    damaged: "This safetensors file is damaged or cut off.",
  },
  refusedType: (reason: string) => `This file cannot be read. ${reason}`,
  refusedNetwork: (name: string, more: number) =>
    `These weights belong to another network (missing ${name}${more ? ` and ${more} more` : ""}).`,
  refusedNumbers: (name: string) =>
    `These weights cannot be used: ${name} contains values that are not finite.`,
  notFetched: (reason: string) =>
    `The network starts with random weights: its pretrained weights could not be loaded. ${reason}`,
  workerFailed: (reason: string) => `The network has stopped. ${reason}`,
  threads: (n: number) => plural(n, "thread", "threads"),
  oneThread:
    "One thread: this page is not cross-origin isolated, so memory cannot be shared. Everything " +
    "works, but slower.",
  starting: "Starting the network…",
  accuracyNow: (accuracy: string) => `Test accuracy ${accuracy}`,
  networkTitle: "Inside the network",
  model: "Model",
  modelNames: { lenet5: "LeNet-5, modern", lenet5_1998: "LeNet-5 of 1998" },
  weightsCount: (n: string) => `${n} weights`,
  legend: "Colors: orange below zero, blue above",
  inputStage: "input",
  convStage: (kernel: string, from: number, to: number) =>
    `convolution ${kernel}, ${from} → ${to} channels`,
  groupsOf: (n: number) => `, ${n} groups`,
  byTable: ", each output channel connected to some of the input channels",
  matmulStage: (from: number, to: number) => `linear, ${from} → ${to}`,
  maxPoolStage: (kernel: string) => `max pooling ${kernel}`,
  avgPoolStage: (kernel: string) => `average pooling ${kernel}`,
  globalPoolStage: (kernel: string) => `global average pooling ${kernel}`,
  distanceStage: (to: number) => `squared distances to ${to} codes`,
  sumStage: "sum",
  softmaxStage: (n: number) => `softmax of ${n} scores: probabilities`,
  sumOf: (names: string) => `sum of ${names}`,
  joinOf: (names: string) => `computed from ${names}`,
  and: " and ",
  batchNorm: "batch norm",
  timesWeight: "× weight",
  timesFactor: (factor: string) => `× ${factor}`,
  negated: "negated",
  activations: {
    relu: "ReLU",
    relu6: "ReLU6",
    leakyRelu: "leaky ReLU",
    sigmoid: "sigmoid",
    tanh: "tanh",
    scaledTanh: "1.7159·tanh(⅔·x)",
    silu: "SiLU",
    elu: "ELU",
    selu: "SELU",
    gelu: "GELU",
    hardSigmoid: "hard sigmoid",
    hardSwish: "hard swish",
  },
  dilationOf: (d: string) => `, dilation ${d}`,
  comma: ", ",
  paddingOf: (p: string) => `, padding ${p}`,
  strideOf: (s: string) => `, stride ${s}`,
  showKernels: "Kernels",
  showWeights: "Weights",
  mapsOf: (name: string) =>
    `Feature maps of ${name}. Arrow keys move, Page Up and Page Down change the channel, Enter ` +
    "shows how the value is computed.",
  kernelsOf: (name: string, count: number) => `Kernels of ${name}: ${count}`,
  place: (channel: number, row: number, column: number) =>
    `channel ${channel}, row ${row}, column ${column}`,
  placeInRow: (i: number) => `unit ${i}`,
  weightPlace: (kernel: number, channel: number, row: number, column: number) =>
    `kernel ${kernel}, channel ${channel}, row ${row}, column ${column}`,
  weightPlaceInRow: (unit: number, from: number) => `from ${from} to unit ${unit}`,
  inspectorTitle: "How this value is computed",
  inspectorEmpty:
    "Click a value in any feature map, or select one with the arrow keys and press Enter. Its " +
    "window, its weights and every product appear here.",
  close: "Close",
  sumOfProducts: (n: number) => `Sum of ${plural(n, "product", "products")}`,
  sumOfSquares: (n: number) => `Sum of ${plural(n, "square", "squares")}`,
  meanOf: (n: number) => `Mean of ${plural(n, "value", "values")}`,
  sumOfValues: (n: number) => `Sum of ${plural(n, "value", "values")}`,
  functionOf: (n: number) => `Function of ${plural(n, "value", "values")}`,
  exponential: "exp(score − largest score)",
  largestOf: (n: number) => `Largest of ${plural(n, "value", "values")}`,
  operands: {
    bias: "bias",
    weight: "weight",
    mean: "mean (batch norm)",
    deviation: "√(variance + ε)",
    gamma: "γ (batch norm)",
    beta: "β (batch norm)",
    factor: "",
    negate: "negated",
    expSum: "sum of all exponentials",
  },
  computed: "Computed here",
  shownValue: "Value shown",
  matches: (difference: string) => `Matches (difference ${difference}, within float32 rounding)`,
  differs: (difference: string, tolerance: string) =>
    `Does not match (difference ${difference}; float32 rounding allows ${tolerance})`,
  windowOf: "Window",
  weights: "Weights",
  products: "Products",
  squares: "Squared differences",
  channelSums: "By input channel",
  channelSum: (channel: number, sum: string) => `Input channel ${channel}, sum ${sum}`,
  sortBy: "Order",
  byPosition: "By position",
  bySize: "Largest first",
  winner: "largest",
  paddingTerm: "padding",
  termLabel: (x: string, w: string, product: string) => `${x} times ${w} is ${product}`,
  squareLabel: (x: string, c: string, square: string) => `${x} minus ${c}, squared, is ${square}`,
  exponentialLabel: (x: string, e: string) => `score ${x}, exponential ${e}`,
  valuesAtPlace: "Values at this position",
  notExplained: "This page has no formula for this value.",

  // Errors by their code; the numbers and names are those of the error, `axis` is height or width.
  unexpected: (text: string) => `Unexpected error: ${text}`,
  errors: {
    "kernel-exceeds-input": (v: Facts, axis: string) =>
      `Along the ${axis}, the kernel covers ${v.span} cells, but the padded input has ${v.padded}.`,
    "channels-not-divisible": (v: Facts) =>
      `${v.channels} ${v.what} do not divide into ${v.groups} groups.`,
    "output-padding-too-large": (v: Facts, axis: string) =>
      `Along the ${axis}, output padding ${v.outputPadding} must be smaller than the stride or ` +
      `the dilation: at most ${v.most}.`,
    "output-empty": (v: Facts, axis: string) =>
      `Along the ${axis}, the padding crops the whole output (size ${v.size}).`,
    diverged: (v: Facts) =>
      `Training diverged in epoch ${v.epoch}, step ${v.step}: a value ` +
      `${v.layer === "" ? "" : `in ${v.layer} `}is not finite. Use a lower learning rate.`,
    "not-fetched": (v: Facts) =>
      `${v.op} could not be loaded. Check the connection and reload the page.`,
    "wrong-size": (v: Facts) =>
      `${v.op} has ${v.bytes} bytes instead of ${v.expected}. Reload the page.`,
    damaged: (v: Facts) => `${v.op} is damaged. Reload the page.`,
    "dtype-unsupported": (v: Facts) =>
      `The tensor ${v.tensor} has type ${v.dtype}; supported types are F32 and I64.`,
    "not-exact": (v: Facts) =>
      `The tensor ${v.tensor} contains ${v.value}, which float32 cannot hold.`,
    "cpu-unavailable": () =>
      "This browser does not run WebAssembly here, or without SIMD. Use another browser, or " +
      "allow WebAssembly for this page.",
  },
};

/** The same keys; functions of the same arguments. */
type Words<T> = T extends string
  ? string
  : T extends (...args: infer A) => string
    ? (...args: A) => string
    : { readonly [K in keyof T]: Words<T[K]> };

/** The same keys as English. */
export type Dictionary = Words<typeof en>;
