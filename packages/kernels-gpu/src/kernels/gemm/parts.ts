// The second stage of a sum that is split among workgroups: it adds the parts, always in the same
// order.

import { outputAt, scratchAt, type GpuStage, type Task } from "../../compile/code.ts";
import { loopInBlocks } from "../../wgsl/sums.ts";
import { emitEpilogue, mainOf } from "../../wgsl/wgsl.ts";

const THREADS = 64;

export interface Parts {
  readonly splits: number;
  /** Elements of a part: those of the output. */
  readonly size: number;
  /** Elements of a channel, channels, and columns of the output, for the epilogue. */
  readonly plane: number;
  readonly channels: number;
  readonly columns: number;
}

/** y = Σ parts, finished by the epilogue of the task. The parts lie in scratch buffer 0. */
export function addPartsStage(
  label: string,
  task: Task,
  { splits, size, plane, channels, columns }: Parts,
): GpuStage {
  const epilogue = emitEpilogue(task.epilogue, 2);
  const groups = Math.ceil(size / THREADS);
  const at = {
    r: "r",
    channel: `index / ${plane} % ${channels}`,
    column: `index % ${columns}`,
    element: "index",
  };
  const body = [
    `let index = group * ${THREADS} + lane;`,
    ...(size % THREADS ? [`if (index >= ${size}) { return; }`] : []),
    "var r = 0.0;",
    loopInBlocks({
      at: "part",
      from: "0u",
      to: `${splits}u`,
      step: 1,
      turns: splits,
      sums: ["r"],
      T: "f32",
      body: ([r]) => `${r} += parts[part * ${size} + index];`,
    }),
    epilogue.store(at, "out"),
    "y[index] = Y(out);",
  ];
  const code = [epilogue.functions, mainOf(groups, THREADS, body.join("\n"))];
  return {
    label,
    reads: [{ name: "parts", place: scratchAt(0) }, ...epilogue.reads],
    writes: [{ name: "y", place: outputAt(0) }],
    code: code.filter(Boolean).join("\n\n"),
    groups,
  };
}
