// `conv suggest`: alternatives to a convolution, and their costs.

import { formatBytes, formatCount, operationConventions, suggest, wrap } from "@conv/analysis";
import { perAxis, type PerAxis } from "@conv/ops";
import { UserError } from "../errors.ts";
import { kernelSizes } from "../kernel.ts";
import { print } from "../output.ts";
import { described, fitted } from "../table.ts";
import { colorsOf, columns } from "../terminal.ts";

export interface SuggestOptions {
  readonly stride: PerAxis;
  readonly padding: PerAxis | "same";
  readonly dilation: PerAxis;
  readonly groups: number;
  readonly bias: boolean;
  readonly json: boolean;
}

export function suggestLayers(
  input: readonly number[],
  kernel: readonly number[],
  channels: number,
  options: SuggestOptions,
): void {
  const rank = input.length - 1;
  if (rank < 1)
    throw new UserError(`the input ${input.join("x")} has no sizes besides its channels`);
  const { stride, padding, dilation, groups, bias } = options;
  const each = (what: string, value: PerAxis, least: number) =>
    perAxis("suggest", what, value, rank, least);
  const list = suggest({
    input,
    kernel: each("kernel", kernelSizes(kernel, input), 1),
    channels,
    stride: each("stride", stride, 1),
    ...(padding !== "same" && { padding: each("padding", padding, 0) }),
    dilation: each("dilation", dilation, 1),
    groups,
    bias,
  });
  if (options.json) {
    print(JSON.stringify(list, null, 2));
    return;
  }
  const color = colorsOf(process.stdout);
  const percent = (ratio: number) => (100 * ratio).toFixed(0);
  const [head, ...lines] = fitted(
    [
      ["", "parameters", "MACs", "%", "values", "memory", "field"],
      ...list.map((a) => [
        a.name,
        formatCount(a.parameters),
        formatCount(a.macs),
        percent(a.ratio.macs),
        formatCount(a.elements),
        formatBytes(a.memory),
        a.field.map((f) => formatCount(f.size)).join("×"),
      ]),
    ],
    columns(),
    [3, 4, 5, 6],
  );
  const heads = head.trim().split(/ {2,}/);
  const layers = described(
    list.map((a) => [a.name, a.text]),
    columns(),
  );
  const notes = [
    `MACs: ${operationConventions.torchvision}`,
    "%: share of the multiply-accumulates of the direct layer",
    "values: elements in the outputs of all its layers, for one sample",
    "memory: input, output, parameters and the peak of the values between them, as float32",
    "field: receptive field, the inputs that one output depends on, along each axis",
  ]
    .filter((note) => heads.includes(note.slice(0, note.indexOf(":"))))
    .flatMap((note) => wrap(note, columns()));
  const title = `${color.bold(`${input.join("×")} → ${list[0].output.join("×")}`)}, one sample`;
  print(
    [
      title,
      "",
      color.bold(head),
      ...lines,
      "",
      ...layers,
      "",
      ...notes.map((line) => color.dim(line)),
    ].join("\n"),
  );
}
