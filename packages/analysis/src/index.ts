// @conv/analysis: readings of a graph. What a network costs, and what its outputs depend on.

export { connectionsOf } from "./connections.ts";
export { receptiveFields, type Field } from "./field.ts";
export { conventions, summarise, type Counts, type LayerSummary, type Summary, type Traced } from "./summary.ts";
export { formatBytes, formatCount, formatSummary, type TextOptions } from "./text.ts";
