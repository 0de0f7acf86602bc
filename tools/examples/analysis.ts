// The cost of a network: a graph is traced by hand and its operations are counted. No device is
// needed.

import { summarize } from "@conv/analysis";
import { conv, relu } from "@conv/ops";
import { spec, trace } from "@conv/tensor";

export async function main(): Promise<number[]> {
  const weight = spec([64, 64, 3, 3]);
  const graph = trace(
    (x, w) => relu(conv(x, w, { padding: 1 })),
    [spec([1, 64, 56, 56]), weight],
    ["x", "weight"],
  );
  const [x, w] = graph.inputs;
  const { totals } = summarize({
    name: "layer",
    graph,
    x,
    entries: [{ name: "weight", spec: weight, kind: "parameter", trainable: true }],
    values: [w],
  });
  return [totals.parameters, totals.macs, totals.activationBytes];
}
