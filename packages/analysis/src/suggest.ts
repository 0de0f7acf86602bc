// What else could stand in a convolution's place, and what each costs: every alternative is traced
// and read like any network.

import { receptiveFields, type ReceptiveField } from "@conv/compiler";
import { conv, mustDivide, spanOf } from "@conv/ops";
import {
  checkOptions,
  formatShape,
  graphOf,
  input,
  message,
  rangeError,
  shapeError,
  spec,
  within,
  type Value,
} from "@conv/tensor";
import { memoryOf } from "./memory.ts";
import { summarize } from "./summary.ts";
import type { Traced } from "./traced.ts";

/** A convolution of one sample, all lists with one entry for each spatial axis. */
export interface ConvLayer {
  /** Channels, then sizes: [256, 100, 100]. */
  readonly input: readonly number[];
  readonly kernel: readonly number[];
  /** Channels of the output. */
  readonly channels: number;
  readonly stride?: readonly number[] | undefined;
  /**
   * Zeros on both sides; default: as many as keep the size at stride 1, or one less in all where
   * that is odd.
   */
  readonly padding?: readonly number[] | undefined;
  readonly dilation?: readonly number[] | undefined;
  readonly groups?: number | undefined;
  /** A number for each output channel of every layer. Default: false. */
  readonly bias?: boolean | undefined;
}

/** One convolution of an alternative. */
export interface Piece {
  readonly channels: number;
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;
}

/** What stands in a layer's place, with its costs for one sample. Plain data. */
export interface Alternative {
  readonly name: string;
  readonly pieces: readonly Piece[];
  /** `1×1 → 64, 3×3 → 256`. */
  readonly text: string;
  readonly parameters: number;
  /** Multiply-accumulates by torchvision's convention. */
  readonly macs: number;
  /** Numbers that all its layers give out. */
  readonly elements: number;
  /** Bytes of input, output, parameters and what lives at once between them, as float32. */
  readonly memory: number;
  /** For each spatial axis. */
  readonly field: readonly ReceptiveField[];
  readonly output: readonly number[];
  /** Of the multiply-accumulates and parameters of the direct convolution. */
  readonly ratio: { readonly macs: number; readonly parameters: number };
}

const REDUCTION = 4; // of channels by a bottleneck: He et al. 2016
const GROUPS = 8;

/**
 * The layer itself first, then what could replace it on that input. Throws ShapeError where the
 * layer does not fit its input, RangeError where channels or groups are no whole number ≥ 1.
 */
