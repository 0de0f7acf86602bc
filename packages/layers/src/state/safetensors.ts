// Safetensors, the file format of weights: eight bytes of header length, a JSON header, raw
// little-endian numbers (github.com/huggingface/safetensors). Decoding trusts nothing: a hostile
// file ends in an error, never in a wrong tensor.

import {
  formatShape,
  kindOf,
  message,
  printable,
  ShapeError,
  shapeError,
  unsupported,
} from "@conv/tensor";
import type { Saved, State } from "./state.ts";

// Limits of a header, so that a small or false file can't take much memory or time: 100,000 tensors
// with long names fit.
const HEADER_LIMIT = 2 ** 24; // bytes
const DEPTH = 3; // an object of tensors, each an object with lists
const KEYS = 400_000; // names of tensors and of what is said of them, all together
const NAME = 1024; // characters of one of them
const AXES = 64; // values of a list

/** What a file holds. */
export interface Decoded {
  readonly state: State;
  readonly metadata: Record<string, string>;
}

/**
 * Tensors, in the order of the map, and texts as the bytes of a safetensors file. Any float32 is
 * written, NaN and infinities too: `mustBeFinite` refuses them where the tensors are weights, as
 * checkpoints do. Throws ShapeError for what could not be read again.
 */
export function encodeSafetensors(
  state: State,
  metadata?: Readonly<Record<string, string>>,
): Uint8Array {
  let offset = 0;
  const entries: [string, unknown][] = metadata ? [["__metadata__", metadata]] : [];
  for (const [name, { shape, data }] of state) {
    if (name === "__metadata__") throw fault("a tensor may not be named __metadata__");
    if (kindOf(data) !== "Float32Array")
      throw fault(`${shown(name)} has data of kind ${kindOf(data)}, must be Float32Array`);
    if (data.length !== countOf(shown(name), shape))
      throw fault(`${shown(name)} has ${data.length} values for shape ${formatShape(shape)}`);
    entries.push([
      name,
      { dtype: "F32", shape, data_offsets: [offset, (offset += data.length * 4)] },
    ]);
  }
  const text = JSON.stringify(Object.fromEntries(entries));
  const json = new TextEncoder().encode(text);
  const start = 8 + Math.ceil(json.length / 8) * 8;
  if (start - 8 > HEADER_LIMIT)
    throw fault(`the header takes ${start - 8} bytes, the limit is ${HEADER_LIMIT}`);
  const bytes = new Uint8Array(start + offset).fill(0x20, 8, start);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(start - 8), true);
  bytes.set(json, 8);
  readHeader(bytes, bytes.length);
  let at = start;
  for (const { data } of state.values())
    for (const value of data) {
      view.setFloat32(at, value, true);
      at += 4;
    }
  return bytes;
}

/**
 * Reads the bytes of a safetensors file. Throws ShapeError, saying what is wrong, unless the header
 * is sound and the tensors fill the data without gap, overlap or remainder; UnsupportedError for
 * element types other than F32 and I64 (as PyTorch's num_batches_tracked; read as float32), or a
 * whole number that float32 can't hold.
 */
export function decodeSafetensors(bytes: Uint8Array): Decoded {
  const { metadata, tensors, end } = readHeader(bytes, bytes.length);
  const data = new DataView(bytes.buffer, bytes.byteOffset + end, bytes.length - end);
  const state: State = new Map();
  for (const tensor of tensors)
    state.set(tensor.name, {
      shape: tensor.shape,
      data: (tensor.dtype === "F32" ? floats : wholes)(data, tensor),
    });
  return { state, metadata };
}

/**
 * Bytes of the header with its length, of a file that begins with these bytes and has this size.
 */
export function headerSize(bytes: Uint8Array, size: number): number {
  if (size < 8 || bytes.length < 8)
    throw fault(`the file has ${size} bytes, the header's length alone takes 8`);
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (length > HEADER_LIMIT)
    throw fault(
      `this is not a safetensors file: its header would take ${length} bytes, the limit is ${HEADER_LIMIT}`,
    );
  const end = 8 + Number(length);
  if (end > size)
    throw fault(
      `the header takes ${length} bytes, the file has ${size - 8} after its length; it is truncated`,
    );
  return end;
}

/**
 * What the header says, checked against the size of the file; `end` is where the data begin. The
 * bytes may end there.
 */
export function readHeader(
  bytes: Uint8Array,
  size: number,
): {
  readonly metadata: Decoded["metadata"];
  readonly tensors: readonly Described[];
  readonly end: number;
} {
  const end = headerSize(bytes, size);
  const length = size - end;
  let metadata: Record<string, string> = {};
  const tensors: Described[] = [];
  for (const [name, value] of Object.entries(parse(bytes.subarray(8, end)))) {
    if (name === "__metadata__") metadata = texts(value);
    else tensors.push(described(name, value));
  }
  // In the order of the data, each tensor must begin where the one before ended; empty ones come
  // first at equal offsets.
  let at = 0;
  for (const { name, begin, end: stop } of tensors.toSorted(
    (a, b) => a.begin - b.begin || a.end - b.end,
  )) {
    if (begin < at)
      throw fault(`${shown(name)} begins at ${begin}, inside the tensor that ends at ${at}`);
    if (begin > at)
      throw fault(`bytes ${at} to ${begin} before ${shown(name)} belong to no tensor`);
    if (stop > length)
      throw fault(`${shown(name)} ends at byte ${stop} of the data, the file has ${length}`);
    at = stop;
  }
  if (at < length) throw fault(`${length - at} bytes after the last tensor belong to no tensor`);
  return { metadata, tensors, end };
}

