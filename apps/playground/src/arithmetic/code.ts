// The same convolution as code for Conv and for PyTorch. Both run as printed.

import { xShape, yShape, wShape, type ConvGeometry } from "@conv/ops";
import type { Pair, Setup } from "./setup.ts";

const list = (values: readonly number[]): string => values.join(", ");
const same = ([a, b]: Pair): boolean => a === b;
const both = (value: Pair, open: string, close: string): string =>
  same(value) ? `${value[0]}` : `${open}${list(value)}${close}`;
const is = (value: Pair, v: number): boolean => value[0] === v && value[1] === v;

/** Our tensors' shapes: input, weight, output, in the order of the call. */
function shapes(setup: Setup, g: ConvGeometry) {
  return setup.transposed
    ? { x: yShape(g), w: wShape(g), y: xShape(g) }
    : { x: xShape(g), w: wShape(g), y: yShape(g) };
}

export function convCode(setup: Setup, g: ConvGeometry): string {
  const { x, w, y } = shapes(setup, g);
  const { stride, dilation, groups, padLo, padHi, outputPadding } = setup;
  const padding =
    `${padLo}` === `${padHi}`
      ? both(padLo, "[", "]")
      : `[[${padLo[0]}, ${padHi[0]}], [${padLo[1]}, ${padHi[1]}]]`;
  const options = [
    is(stride, 1) ? "" : `stride: ${both(stride, "[", "]")}`,
    padding === "0" ? "" : `padding: ${padding}`,
    is(dilation, 1) ? "" : `dilation: ${both(dilation, "[", "]")}`,
    groups === 1 ? "" : `groups: ${groups}`,
    !setup.transposed || is(outputPadding, 0)
      ? ""
      : `outputPadding: ${both(outputPadding, "[", "]")}`,
  ].filter(Boolean);
  const fn = setup.transposed ? "convTranspose" : "conv";
  return `import { createCpu } from "@conv/kernels-cpu";
import { ${fn} } from "@conv/ops";
import { tensor } from "@conv/tensor";

const cpu = await createCpu();
const x = tensor(cpu, new Float32Array(${x.reduce((a, b) => a * b)}).fill(1), [${list(x)}]);
const w = tensor(cpu, new Float32Array(${w.reduce((a, b) => a * b)}).fill(1), [${list(w)}]);
const y = ${fn}(x, w${options.length ? `, { ${options.join(", ")} }` : ""});
console.log(y.shape); // ${list(y)}`;
}

export function torchCode(setup: Setup, g: ConvGeometry): string {
  const { x, w, y } = shapes(setup, g);
  const { stride, dilation, groups, padLo, padHi, outputPadding } = setup;
  const even = `${padLo}` === `${padHi}`;
  const options = [
    is(stride, 1) ? "" : `stride=${both(stride, "(", ")")}`,
    !even || is(padLo, 0) ? "" : `padding=${both(padLo, "(", ")")}`,
    !setup.transposed || is(outputPadding, 0)
      ? ""
      : `output_padding=${both(outputPadding, "(", ")")}`,
    is(dilation, 1) ? "" : `dilation=${both(dilation, "(", ")")}`,
    groups === 1 ? "" : `groups=${groups}`,
  ].filter(Boolean);
  const call = (input: string) =>
    `F.conv${setup.transposed ? "_transpose" : ""}2d(${[input, "w", ...options].join(", ")})`;
  const lines = [
    "import torch",
    "import torch.nn.functional as F",
    "",
    `x = torch.ones(${list(x)})`,
    `w = torch.ones(${list(w)})`,
  ];
  // PyTorch has no option for asymmetric padding: pad before, or crop after.
  if (even) lines.push(`y = ${call("x")}`);
  else if (!setup.transposed)
    lines.push(`y = ${call(`F.pad(x, (${padLo[1]}, ${padHi[1]}, ${padLo[0]}, ${padHi[0]}))`)}`);
  else {
    lines.push(`y = ${call("x")}`);
    lines.push(`y = y[:, :, ${padLo[0]}:${padLo[0] + y[2]}, ${padLo[1]}:${padLo[1] + y[3]}]`);
  }
  lines.push(`print(tuple(y.shape))  # ${list(y)}`);
  return lines.join("\n");
}
