// Shared by most kernels that are bound by memory: one invocation makes one element of the output,
// finishes it by the epilogue of the task and stores it.

import { sizeOf, type Op } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import {
  outputAt,
  type Binding,
  type GpuCode,
  type GpuKernel,
  type GpuStage,
  type Task,
} from "../../compile/code.ts";
import { emitEpilogue, mainOf } from "../../wgsl/wgsl.ts";

/** Invocations of a workgroup. */
const SIZE = 64;

/** Seconds of work that is bound by memory. */
export const streamTime = ({ cost }: Task, { bandwidth, launch }: Caps): number =>
  (cost.bytesRead + cost.bytesWritten) / bandwidth + launch;

/** One stage and no scratch memory. */
export const alone = (stage: GpuStage): GpuCode => ({ scratch: [], stages: [stage] });

/** The code of one op. */
export interface Builder<P = unknown> {
  readonly op: Op<P>;
  build(task: Task<P>, caps: Caps): GpuCode;
}

/** The code of tasks of this op. */
export const codeFor = <P>(op: Op<P>, build: Builder<P>["build"]): Builder => ({ op, build });

/** A kernel bound by memory that computes several ops. */
export const streamKernel = (name: string, builders: readonly Builder[]): GpuKernel => ({
  name,
  ops: builders.map(({ op }) => op),
  fuses: ["channel", "column", "element"],
  estimate: streamTime,
  build: (task, caps) => builders.find(({ op }) => op === task.op)!.build(task, caps),
});

/** The end of a kernel: the epilogue on a float result, then the store into `y`. */
export interface Finish {
  readonly functions: string;
  /** Operands of the epilogue. */
  readonly reads: readonly Binding[];
  /** Statements that store the result, an expression, as this element of the output. */
  store(result: string, element: string): string;
}

export function finishOf(task: Task): Finish {
  const [{ shape, dtype }] = task.outputs;
  if (dtype === "int32")
    return {
      functions: "",
      reads: [],
      store: (result, element) => `y[${element}] = Y(${result});`,
    };
  const { functions, reads, store } = emitEpilogue(
    task.epilogue,
    task.inputs.length - (task.epilogue?.operands.length ?? 0),
  );
  const inner = sizeOf(shape.slice(2));
  return {
    functions,
    reads,
    store(r, element) {
      const at = {
        r,
        element,
        channel: `(${element}) / ${inner}u % ${shape[1]}u`,
        column: `(${element}) % ${shape.at(-1)}u`,
      };
      return `${store(at, "finished")}\ny[${element}] = Y(finished);`;
    },
  };
}

export interface Each {
  readonly label: string;
  readonly reads: readonly Binding[];
  readonly functions?: readonly string[] | undefined;
  /** Statements for element `index`, which may return without a result. */
  readonly body: string;
  /** The result, an expression over names that the body declares. */
  readonly result: string;
}

/** The stage that makes all elements of the task's first output. */
export function eachElement(
  task: Task,
  { label, reads, functions = [], body, result }: Each,
): GpuStage {
  const finish = finishOf(task);
  const main = [body, finish.store(result, "index")].filter(Boolean).join("\n");
  return {
    label,
    reads: [...reads, ...finish.reads],
    writes: [{ name: "y", place: outputAt(0) }],
    ...overItems(sizeOf(task.outputs[0].shape), main, [...functions, finish.functions]),
  };
}

/** The code that runs `body` for each `index` below `items`. */
export function overItems(
  items: number,
  body: string,
  functions: readonly string[] = [],
): Pick<GpuStage, "code" | "groups"> {
  const groups = Math.ceil(items / SIZE);
  const main = [
    `let index = group * ${SIZE}u + lane;`,
    ...(items % SIZE ? [`if (index >= ${items}u) { return; }`] : []),
    body,
  ].join("\n");
  return { code: [...functions.filter(Boolean), mainOf(groups, SIZE, main)].join("\n\n"), groups };
}

/** All of these conditions, none of them skipped: a branch costs more than a comparison. */
export const allOf = (conditions: readonly string[]): string =>
  conditions.map((c) => (conditions.length > 1 ? `(${c})` : c)).join(" & ");