const fault = (rule: string) => shapeError("safetensors", rule);
const shown = (name: string) => printable(name, 80);

function parse(bytes: Uint8Array): Record<string, unknown> {
  let header: unknown;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    scan(text);
    header = JSON.parse(text);
    if (text[0] !== "{") header = null;
  } catch (error) {
    if (error instanceof ShapeError) throw error;
    throw fault("the header is no valid JSON");
  }
  if (!isObject(header)) throw fault("the header is no JSON object");
  return header;
}

/**
 * Holds a text that may be JSON to the limits, before JSON.parse takes memory for it. A key that
 * comes twice is refused too: JSON.parse keeps the last, other readers may keep the first. Throws
 * SyntaxError for some texts that are no JSON.
 */
function scan(json: string): void {
  // the keys of each open object, the values of each open list
  const open: (Set<string> | number)[] = [];
  let count = 0;
  for (let i = 0; i < json.length; i++) {
    const c = json[i];
    const inside = open.at(-1);
    if (c === "{" || c === "[") {
      if (open.push(c === "{" ? new Set() : 1) > DEPTH)
        throw fault(`the header is nested deeper than ${DEPTH} levels`);
    } else if (c === "}" || c === "]") open.pop();
    else if (c === "," && typeof inside === "number") {
      if (inside >= AXES) throw fault(`the header has a list of more than ${AXES} values`);
      open[open.length - 1] = inside + 1;
    } else if (c === '"') {
      const begin = i++;
      while (i < json.length && json[i] !== '"') i += json[i] === "\\" ? 2 : 1;
      let next = i + 1;
      while (next < json.length && " \t\n\r".includes(json[next])) next++;
      if (json[next] !== ":" || typeof inside !== "object") continue;
      const text = json.slice(begin, i + 1);
      if (text.length > 6 * NAME + 2)
        throw fault(`the header has a name of more than ${NAME} characters`);
      const key: string = text.includes("\\") ? JSON.parse(text) : text.slice(1, -1);
      if (key.length > NAME)
        throw fault(`the header has a name of ${key.length} characters, the limit is ${NAME}`);
      if (inside.has(key)) throw fault(`the header has the key "${shown(key)}" twice`);
      if (++count > KEYS) throw fault(`the header has more than ${KEYS} names`);
      inside.add(key);
    }
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0 && !Object.is(value, -0);

function texts(value: unknown): Record<string, string> {
  if (!isObject(value)) throw fault("__metadata__ is no object of texts");
  return Object.fromEntries(
    Object.entries(value).map(([key, text]) => {
      if (typeof text !== "string")
        throw fault(`__metadata__ has a value for "${shown(key)}" that is no text`);
      return [key, text];
    }),
  );
}

interface Described {
  readonly name: string;
  readonly dtype: "F32" | "I64";
  readonly shape: number[];
  readonly begin: number;
  readonly end: number;
}

function described(name: string, value: unknown): Described {
  const who = shown(name);
  if (!isObject(value)) throw fault(`${who} is not described by an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string") throw fault(`${who} has no dtype`);
  if (dtype !== "F32" && dtype !== "I64")
    throw unsupported(
      "safetensors",
      "dtype-unsupported",
      message`${{ tensor: who }} has dtype ${{ dtype: printable(dtype, 16) }}; only F32 and I64 can be read`,
    );
  if (!Array.isArray(shape) || !shape.every(isCount))
    throw fault(`${who} has a shape that is no list of whole numbers ≥ 0`);
  if (
    !Array.isArray(offsets) ||
    offsets.length !== 2 ||
    !offsets.every(isCount) ||
    offsets[0] > offsets[1]
  )
    throw fault(`${who} has data_offsets that are no two ascending whole numbers ≥ 0`);
  const [begin, end] = offsets;
  const bytes = (dtype === "F32" ? 4 : 8) * countOf(who, shape);
  if (end - begin !== bytes)
    throw fault(
      `${who} of shape ${formatShape(shape)} takes ${bytes} bytes, its data_offsets span ${end - begin}`,
    );
  return { name, dtype, shape, begin, end };
}

function countOf(who: string, shape: readonly number[]): number {
  const count = shape.reduce((a, b) => a * b, 1);
  if (!Number.isSafeInteger(count * 8))
    throw fault(`${who} of shape ${formatShape(shape)} is too large`);
  return count;
}

function floats(data: DataView, { begin, end }: Described): Saved["data"] {
  const values = new Float32Array((end - begin) / 4);
  for (let i = 0; i < values.length; i++) values[i] = data.getFloat32(begin + 4 * i, true);
  return values;
}

/** Whole numbers that float32 can hold. */
function wholes(data: DataView, { name, begin, end }: Described): Saved["data"] {
  const values = new Float32Array((end - begin) / 8);
  for (let i = 0; i < values.length; i++) {
    const value = data.getBigInt64(begin + 8 * i, true);
    values[i] = Number(value);
    if (BigInt(values[i]) !== value)
      throw unsupported(
        "safetensors",
        "not-exact",
        message`${{ tensor: shown(name) }} holds ${{ value: `${value}` }}, which float32 cannot`,
      );
  }
  return values;
}
