// What each name of a padding does to a shape, how TensorFlow, Keras, PyTorch and ONNX ask for the
// same, and where they differ.

import { checkOptions, ShapeError } from "@conv/tensor";
import { outputSizes } from "./geometry.ts";
import {
  axisName,
  paddingNames,
  perAxis,
  resolvePadding,
  spanOf,
  type PaddingName,
  type PerAxis,
} from "./padding.ts";

export interface PaddingQuestion {
  /** Sizes of the input along its spatial axes: one number for one axis. */
  readonly input: PerAxis;
  readonly kernel: PerAxis;
  readonly stride?: PerAxis | undefined;
  readonly dilation?: PerAxis | undefined;
}

/** How each system asks for the same zeros. */
export interface PaddingCalls {
  readonly tensorflow: string;
  readonly keras: string;
  readonly pytorch: string;
  readonly onnx: string;
}

/**
 * One way to pad. `symmetric` is ⌊(span − 1)/2⌋ on both sides, what models for PyTorch usually say.
 */
export interface PaddingChoice {
  readonly name: PaddingName | "symmetric";
  /** Empty where the padding itself is impossible. */
  readonly padLo: readonly number[];
  readonly padHi: readonly number[];
  /** Sizes of the output; null where there is none, and `problem` says why. */
  readonly output: readonly number[] | null;
  readonly problem: string | null;
  readonly calls: PaddingCalls | null;
}

export interface PaddingExplanation {
  readonly input: readonly number[];
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  /** (kernel − 1)·dilation + 1 for each axis. */
  readonly span: readonly number[];
  readonly choices: readonly PaddingChoice[];
  /** Where the systems differ for these sizes, a sentence each. */
  readonly differences: readonly string[];
}

/**
 * Says for every name of {@link PaddingName} the zeros on each side, the output, and how other
 * systems ask for it. Throws ShapeError for sizes that are none.
 */
export function explainPadding(question: PaddingQuestion): PaddingExplanation {
  const op = "explainPadding";
  checkOptions(op, question, "input kernel stride dilation");
  const { input, kernel, stride = 1, dilation = 1 } = question;
  const rank = [input, kernel, stride, dilation].reduce<number>(
    (most, v) => Math.max(most, typeof v === "number" ? 1 : v.length),
    1,
  );
  const sizes = perAxis(op, "input", input, rank, 1);
  const k = perAxis(op, "kernel", kernel, rank, 1);
  const s = perAxis(op, "stride", stride, rank, 1);
  const d = perAxis(op, "dilation", dilation, rank, 1);
  const span = spanOf(k, d);
  const half = span.map((v) => (v - 1) >> 1);
  const choices = [...paddingNames, "symmetric" as const].map((name): PaddingChoice => {
    let pads = { padLo: [] as number[], padHi: [] as number[] };
    try {
      pads = resolvePadding("conv", name === "symmetric" ? half : name, sizes, span, s);
      const output = outputSizes("conv", sizes, k, s, d, pads.padLo, pads.padHi);
      return { name, ...pads, output, problem: null, calls: callsOf(name, pads.padLo, pads.padHi) };
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      return { name, ...pads, output: null, problem: error.message, calls: null };
    }
  });
  return {
    input: sizes,
    kernel: k,
    stride: s,
    dilation: d,
    span,
    choices,
    differences: differencesOf(choices, sizes, span, s, d),
  };
}

const list = (values: readonly number[]): string => values.join(", ");
const pairs = (lo: readonly number[], hi: readonly number[]): string =>
  lo.map((v, a) => `${v} + ${hi[a]}`).join(" · ");

