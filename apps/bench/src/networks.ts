// The networks that are measured, with weights and images that are the same in every run.

import { traceModel, type Entry } from "@conv/layers";
import { models } from "@conv/layers/models";
import { costOf, sizeOf, type Graph, type Node } from "@conv/tensor";
import { lower, type PeerGraph } from "./lower.ts";
import { random } from "./random.ts";

export interface NetworkCase {
  readonly name: string;
  readonly graph: Graph;
  readonly peers: PeerGraph;
  /** Images, then the weights in the order of the graph's inputs. */
  readonly operands: readonly Float32Array[];
  readonly macs: number;
}

/** All networks that can be measured. */
export const networkNames = Object.keys(models);

/** The networks that are measured by default: some of ImageNet. */
export const defaultNetworks: readonly string[] = [
  "resnet18",
  "resnet50",
  "vgg16",
  "mobilenetV2",
  "squeezenet1_1",
];

/** Multiply-accumulates of nodes, each by its op's own count. */
export const macsOfNodes = (nodes: readonly Node[]): number =>
  nodes.reduce((sum, n) => sum + costOf(n).macs, 0);

export function networkCase(name: string, batch: number): NetworkCase {
  const traced = traceModel(models[name](), { batch });
  const { graph, entries, x } = traced;
  const operands = [
    uniform(1, sizeOf(x.shape), -1, 1),
    ...entries.map((e, i) => weightOf(e, i + 2)),
  ];
  return { name, graph, peers: lower(traced), operands, macs: macsOfNodes(graph.nodes) };
}

/**
 * Weights keep the size of what flows through (He et al. 2015: U(±√(6/fan-in))). Normalization is
 * far from the identity in every channel, so that whoever folds it wrongly is seen.
 */
function weightOf({ name, spec: { shape } }: Entry, seed: number): Float32Array {
  const size = sizeOf(shape);
  if (name.endsWith("num_batches_tracked")) return new Float32Array(size);
  if (shape.length > 1) {
    const bound = Math.sqrt((6 * shape[0]) / size);
    return uniform(seed, size, -bound, bound);
  }
  return /weight|running_var/.test(name)
    ? uniform(seed, size, 0.5, 1.5)
    : uniform(seed, size, -0.2, 0.2);
}

function uniform(seed: number, size: number, lo: number, hi: number): Float32Array {
  const next = random(seed);
  const values = new Float32Array(size);
  for (let i = 0; i < size; i++) values[i] = lo + (hi - lo) * next();
  return values;
}
