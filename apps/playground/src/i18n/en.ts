// English: the dictionary that defines which texts there are.

const AMOUNT = new Intl.NumberFormat("en");
const plural = (n: number, one: string, many: string): string => `${n} ${n === 1 ? one : many}`;

/** Up to two digits that matter, never less than there is. */
export function roundUp(value: number): number {
  const step = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, value))) - 1);
  return Math.max(1, Math.ceil(value / step) * step);
}

export const en = {
  pages: { digits: "Digits", arithmetic: "Convolution arithmetic" },
  intros: {
    digits:
      "A convolutional network you can take apart. Draw a digit, train the network in this page, and follow any value back to the products it is the sum of.",
    arithmetic:
      "What kernel, stride, padding, dilation and groups do to the shape of a convolution, one window at a time.",
  },
  noSuchPage: (name: string) => `There is no page “${name}”. This is the page of digits.`,
  noSuchNetwork: (name: string) => `There is no network “${name}”. This is LeNet-5.`,
  skip: "Skip to content",
  navigation: "Pages",
  language: "Language",
  useLight: "Use the light theme",
  useDark: "Use the dark theme",
  copy: "Copy",
  copied: "Copied",
  copyCode: (name: string) => `Copy the ${name} code`,
  copyLink: "Copy a link to this",
  linkCopied: "Link copied.",
  linkNotCopied: "The browser did not let the page copy. The link is the address of this page.",
  linkCarriesAll: "It carries all parameters and the step shown.",
  linkCarries: (weights: string) =>
    `It carries the network, its weights (${weights}), the digit, the chosen value, the training settings and the device.`,
  linkLacks:
    "It does not carry the weights of this network as they are now, nor the learning curve. Save the weights as a file and send it along; the page opens it with “Load weights”.",
  ownMissing: {
    trained:
      "The network behind this link was trained further in the sender's page. A link does not carry such weights, so the answers and values here can differ. Open the sender's weights file to see the same.",
    file: "The network behind this link had weights from a file. A link does not carry such weights, so the answers and values here can differ. Open the sender's weights file to see the same.",
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
    uneven: "Uneven",
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
  problemKernel: (axis: string, span: number, padded: number) =>
    `Along the ${axis}, the kernel covers ${span} cells, but the padded input has ${padded}.`,
  problemGroups: (name: string, channels: number, groups: number) =>
    `${name}: ${channels} channels do not divide into ${groups} groups.`,
  problemOutputPadding: (axis: string, given: number, most: number) =>
    `Along the ${axis}, output padding ${given} must be less than the stride or the dilation: at most ${most}.`,
  problemCropped: (axis: string, left: number) =>
    `Along the ${axis}, the padding crops the whole output (size ${left}).`,
  setTo: (name: string, value: string) => `Set ${name} to ${value}`,
  mendAll: "Change what does not fit",
  backToLast: "Back to the last that fits",
  lastPicture: "Window by window: the last parameters that fit",
  numbersOnly: "Numbers only",
  tooLarge: (limits: string) =>
    `This is larger than the picture can show (${limits}). All numbers below are those of your parameters.`,
  upTo: (name: string, most: number) => `${name.toLowerCase()} up to ${most}`,
  tooManyCells: (most: number) =>
    `This has more cells than the picture can show (${AMOUNT.format(most)}). All numbers below are those of your parameters.`,
  unusedParameter: (name: string, given: string, used: string | null) =>
    `${name}: the link says “${given}”, which this page cannot use.${used === null ? "" : ` It uses ${used}.`}`,
  outOfRange: (min: number, max: number, value: number) =>
    `A whole number from ${min} to ${max}. ${value} is used.`,
  shapesOf: "Input ∗ weight → output",
  weightsAndBias: "Parameters",
  withBias: (weights: string, bias: string) => `${weights} weights (+ ${bias} with bias)`,
  macs: "Multiply-accumulates (padding counted)",
  picture: "Window by window",
  input: "Input",
  output: "Output",
  kernel: "Kernel",
  inputSymbol: "x",
  outputSymbol: "y",
  channel: (c: number) => `channel ${c}`,
  group: (g: number) => `group ${g}`,
  filter: (oc: number, ic: number) => `weight [${oc}, ${ic}]`,
  planeName: (name: string, channel: number) => `${name}, channel ${channel}`,
  cell: (row: number, column: number) => `row ${row}, column ${column}`,
  padding: "padding",
  isPadding: "This cell is padding: it counts as zero.",
  isCropped: "This cell lies in the padding, which a transposed convolution cuts off its output.",
  isUsedBy: (n: number) => (n === 1 ? "goes into 1 output:" : `goes into ${n} outputs:`),
  player: "Steps",
  play: "Play",
  pause: "Pause",
  stepBack: "Step back",
  stepForward: "Step forward",
  step: (step: number, steps: number) => `Step ${step} of ${steps}`,
  speed: (perSecond: number) => `${perSecond} a second`,
  outputSize: "Output size",
  bothAxes: "both axes",
  formulaNote:
    "i input, k kernel, s stride, d dilation, p₀ and p₁ padding before and after, o output.",
  formulaNoteTransposed:
    "i input, k kernel, s stride, d dilation, p₀ and p₁ padding before and after, q output padding, o output.",
  code: "As a program",

  // Digits
  inputTitle: "Your digit",
  drawHere:
    "Drawing area: draw a digit with mouse, pen or finger. With the keyboard, pick one of the samples below.",
  drawHint: "Draw here",
  clear: "Clear",
  samples: "Test digits (not used for training)",
  moreSamples: "Other samples",
  sample: (label: number) => `Sample of a ${label}`,
  answerTitle: "Answer",
  answer: (digit: number, probability: string) => `${digit}, ${probability}`,
  answerUntrained: "Untrained: random weights, so this is a guess.",
  answerEmpty: "Draw a digit, or pick one.",
  isReally: (label: number) => `It is a ${label}.`,
  probabilityOf: (digit: number, probability: string) => `${digit}: ${probability}`,
  trainingTitle: "Training",
  device: "Compute on",
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
  },
  deviceLost: (reason: string, device: string) =>
    `The GPU was lost (${reason}). The network runs on the ${device} now, with the weights last seen.`,
  train: (epochs: number, time: string | null) =>
    `Train (${epochs} epochs${time === null ? "" : `, about ${time}`})`,
  trainOn: (epochs: number, time: string | null) =>
    `Train ${epochs} more epochs${time === null ? "" : ` (about ${time})`}`,
  timeLeft: (time: string) => `about ${time} left`,
  measuringTime: "measuring the time…",
  slowTraining: (epochs: number, time: string) =>
    `Training this network is slow on this device: ${epochs} epochs take about ${time}. You can pause at any time; what it has learned stays.`,
  pauseTraining: "Pause",
  useRandom: "Start untrained",
  useShipped: "Trained weights",
  weightsFrom: {
    shipped: "trained weights of this page",
    random: "random weights",
    file: "weights from a file",
  },
  shippedWeights: (accuracy: string, heldOut: number, epochs: number, trainCount: number) =>
    `Trained weights of this page: ${epochs} epochs over ${AMOUNT.format(trainCount)} MNIST digits, stored in 8 bits. They read ${accuracy} of the ${AMOUNT.format(heldOut)} test digits right.`,
  randomWeights: "Random weights, not trained.",
  noShippedWeights: "No trained weights come with this network: train it here, or load a file.",
  randomTrained: (images: string) => `Trained here, from random weights, on ${images} images.`,
  shippedTrained: (images: string) =>
    `Trained weights of this page, trained further here on ${images} images.`,
  fileWeights: "Weights from a file.",
  fileTrained: (images: string) => `Weights from a file, trained further here on ${images} images.`,
  learningRate: "Learning rate",
  optimizer: "Optimizer",
  augment: "Augment: shift and rotate",
  batchLoss: "loss",
  testAccuracy: "test accuracy",
  trainingPictures: "images seen",
  speedLabel: "images/s",
  curve: "Loss of each step and accuracy on held-out digits, over the images seen",
  overImages: "over images seen",
  curveEmpty:
    "The curve appears here. Training runs on this device, in a worker; nothing leaves the page.",
  saveWeights: "Save weights",
  loadWeights: "Load weights",
  loaded: (name: string) => `Loaded ${name}.`,
  refusals: {
    notSafetensors: "Not a safetensors file.",
    damaged: "This safetensors file is damaged or cut off.",
  },
  refusedType: (message: string) =>
    `This file holds numbers of a type that the page does not read. ${message}`,
  refusedNetwork: (name: string, more: number) =>
    `These weights belong to another network (missing ${name}${more ? ` and ${more} more` : ""}).`,
  refusedNumbers: (name: string) =>
    `These weights are not usable: ${name} holds values that are not finite numbers.`,
  notFetched: (message: string) =>
    `The trained weights of this page could not be loaded, so the network begins untrained. ${message}`,
  workerFailed: (message: string) => `The network stopped: ${message}`,
  threads: (n: number) => plural(n, "thread", "threads"),
  oneThread:
    "One thread: this page is not cross-origin isolated, so memory cannot be shared. Everything works, only slower.",
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
  byTable: ", each output map from some of the input maps",
  matmulStage: (from: number, to: number) => `linear, ${from} → ${to}`,
  maxPoolStage: (kernel: string) => `max pooling ${kernel}`,
  avgPoolStage: (kernel: string) => `average pooling ${kernel}`,
  globalPoolStage: (kernel: string) => `average pooling over the whole map (${kernel})`,
  distanceStage: (to: number) => `squared distance to ${to} codes`,
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
  showFilters: "Filters",
  showWeights: "Weights",
  mapsOf: (name: string) =>
    `Feature maps of ${name}. Arrow keys move, Page Up and Page Down change the map, Enter explains the value.`,
  filtersOf: (name: string, count: number) => `Filters of ${name}: ${count}`,
  place: (channel: number, row: number, column: number) =>
    `map ${channel}, row ${row}, column ${column}`,
  placeInRow: (i: number) => `unit ${i}`,
  weightPlace: (filter: number, channel: number, row: number, column: number) =>
    `filter ${filter}, channel ${channel}, row ${row}, column ${column}`,
  weightPlaceInRow: (unit: number, from: number) => `from ${from} to unit ${unit}`,
  inspectorTitle: "How this value is computed",
  inspectorEmpty:
    "Click a value of any map, or move to it with the arrow keys and press Enter. Its window, its weights and every product appear here.",
  close: "Close",
  sumOfProducts: (n: number) => `Sum of ${plural(n, "product", "products")}`,
  sumOfSquares: (n: number) => `Sum of ${plural(n, "square", "squares")}`,
  meanOf: (n: number) => `Mean of ${plural(n, "value", "values")}`,
  sumOfValues: (n: number) => `Sum of ${plural(n, "value", "values")}`,
  functionOf: (n: number) => `From ${plural(n, "value", "values")}`,
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
  valuesAtPlace: "Values at this place",
  notExplained: "There is no formula for this value on this page.",
};

/** The same keys as English; functions with the same arguments. */
export type Dictionary = {
  readonly [K in keyof typeof en]: (typeof en)[K] extends (...args: infer A) => string
    ? (...args: A) => string
    : (typeof en)[K] extends string
      ? string
      : Readonly<Record<keyof (typeof en)[K], string>>;
};
