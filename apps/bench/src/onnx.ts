// Writes ONNX models: a protobuf encoder of the few message types they take (onnx/onnx.proto, IR
// version 8).

import { spanOf, type ConvGeometry } from "@conv/ops";
import { shapesOf, type Direction } from "./layers.ts";
import type { Attributes, PeerGraph } from "./lower.ts";

type Part = Uint8Array | number;

/**
 * The bytes of a model of one convolution. The operands are constants inside it, so that a run
 * copies nothing in; beside the result `y` it has an output `first`, one element of it, and a run
 * that asks for that alone copies nothing out. The gradient to the input is ONNX's ConvTranspose;
 * ONNX has no operator for that to the weight.
 */
export function convModel(
  direction: Direction,
  g: ConvGeometry,
  operands: readonly Float32Array[],
): Uint8Array {
  if (direction === "gradWeight")
    throw new Error("ONNX has no operator for the gradient to the weight");
  const shapes = shapesOf(direction, g);
  const rank = g.input.length;
  const attributes: [string, number | readonly number[]][] = [
    ["dilations", g.dilation],
    ["group", g.groups],
    ["kernel_shape", g.kernel],
    ["pads", [...g.padLo, ...g.padHi]],
    ["strides", g.stride],
  ];
  if (direction === "gradInput")
    attributes.push([
      "output_padding",
      spanOf(g.kernel, g.dilation).map(
        (span, a) =>
          g.input[a] - ((g.output[a] - 1) * g.stride[a] - g.padLo[a] - g.padHi[a] + span),
      ),
    ]);
  const vector = (name: string, value: number) =>
    int64Tensor(
      name,
      Array.from({ length: rank + 2 }, () => value),
    );
  const graph = message(
    field(1, node(direction === "forward" ? "Conv" : "ConvTranspose", ["a", "b"], "y", attributes)),
    field(1, node("Slice", ["y", "zeros", "ones"], "first", [])),
    field(2, text("conv")),
    field(5, floatTensor("a", shapes.operands[0], operands[0])),
    field(5, floatTensor("b", shapes.operands[1], operands[1])),
    field(5, vector("zeros", 0)),
    field(5, vector("ones", 1)),
    field(12, valueInfo("y", shapes.result)),
    field(
      12,
      valueInfo(
        "first",
        shapes.result.map(() => 1),
      ),
    ),
  );
  return modelOf(graph);
}

/** The bytes of a model of a whole network, its weights constants inside it, from `x` to `y`. */
export function networkModel(
  { input, output, weights, nodes }: PeerGraph,
  values: readonly Float32Array[],
): Uint8Array {
  const used = new Set(nodes.flatMap((n) => n.inputs));
  // the only clipping there is: relu6
  const bounds = nodes.some((n) => n.op === "Clip") ? ["zero", "six"] : [];
  const graph = message(
    ...nodes.map((n) =>
      field(
        1,
        node(
          n.op,
          n.op === "Clip" ? [...n.inputs, ...bounds] : n.inputs,
          n.output,
          Object.entries(n.attributes),
        ),
      ),
    ),
    field(2, text("network")),
    ...weights.flatMap(({ name, shape }, i) =>
      used.has(name) ? field(5, floatTensor(name, shape, values[i])) : [],
    ),
    ...bounds.map((name) =>
      field(5, floatTensor(name, [], Float32Array.of(name === "six" ? 6 : 0))),
    ),
    field(11, valueInfo(input.name, input.shape)),
    field(12, valueInfo(output.name, output.shape)),
  );
  return modelOf(graph);
}

const modelOf = (graph: Uint8Array): Uint8Array =>
  message(
    key(1, 0),
    8,
    field(2, text("conv-bench")),
    field(7, graph),
    field(8, message(field(1, text("")), key(2, 0), 13)),
  );

function node(
  op: string,
  inputs: readonly string[],
  output: string,
  attributes: readonly (readonly [string, number | readonly number[]])[],
): Uint8Array {
  return message(
    ...inputs.flatMap((name) => field(1, text(name))),
    ...field(2, text(output)),
    ...field(4, text(op)),
    ...attributes.flatMap(([name, value]) => field(5, attribute(name, value))),
  );
}

/** AttributeProto: FLOAT (type 1, field 2), INT (type 2, field 3) or INTS (type 7, field 8). */
function attribute(name: string, value: Attributes[string]): Uint8Array {
  if (typeof value === "number" && !Number.isInteger(value))
    return message(
      ...field(1, text(name)),
      key(2, 5),
      new Uint8Array(Float32Array.of(value).buffer),
      key(20, 0),
      1,
    );
  return typeof value === "number"
    ? message(...field(1, text(name)), key(3, 0), value, key(20, 0), 2)
    : message(...field(1, text(name)), ...value.flatMap((v) => [key(8, 0), v]), key(20, 0), 7);
}

/**
 * TensorProto: dims (1), data_type (2; 1 is float, 7 is int64), name (8), raw_data (9, little
 * endian).
 */
const tensor = (name: string, dims: readonly number[], type: number, raw: Uint8Array): Uint8Array =>
  message(
    ...dims.flatMap((d) => [key(1, 0), d]),
    key(2, 0),
    type,
    ...field(8, text(name)),
    ...field(9, raw),
  );

const floatTensor = (name: string, dims: readonly number[], data: Float32Array): Uint8Array =>
  tensor(name, dims, 1, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));

const int64Tensor = (name: string, values: readonly number[]): Uint8Array =>
  tensor(name, [values.length], 7, new Uint8Array(BigInt64Array.from(values, BigInt).buffer));

/**
 * ValueInfoProto of a float tensor: name, and type → tensor_type → (elem_type, shape → dim →
 * dim_value).
 */
function valueInfo(name: string, dims: readonly number[]): Uint8Array {
  const shape = message(...dims.flatMap((d) => field(1, message(key(1, 0), d))));
  return message(
    ...field(1, text(name)),
    ...field(2, message(...field(1, message(key(1, 0), 1, ...field(2, shape))))),
  );
}

const text = (s: string): Uint8Array => new TextEncoder().encode(s);
const key = (id: number, wire: number): number => id * 8 + wire;
/** A length-delimited field. */
const field = (id: number, bytes: Uint8Array): Part[] => [key(id, 2), bytes.length, bytes];

/** Joins bytes and numbers, the latter as varints. */
function message(...parts: (Part | Part[])[]): Uint8Array {
  const pieces = parts.flat().map((part) => (typeof part === "number" ? varint(part) : part));
  const joined = new Uint8Array(pieces.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    bytes.push(rest < 128 ? rest : 128 + (rest % 128));
    if (rest < 128) return Uint8Array.from(bytes);
  }
}