export function suggest(layer: ConvLayer): Alternative[] {
  checkOptions("suggest", layer, "input kernel channels stride padding dilation groups bias");
  const [c, ...sizes] = layer.input;
  const { kernel, channels: k, groups = 1, bias = false } = layer;
  const rank = sizes.length;
  const flat = (v: number) => sizes.map(() => v);
  const { stride = flat(1), dilation = flat(1) } = layer;
  for (const [what, count] of Object.entries({ "input channels": c, channels: k, groups }))
    if (!Number.isInteger(count) || count < 1)
      throw rangeError(
        "suggest",
        "not-whole",
        message`${{ what }} ${{ count }} is not a whole number ≥ 1`,
      );
  for (const [name, list] of Object.entries({
    kernel,
    stride,
    dilation,
    ...(layer.padding && { padding: layer.padding }),
  }))
    if (list.length !== rank)
      throw shapeError(
        "suggest",
        "entries",
        message`${{ what: name }} ${{ list: formatShape(list) }} has ${{ entries: list.length }} entries, the input has ${{ axes: rank }} spatial axes`,
      );
  const padding =
    layer.padding ?? kernel.map((size, a) => Math.floor(((size - 1) * dilation[a]) / 2));
  const direct: Piece = { channels: k, kernel, stride, padding, dilation, groups };
  const point = (channels: number): Piece => ({
    channels,
    kernel: flat(1),
    stride: flat(1),
    padding: flat(0),
    dilation: flat(1),
    groups: 1,
  });
  const narrow = Math.max(1, Math.floor(c / REDUCTION));
  const inner = Math.max(1, Math.floor(k / REDUCTION));
  const along = kernel.flatMap((size, a) => (size > 1 ? [a] : []));
  const wide = along.length > 0;
  const grouped = [GROUPS, 4, 2].find((g) => c % g === 0 && k % g === 0);
  const depth = Math.max(...kernel.map((size) => (size - 1) / 2));
  const small =
    wide &&
    depth > 1 &&
    kernel.every((size) => size === kernel[0] && size % 2 === 1) &&
    dilation.every((d) => d === 1);
  const options: [name: string, pieces: readonly Piece[]][] = [["direct", [direct]]];
  if (groups === 1 && wide && c >= REDUCTION) options.push(["1×1 before", [point(narrow), direct]]);
  if (groups === 1 && wide && c >= REDUCTION && k >= REDUCTION)
    options.push(["bottleneck", [point(inner), { ...direct, channels: inner }, point(k)]]);
  if (groups === 1 && grouped)
    options.push([`${grouped} groups`, [{ ...direct, groups: grouped }]]);
  if (groups === 1 && wide && c > 1)
    options.push(["depthwise separable", [{ ...direct, channels: c, groups: c }, point(k)]]);
  if (along.length > 1)
    options.push([
      "factorised",
      along.map((axis) => {
        const on = (list: readonly number[], rest: number) =>
          list.map((v, a) => (a === axis ? v : along.includes(a) ? rest : v));
        return {
          channels: k,
          kernel: on(kernel, 1),
          stride: on(stride, 1),
          padding: on(padding, 0),
          dilation: on(dilation, 1),
          groups,
        };
      }),
    ]);
  if (small)
    options.push([
      `stacked ${formatShape(flat(3))}`,
      Array.from({ length: depth }, (_, i) => {
        const even = padding.map((p) => (p % depth === 0 ? p / depth : i === 0 ? p : 0));
        return {
          channels: k,
          kernel: flat(3),
          stride: i === depth - 1 ? stride : flat(1),
          padding: even,
          dilation: flat(1),
          groups,
        };
      }),
    ]);
  if (small)
    options.push([
      `dilated ${formatShape(flat(3))}`,
      [{ ...direct, kernel: flat(3), dilation: flat(depth) }],
    ]);
  else if (wide) {
    const twice = {
      ...direct,
      dilation: dilation.map((d) => 2 * d),
      padding: padding.map((p) => 2 * p),
    };
    if (spanOf(kernel, twice.dilation).every((span, a) => span <= sizes[a] + 2 * twice.padding[a]))
      options.push(["dilated twice", [twice]]);
  }
  const [first, ...others] = options.map(([name, pieces]) =>
    costsOf(name, pieces, layer.input, bias),
  );
  const withRatio = (a: Omit<Alternative, "ratio">): Alternative => ({
    ...a,
    ratio: { macs: a.macs / first.macs, parameters: a.parameters / first.parameters },
  });
  return [withRatio(first), ...others.map(withRatio)];
}

/** Traces the pieces one after the other and reads what they cost. */
function costsOf(
  name: string,
  pieces: readonly Piece[],
  shape: readonly number[],
  bias: boolean,
): Omit<Alternative, "ratio"> {
  const x = input(spec([1, ...shape]), "x");
  const values: Value[] = [];
  const parameter = (sizes: readonly number[]) => {
    const v = input(spec(sizes), `${values.length}`);
    values.push(v);
    return v;
  };
  const y = pieces.reduce<Value>(
    (v, p, i) =>
      within(pieces.length > 1 ? `${name}.${i}` : name, () => {
        const { channels, kernel, ...sliding } = p;
        mustDivide("conv", "input channels", v.shape[1], p.groups);
        const z = conv(v, parameter([channels, v.shape[1] / p.groups, ...kernel]), sliding);
        if (bias) parameter([channels]);
        return z;
      }),
    x,
  );
  const entries = values.map(
    (v) => ({ name: `${v.name}`, spec: v.spec, kind: "parameter", trainable: true }) as const,
  );
  const traced: Traced = { name, graph: graphOf([x, ...values], [y]), x, entries, values };
  const { totals } = summarize(traced);
  return {
    name,
    pieces,
    text: pieces.map(textOf).join(", "),
    parameters: totals.parameters,
    macs: totals.macs,
    elements: totals.elements,
    memory: memoryOf(traced).total,
    field: receptiveFields(traced.graph, x).get(y)!,
    output: y.shape.slice(1),
  };
}

/** `3×3 → 256, 8 groups`. */
function textOf({ kernel, channels, groups, dilation, stride }: Piece): string {
  const beside = [
    ...(groups > 1 ? [`${groups} groups`] : []),
    ...(dilation.some((d) => d > 1) ? [`dilation ${formatShape(dilation)}`] : []),
    ...(stride.some((s) => s > 1) ? [`stride ${formatShape(stride)}`] : []),
  ];
  return `${formatShape(kernel)} → ${channels}${beside.length ? ` (${beside.join(", ")})` : ""}`;
}
