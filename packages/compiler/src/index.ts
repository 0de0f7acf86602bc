// Planning for back ends: which nodes of a graph are computed together, by which of a back end's
// kernels, and which of them not at every run.

export { cellsOf, combinations, countOf, mergeAxes, type Axis } from "./axes.ts";
export { boxesOf, paddedAxes, paddedBox, type Box } from "./boxes.ts";
export {
  collapse,
  collapsedOf,
  gatherAll,
  gatherForward,
  gatherGradInput,
  gatherOf,
  gcd,
  isConvOrGradInput,
  leavesTaps,
  needsPadding,
  readings,
  readLayout,
  remembered,
  tapCount,
  unfold,
  UNSEEN,
} from "./gather.ts";
export type { AxisTaps, Gather, Phase, Reading } from "./gather.ts";
export { allocateValues, partsOf, type Allocation, type Part } from "./allocation.ts";
export { align, packBlocks, shareBuffers, type Lifetime } from "./lifetimes.ts";
export {
  createFreshness,
  distinctDependencies,
  persistentTasks,
  type Dependencies,
} from "./persistent.ts";
export { transfersOf, type Transfer } from "./transfers.ts";
export {
  place,
  type Block,
  type BlockKind,
  type KernelCode,
  type Placed,
  type Placement,
  type ScratchRequest,
  type StageRequest,
} from "./placement.ts";
export { inputRegion, type Region } from "./inputRegion.ts";
export { receptiveFields, type ReceptiveField } from "./receptiveField.ts";
export { createPacks, type Pack, type Packed, type Packs } from "./packs.ts";
export { root } from "./fusion.ts";
export {
  choose,
  mostRoundoff,
  plan,
  refusal,
  serves,
  type Choice,
  type Planned,
  type Selection,
  type SelectionCaps,
} from "./plan.ts";
export {
  combine,
  shortConvolution,
  type Matrix,
  type ShortConvolution,
  type SumWriter,
} from "./shortConvolution.ts";
export { fusedOp, inputAt, inputName, outputAt, scratchAt } from "./task.ts";
export type { Epilogue, EpilogueOperand, FusedParams, Place, PlanKernel, Task } from "./task.ts";
export {
  gradWeightTiling,
  ROUNDOFF,
  tilings,
  type TileAxis,
  type TilePlace,
  type Tiling,
} from "./tilings.ts";
