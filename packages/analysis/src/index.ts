// @conv/analysis: readings of a graph. What a network costs, and what its outputs depend on.

export { inputRegion, receptiveFields, type ReceptiveField, type Region } from "@conv/compiler";
export { compare, type ComparedCount, type Comparison } from "./compare.ts";
export { connectionsOf } from "./connections.ts";
export {
  effectiveField,
  effectiveFieldOf,
  gradientGraph,
  type EffectiveField,
  type EffectiveOptions,
} from "./effective.ts";
export { formulasOf, type LayerFormula, type Term } from "./formula.ts";
export {
  evaluatePolynomial,
  growthOf,
  growthPower,
  widthGrowth,
  type GrowthPoint,
  type Polynomial,
} from "./growth.ts";
export { csvOf, markdownOf } from "./forms.ts";
export { livenessOf, type Held, type Liveness, type LivenessOptions } from "./liveness.ts";
export {
  backwardGraph,
  bytesPerNumber,
  memoryOf,
  trainingMemoryOf,
  type Memory,
  type MemoryOptions,
  type Moment,
  type NumberType,
  type TrainingMemory,
  type TrainingMemoryOptions,
} from "./memory.ts";
export {
  conventionNames,
  countNodes,
  operationConventions,
  torchinfoMemory,
  type Convention,
  type NodeCounts,
  type Operations,
  type TorchinfoMemory,
} from "./operations.ts";
export {
  programMemoryOf,
  type LayoutBlock,
  type ProgramLayout,
  type ProgramMemory,
  type ProgramMemoryOptions,
} from "./program.ts";
export { suggest, type Alternative, type ConvLayer, type Piece } from "./suggest.ts";
export {
  conventions,
  summarize,
  type Counts,
  type LayerSummary,
  type Summary,
  type SummaryOptions,
} from "./summary.ts";
export {
  formatBytes,
  formatCount,
  formatSummary,
  operationsHead,
  wrap,
  type TableOptions,
  type TextOptions,
} from "./text.ts";
export { tracedOf, type FunctionOptions, type Traced } from "./traced.ts";