function callsOf(
  name: PaddingChoice["name"],
  lo: readonly number[],
  hi: readonly number[],
): PaddingCalls {
  const none = [...lo, ...hi].every((v) => v === 0);
  const even = lo.every((v, a) => v === hi[a]);
  const around = lo.map((v, a) => `(${v}, ${hi[a]})`).join(", ");
  const upper = name === "same" || name === "same-upper";
  // F.pad takes the last axis first
  const flat = lo.flatMap((_, a) => [lo[lo.length - 1 - a], hi[lo.length - 1 - a]]);
  return {
    tensorflow:
      none && name === "valid" ? '"VALID"' : upper ? '"SAME"' : `[(0, 0), ${around}, (0, 0)]`,
    keras:
      none && name === "valid"
        ? '"valid"'
        : upper
          ? '"same"'
          : name === "causal" && lo.length === 1
            ? '"causal"'
            : `ZeroPadding(${around}), "valid"`,
    pytorch:
      name === "same-pytorch"
        ? 'padding="same"'
        : even
          ? `padding=(${list(lo)})`
          : `F.pad(x, (${list(flat)}))`,
    onnx:
      name === "valid"
        ? "auto_pad VALID"
        : upper
          ? "auto_pad SAME_UPPER"
          : name === "same-lower"
            ? "auto_pad SAME_LOWER"
            : `pads [${list([...lo, ...hi])}]`,
  };
}

function differencesOf(
  choices: readonly PaddingChoice[],
  input: readonly number[],
  span: readonly number[],
  stride: readonly number[],
  dilation: readonly number[],
): string[] {
  const of = (name: PaddingChoice["name"]) => choices.find((c) => c.name === name)!;
  const [same, symmetric] = [of("same"), of("symmetric")];
  const axes = new Map<string, string[]>();
  input.forEach((size, a) => {
    const say = (text: string) =>
      axes.set(text, [...(axes.get(text) ?? []), axisName(input.length, a)]);
    const [lo, hi] = [same.padLo[a], same.padHi[a]];
    if ((lo + hi) % 2)
      say(
        `TensorFlow's and Keras's "same" and ONNX's SAME_UPPER pad ${lo} + ${hi}, SAME_LOWER ${hi} + ${lo}: the same size, shifted by one`,
      );
    if (stride[a] > 1) say(`PyTorch's "same" refuses stride ${stride[a]}`);
    if (stride[a] > 1 && dilation[a] > 1)
      say(`Keras refuses stride ${stride[a]} together with dilation ${dilation[a]}`);
    const [low, high] = [symmetric.padLo[a], symmetric.padHi[a]];
    const [outputs, wanted] = [symmetric.output?.[a], same.output?.[a]];
    const around = `symmetric padding ${low} + ${high} gives`;
    if (outputs !== undefined && outputs !== wanted)
      say(`${around} ${outputs} outputs, "same" ${wanted}`);
    else if (outputs !== undefined && low !== lo)
      say(
        `${around} as many outputs as "same", ${lo} + ${hi}, but each looks ${Math.abs(low - lo)} further ${low > lo ? "back" : "ahead"}`,
      );
    if (stride[a] > span[a])
      say(
        `stride ${stride[a]} is more than the span ${span[a]}: inputs between windows are not read`,
      );
    if (span[a] > size + lo + hi)
      say(`the span ${span[a]} is more than the padded input ${size + lo + hi}`);
  });
  return [...axes].map(
    ([text, names]) => `${text} (${names.length > 1 ? "axes" : "axis"} ${names.join(", ")})`,
  );
}

/** The explanation as a table and sentences, for a terminal. */
export function formatPadding({
  input,
  kernel,
  stride,
  dilation,
  choices,
  differences,
}: PaddingExplanation): string {
  const head = ["padding", "zeros", "output", "TensorFlow", "Keras", "PyTorch", "ONNX"];
  const rows = choices.map(({ name, padLo, padHi, output, problem, calls }) =>
    output && calls
      ? [
          name,
          pairs(padLo, padHi),
          output.join("×"),
          calls.tensorflow,
          calls.keras,
          calls.pytorch,
          calls.onnx,
        ]
      : [name, problem ?? ""],
  );
  const widths = head.map((title, i) =>
    Math.max(title.length, ...rows.filter((row) => row.length > 2).map((row) => row[i].length)),
  );
  const line = (row: readonly string[]) =>
    row.map((cell, i) => (i < row.length - 1 ? cell.padEnd(widths[i]) : cell)).join("  ");
  const title = `input ${input.join("×")}, kernel ${kernel.join("×")}, stride ${stride.join("×")}, dilation ${dilation.join("×")}`;
  return [
    title,
    "",
    ...[head, ...rows].map(line),
    ...(differences.length ? ["", ...differences] : []),
  ].join("\n");
}
