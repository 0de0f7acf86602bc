// Stages in words, from their ops and expressions.

import { sizeOf, type Value } from "@conv/tensor";
import { decimal } from "../format.ts";
import type { Dictionary } from "../i18n/index.tsx";
import { isSquare, type StepKind } from "./elementwise.ts";
import { origin } from "./routes.ts";
import { mapsOf, type Main, type Maps, type Network, type Stage } from "./stages.ts";

const size = (list: readonly number[]): string => list.join("×");
const channelsOf = ({ channels, height, width }: Maps): number =>
  channels * height === 1 ? width : channels;

/** The name of the stage that makes a value; `x` for the network's input. */
export const nameOf = (value: Value, { stages }: Network): string =>
  stages.find((s) => s.output === value)?.name ?? "x";

/** `convolution 3×3, 16 → 16 channels, padding 1, batch norm, ReLU`. */
export function describeStage(stage: Stage, network: Network, t: Dictionary): string {
  const names = stage.sources.map((v) => nameOf(v, network)).join(t.and);
  const [main] = stage.mains;
  const [first, ...rest] = stage.steps;
  if (main)
    return [describeMain(main, stage, t), ...stage.steps.flatMap((s) => describeStep(s, t))].join(
      t.comma,
    );
  const joined = first?.kind === "sum" ? t.sumOf(names) : t.joinOf(names);
  return [
    joined,
    ...(first?.kind === "sum" ? rest : stage.steps).flatMap((s) => describeStep(s, t)),
  ].join(t.comma);
}

function describeMain(main: Main, { mains, sources, maps }: Stage, t: Dictionary): string {
  switch (main.kind) {
    case "conv": {
      const g = main.node.params;
      const from = sources.reduce((sum, v) => sum + channelsOf(mapsOf(v.shape)), 0);
      return (
        t.convStage(size(g.kernel), from, channelsOf(maps)) +
        windowOf({ ...g, own: 1 }, t) +
        (mains.length > 1 ? t.byTable : g.groups > 1 ? t.groupsOf(g.groups) : "")
      );
    }
    case "matmul":
      return t.matmulStage(sizeOf(main.node.inputs[0].shape), maps.width);
    case "maxPool":
      return t.maxPoolStage(size(main.node.params.kernel)) + windowOf(main.node.params, t);
    case "avgPool": {
      const g = main.node.params;
      if (size(g.kernel) === size(g.input)) return t.globalPoolStage(size(g.kernel));
      return t.avgPoolStage(size(g.kernel)) + windowOf(g, t);
    }
    case "sum": {
      const { node } = origin({ value: main.node.inputs[0], index: 0 }).value;
      return node && isSquare(node) ? t.distanceStage(maps.width) : t.sumStage;
    }
    case "softmax":
      return t.softmaxStage(maps.width);
  }
}

interface Window {
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly padLo: readonly number[];
  readonly padHi: readonly number[];
  readonly dilation: readonly number[];
  /** The stride that is not named: 1 of a convolution, else that of the kernel. */
  readonly own?: number;
}

/** One number where all are equal. */
const brief = (list: readonly number[]): string =>
  list.every((v) => v === list[0]) ? `${list[0]}` : size(list);

const windowOf = ({ kernel, stride, padLo, padHi, dilation, own }: Window, t: Dictionary): string =>
  (stride.every((s, a) => s === (own ?? kernel[a])) ? "" : t.strideOf(brief(stride))) +
  ([...padLo, ...padHi].every((p) => p === 0)
    ? ""
    : t.paddingOf(brief(padLo.flatMap((p, a) => [p, padHi[a]])))) +
  (dilation.every((d) => d === 1) ? "" : t.dilationOf(brief(dilation)));

/** A step in words; a bias is not named. */
function describeStep(step: StepKind, t: Dictionary): string[] {
  switch (step.kind) {
    case "activation":
      return [t.activations[step.name]];
    case "bias":
      return [];
    case "scale":
      return [t.timesWeight];
    case "batchNorm":
      return [t.batchNorm];
    case "sum":
      return ["+"];
    case "times":
      return [t.timesFactor(decimal(step.factor, Number.isInteger(step.factor) ? 0 : 3))];
    case "negate":
      return [t.negated];
    case "expression":
      return [step.text];
  }
}

/** `channel 3, row 4, column 5`, or `unit 17`. */
export function describePlace(
  { channels, height, width }: Maps,
  index: number,
  t: Dictionary,
): string {
  if (channels * height === 1) return t.placeInRow(index);
  return t.place(
    Math.floor(index / (height * width)),
    Math.floor(index / width) % height,
    index % width,
  );
}
