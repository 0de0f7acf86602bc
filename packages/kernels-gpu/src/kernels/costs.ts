// The numbers of the cost models, by which kernels and tiles are ranked. Those of GUESSES came from
// no measurement: no GPU has been measured yet. Those of SWIFTSHADER were measured on SwiftShader,
// on two cores.

/**
 * A GPU, by guesses. They are orders of magnitude that rank kernels, not predictions of time.
 * Rates are those of a graphics card of 2020; counts of processors and threads are those of an
 * NVIDIA H100, by its data sheet. `node apps/bench/src/gpu-tiles-main.ts`
 * measures tiles on a GPU, to fit this record.
 */
export const GUESSES = {
  /** Multiply-adds a second in float32, bytes a second, and seconds to start a kernel. */
  macs: 5e12,
  bandwidth: 4e11,
  launch: 4e-6,

  /** Processors (streaming multiprocessors), and threads that one holds at a time. */
  processors: 132,
  threadsHeld: 1024,
  /** Threads that keep a processor busy while others wait for memory, by kernel. */
  busyThreads: { tiled: 384, matrices: 128, dot: 1024 },
  /** Threads that fill a device, where each works alone: four warps for each of four schedulers. */
  fillingThreads: 132 * 4 * 32 * 4,
  /** Threads that fill a device with the gradient of a depthwise weight. */
  depthwiseThreads: 65536,
  /** Workgroups that fill a device with a reduction. */
  reductionGroups: 1024,

  /** Multiply-adds in whose time a thread loads an element that is in the cache. */
  load: 4,
  /** The most times that longer a load takes where neighboring threads read far apart. */
  scattered: 32,
  /** Values of a thread that fit its registers, and how many times longer it takes beyond. */
  registers: 160,
  spilled: 4,
  /**
   * Multiply-adds in whose time a thread begins and ends, and goes through one turn of a loop; for
   * `dot` also an addition of its tree, and the factor of a load of four.
   */
  direct: { thread: 40, turn: 4 },
  dot: { thread: 100, turn: 8, addition: 12, vectorLoad: 2 },
  depthwise: { turn: 30 },

  /** How many times faster than float32 threads multiply in float16, and subgroups by matrices. */
  float16: 2,
  matrices: 4,
  /** An invocation reduces at least this many terms before others share its work. */
  terms: 8,
  /** Boxes with fewer elements stay in the caches, whatever the order of reads. */
  cachedBox: 2 ** 16,
  /** The most indices of a scatterAdd that every output looks at, instead of a list of its own. */
  lookedAt: 32,
  /** The most taps of a depthwise kernel whose weight gradient reads dy in passes. */
  depthwiseTaps: 144,

  /** Part of the rate of multiply-adds that a tile of rows × columns reaches. */
  reach: {
    "128×128": 0.8,
    "128×64": 0.75,
    "64×128": 0.75,
    "64×64": 0.65,
    "32×128": 0.6,
    "128×32": 0.6,
    "32×64": 0.5,
    "64×32": 0.5,
    "32×32": 0.45,
    "16×64": 0.45,
  } as Readonly<Record<string, number>>,
  matrixReach: {
    "128×64": 0.6,
    "64×128": 0.6,
    "64×64": 0.5,
    "32×64": 0.4,
    "64×32": 0.4,
    "32×32": 0.3,
  } as Readonly<Record<string, number>>,
};

/**
 * SwiftShader on two cores. `macs` and `bandwidth` are those of a tiled product and of a copy. The
 * nanoseconds are for four lanes, and were measured in loops of each operation alone: a load takes
 * four branches, a loop copies each sum under a mask, a multiply-add is cheap. `compiling` holds
 * nanoseconds that one instruction adds to the compilation of a shader, fitted to 155 small shapes.
 */
export const SWIFTSHADER = {
  macs: 5e9,
  bandwidth: 4e9,
  /** Seconds to start a kernel; a guess. */
  launch: 2e-5,

  load: 11.3,
  test: 2,
  spread: 2.7,
  mac: 0.5,
  copy: 5,
  loop: 30,
  store: 15,
  thread: 300,
  group: 1500,
  compiling: { mac: 150e3, load: 700e3, test: 330e3, store: 640e3 },
  /** Runs of a program among which its compilation is shared out; a guess. */
  runs: 300,

  /** The gradient of a depthwise weight: measured with 32 and with 512 channels. */
  depthwise: { load: 25, mac: 1, copy: 10, loop: 200, thread: 600 },
  /** Threads that keep two cores busy with it, and with a reduction; guesses. */
  depthwiseThreads: 256,
  reductionThreads: 64,
  /** The most rows of a softmax, and invocations of a row, that share work; a guess. */
  softmaxRows: 8,

  /**
   * A tiled product takes this many times what the model of a GPU predicts: each access of
   * workgroup memory is a masked copy, each barrier a change of stacks. Measured: two to three
   * times as long as threads that work alone.
   */
  tiled: 12,
  /** Seconds of a barrier of `dot`, for four threads; a guess. */
  barrier: 1e-7,
  /** Seconds to load an element of a Winograd tile and to store one, besides the memory's time. */
  winograd: 4.5e-9,
  /**
   * Seconds by which compilation of a Winograd transform lengthens a run, times points^1.5: a
   * millisecond times that, shared among a thousand runs.
   */
  winogradCompiling: 1e-6,
};
