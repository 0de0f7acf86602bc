// What passes between the planner and the kernels of this back end: WGSL for a task, in stages that
// are dispatched one after the other.

import type { Place, PlanKernel, Planned as PlannedOf, ScratchRequest } from "@conv/compiler";
import type { Caps } from "./caps.ts";

export { inputAt, outputAt, scratchAt } from "@conv/compiler";
export type { Epilogue, EpilogueOperand, Place, Task } from "@conv/compiler";

/**
 * A buffer that a stage sees as `var<storage> name: array<Name>`, where the alias `Name` (the name
 * with a capital) is f32, i32, u32 or f16, by how the value is stored: loads are written
 * `f32(x[i])`, stores `y[i] = Y(v)`. With `width` 2 or 4 the array is of vectors: `vec4f(x[i])`,
 * `y[i] = vec4<Y>(v)`; the length must be a multiple of it then.
 */
export interface Binding {
  readonly name: string;
  readonly place: Place;
  readonly width?: 1 | 2 | 4 | undefined;
  /** The array is of `atomic<Name>`; for i32 and what is written. */
  readonly atomic?: boolean | undefined;
}

/** One dispatch. */
export interface GpuStage {
  /** Names the shader, for people: what it does. */
  readonly label: string;
  readonly reads: readonly Binding[];
  readonly writes: readonly Binding[];
  /**
   * WGSL without bindings, their aliases and `enable`: constants, functions and `main` (see
   * `mainOf` in wgsl.ts).
   */
  readonly code: string;
  /** Workgroups in all; `mainOf` numbers them. */
  readonly groups: number;
  /**
   * The code with some of the reads replaced by writes, by the names of their bindings. Absent
   * unless the stage reads all that it needs of an element before it writes the element, so that a
   * read and a write may be one buffer.
   */
  readonly inPlace?: ((sources: Readonly<Record<string, string>>) => string) | undefined;
  /** WGSL extensions that the code uses, besides f16 for storage. */
  readonly enables?: readonly string[] | undefined;
}

export interface Scratch extends ScratchRequest {
  /** Element type; f32 if absent. */
  readonly element?: "f32" | "i32" | "u32" | "f16" | undefined;
}

export interface GpuCode {
  readonly scratch: readonly Scratch[];
  readonly stages: readonly GpuStage[];
}

/** A kernel of this back end. */
export type GpuKernel<P = unknown> = PlanKernel<Caps, GpuCode, P>;

/** A task of the plan with its kernel. */
export type Planned = PlannedOf<GpuKernel>;
