// Safetensors, a file format for weights: eight bytes with the length of the header, a JSON header,
// and little-endian data (github.com/huggingface/safetensors). Decoding checks everything: a
// malformed file gives an error, never a wrong tensor.

import {
  FileError,
  fileError,
  formatShape,
  kindOf,
  message,
  printable,
  unsupported,
  type Message,
} from "@conv/tensor";
import type { Saved, State } from "./state.ts";

// Limits of a header, so that a malicious file cannot take more memory or time than its data need.
// Files of 100,000 tensors with long names are within them.
const HEADER_LIMIT = 2 ** 24; // bytes
const DEPTH = 3; // nesting: an object of tensors, each an object with lists
const KEYS = 400_000; // names of tensors and of their attributes
const NAME = 1024; // characters of a name
const AXES = 64; // values in a list

/** The content of a file. */
export interface Decoded {
  readonly state: State;
  readonly metadata: Record<string, string>;
}

/**
 * Encodes tensors, in the order of the map, and metadata strings as a safetensors file. NaN and
 * infinities are written as they are; use `mustBeFinite` to refuse them, as checkpoints do. Throws
 * FileError if data do not fit their shapes, or the file would exceed a limit of
 * `decodeSafetensors`.
 */
export function encodeSafetensors(
  state: State,
  metadata?: Readonly<Record<string, string>>,
): Uint8Array {
  let offset = 0;
  const entries: [string, unknown][] = metadata ? [["__metadata__", metadata]] : [];
  for (const [name, { shape, data }] of state) {
    if (name === "__metadata__")
      throw fault(
        "tensor-name",
        message`a tensor has the name __metadata__, which the format reserves; rename it`,
      );
    if (kindOf(data) !== "Float32Array")
      throw fault(
        "data-kind",
        message`${{ tensor: shown(name) }} has data of kind ${{ kind: kindOf(data) }}, must be Float32Array`,
      );
    if (data.length !== countOf(shown(name), shape))
      throw fault(
        "data-length",
        message`${{ tensor: shown(name) }} has ${{ values: data.length }} values for shape ${{ shape: formatShape(shape) }}`,
      );
    entries.push([
      name,
      { dtype: "F32", shape, data_offsets: [offset, (offset += data.length * 4)] },
    ]);
  }
  const text = JSON.stringify(Object.fromEntries(entries));
  const json = new TextEncoder().encode(text);
  const start = 8 + Math.ceil(json.length / 8) * 8;
  if (start - 8 > HEADER_LIMIT)
    throw fault(
      "header-limit",
      message`the header takes ${{ bytes: start - 8 }} bytes, the limit is ${{ limit: HEADER_LIMIT }}`,
    );
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
 * Decodes a safetensors file. Element types are F32, and I64 (PyTorch's num_batches_tracked), which
 * is converted to float32. Throws FileError unless the header is valid and the tensors fill the
 * data without gap, overlap or remainder. Throws UnsupportedError for other element types, and for
 * an integer that float32 cannot represent exactly.
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
 * Size in bytes of the header with its length field, from the first 8 bytes of a file of `size`
 * bytes.
 */
export function headerSize(bytes: Uint8Array, size: number): number {
  if (size < 8 || bytes.length < 8)
    throw fault(
      "not-safetensors",
      message`not a safetensors file: it has ${{ bytes: size }} bytes, fewer than the 8 of the header length`,
    );
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (length > HEADER_LIMIT)
    throw fault(
      "not-safetensors",
      message`not a safetensors file: its header would take ${{ header: `${length}` }} bytes, the limit is ${{ limit: HEADER_LIMIT }}`,
    );
  const end = 8 + Number(length);
  if (end > size)
    throw fault(
      "truncated",
      message`the header takes ${{ header: Number(length) }} bytes, but ${{ bytes: size - 8 }} follow its length; the file is truncated`,
    );
  return end;
}

/**
 * Reads the header and checks it against the size of the file. `bytes` may end after the header;
 * the data begin at byte `end`.
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
  // Sorted by offset, each tensor must begin where the previous one ends. At equal offsets empty
  // tensors come first.
  let at = 0;
  for (const { name, begin, end: stop } of tensors.toSorted(
    (a, b) => a.begin - b.begin || a.end - b.end,
  )) {
    if (begin < at)
      throw fault(
        "overlap",
        message`${{ tensor: shown(name) }} begins at byte ${{ begin }}, inside the tensor that ends at ${{ end: at }}`,
      );
    if (begin > at)
      throw fault(
        "gap",
        message`bytes ${{ begin: at }} to ${{ end: begin }} before ${{ tensor: shown(name) }} belong to no tensor`,
      );
    if (stop > length)
      throw fault(
        "truncated",
        message`${{ tensor: shown(name) }} ends at byte ${{ end: stop }} of the data, the file has ${{ bytes: length }}; it is truncated`,
      );
    at = stop;
  }
  if (at < length)
    throw fault(
      "remainder",
      message`${{ bytes: length - at }} bytes after the last tensor belong to no tensor`,
    );
  return { metadata, tensors, end };
}

const fault = (code: string, rule: Message) => fileError("safetensors", code, rule);
const shown = (name: string) => printable(name, 80);

function parse(bytes: Uint8Array): Record<string, unknown> {
  let header: unknown;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    scan(text);
    header = JSON.parse(text);
    if (text[0] !== "{") header = null;
  } catch (error) {
    if (error instanceof FileError) throw error;
    throw fault("not-json", message`not a safetensors file: the header is not valid JSON`);
  }
  if (!isObject(header))
    throw fault("not-json", message`not a safetensors file: the header is not a JSON object`);
  return header;
}

/**
 * Checks a JSON text against the limits before JSON.parse allocates memory for it. A key that
 * occurs twice is refused too, because JSON.parse keeps the last one, and other readers may keep
 * the first. Throws SyntaxError for some texts that are not JSON.
 */
function scan(json: string): void {
  // For each open object its keys, for each open list the number of its values.
  const open: (Set<string> | number)[] = [];
  let count = 0;
  for (let i = 0; i < json.length; i++) {
    const c = json[i];
    const inside = open.at(-1);
    if (c === "{" || c === "[") {
      if (open.push(c === "{" ? new Set() : 1) > DEPTH)
        throw fault(
          "too-deep",
          message`the header is nested deeper than ${{ limit: DEPTH }} levels`,
        );
    } else if (c === "}" || c === "]") open.pop();
    else if (c === "," && typeof inside === "number") {
      if (inside >= AXES)
        throw fault(
          "long-list",
          message`the header has a list of more than ${{ limit: AXES }} values`,
        );
      open[open.length - 1] = inside + 1;
    } else if (c === '"') {
      const begin = i++;
      while (i < json.length && json[i] !== '"') i += json[i] === "\\" ? 2 : 1;
      let next = i + 1;
      while (next < json.length && " \t\n\r".includes(json[next])) next++;
      if (json[next] !== ":" || typeof inside !== "object") continue;
      const text = json.slice(begin, i + 1);
      if (text.length > 6 * NAME + 2)
        throw fault(
          "long-name",
          message`the header has a name of more than ${{ limit: NAME }} characters`,
        );
      const key: string = text.includes("\\") ? JSON.parse(text) : text.slice(1, -1);
      if (key.length > NAME)
        throw fault(
          "long-name",
          message`the header has a name of ${{ length: key.length }} characters, the limit is ${{ limit: NAME }}`,
        );
      if (inside.has(key))
        throw fault(
          "same-key",
          message`the header has the key ${{ key: `"${shown(key)}"` }} twice`,
        );
      if (++count > KEYS)
        throw fault("many-names", message`the header has more than ${{ limit: KEYS }} names`);
      inside.add(key);
    }
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0 && !Object.is(value, -0);

function texts(value: unknown): Record<string, string> {
  if (!isObject(value)) throw fault("metadata", message`__metadata__ is not an object of strings`);
  return Object.fromEntries(
    Object.entries(value).map(([key, text]) => {
      if (typeof text !== "string")
        throw fault(
          "metadata",
          message`__metadata__ has a value for ${{ key: `"${shown(key)}"` }} that is not a string`,
        );
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
  if (!isObject(value))
    throw fault(
      "description",
      message`${{ tensor: who }} has a description that is not a JSON object`,
    );
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string") throw fault("dtype", message`${{ tensor: who }} has no dtype`);
  if (dtype !== "F32" && dtype !== "I64")
    throw unsupported(
      "safetensors",
      "dtype-unsupported",
      message`${{ tensor: who }} has dtype ${{ dtype: printable(dtype, 16) }}; only F32 and I64 can be read`,
    );
  if (!Array.isArray(shape) || !shape.every(isCount))
    throw fault(
      "shape",
      message`${{ tensor: who }} has a shape that is not a list of whole numbers ≥ 0`,
    );
  if (
    !Array.isArray(offsets) ||
    offsets.length !== 2 ||
    !offsets.every(isCount) ||
    offsets[0] > offsets[1]
  )
    throw fault(
      "offsets",
      message`${{ tensor: who }} has data_offsets that are not two ascending whole numbers ≥ 0`,
    );
  const [begin, end] = offsets;
  const bytes = (dtype === "F32" ? 4 : 8) * countOf(who, shape);
  if (end - begin !== bytes)
    throw fault(
      "offsets",
      message`${{ tensor: who }} of shape ${{ shape: formatShape(shape) }} takes ${{ bytes }} bytes, its data_offsets span ${{ span: end - begin }}`,
    );
  return { name, dtype, shape, begin, end };
}

function countOf(who: string, shape: readonly number[]): number {
  const count = shape.reduce((a, b) => a * b, 1);
  if (!Number.isSafeInteger(count * 8))
    throw fault(
      "too-large",
      message`${{ tensor: who }} of shape ${{ shape: formatShape(shape) }} is too large`,
    );
  return count;
}

function floats(data: DataView, { begin, end }: Described): Saved["data"] {
  const values = new Float32Array((end - begin) / 4);
  for (let i = 0; i < values.length; i++) values[i] = data.getFloat32(begin + 4 * i, true);
  return values;
}

/** Reads I64 as float32. Throws UnsupportedError for a number that float32 cannot represent. */
function wholes(data: DataView, { name, begin, end }: Described): Saved["data"] {
  const values = new Float32Array((end - begin) / 8);
  for (let i = 0; i < values.length; i++) {
    const value = data.getBigInt64(begin + 8 * i, true);
    values[i] = Number(value);
    if (BigInt(values[i]) !== value)
      throw unsupported(
        "safetensors",
        "not-exact",
        message`${{ tensor: shown(name) }} contains ${{ value: `${value}` }}, which float32 cannot represent exactly`,
      );
  }
  return values;
}
