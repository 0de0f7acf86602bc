// Safetensors, the file format of weights: eight bytes of header length, a JSON header, raw little-endian numbers
// (github.com/huggingface/safetensors). Decoding trusts nothing: a hostile file ends in an error, never in a wrong tensor.

import { formatShape, shapeError, unsupported } from "@conv/tensor";
import type { Saved, State } from "./state.ts";

const HEADER_LIMIT = 100_000_000; // the reference implementation's

/** What a file holds. */
export interface Decoded {
  readonly state: State;
  readonly metadata: Record<string, string>;
}

/** Tensors, in the order of the map, and texts as the bytes of a safetensors file. */
export function encodeSafetensors(state: State, metadata?: Readonly<Record<string, string>>): Uint8Array {
  let offset = 0;
  const entries: [string, unknown][] = metadata ? [["__metadata__", metadata]] : [];
  for (const [name, { shape, data }] of state) {
    if (name === "__metadata__") throw shapeError("safetensors", "a tensor may not be named __metadata__");
    if (data.length !== countOf(name, shape)) throw shapeError("safetensors", `${name} has ${data.length} values for shape ${formatShape(shape)}`);
    entries.push([name, { dtype: "F32", shape, data_offsets: [offset, (offset += data.length * 4)] }]);
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const start = 8 + Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(start + offset).fill(0x20, 8, start);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(start - 8), true);
  bytes.set(json, 8);
  let at = start;
  for (const { data } of state.values())
    for (const value of data) {
      view.setFloat32(at, value, true);
      at += 4;
    }
  return bytes;
}

/**
 * Reads the bytes of a safetensors file. Throws ShapeError, saying what is wrong, unless the header is sound and the tensors
 * fill the data without gap, overlap or remainder; UnsupportedError for element types other
 * than F32 and I64 (as PyTorch's num_batches_tracked; read as float32), or a whole number that float32 can't hold.
 */
export function decodeSafetensors(bytes: Uint8Array): Decoded {
  const { header, data } = split(bytes);
  let metadata: Record<string, string> = {};
  const found: (Described & { readonly name: string })[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") metadata = texts(value);
    else found.push({ name, ...described(name, value) });
  }
  // In the order of the data, each tensor must begin where the one before ended; empty ones come first at equal offsets.
  let at = 0;
  for (const { name, begin, end } of found.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin < at) throw shapeError("safetensors", `${name} begins at ${begin}, inside the tensor that ends at ${at}`);
    if (begin > at) throw shapeError("safetensors", `bytes ${at} to ${begin} before ${name} belong to no tensor`);
    if (end > data.byteLength) throw shapeError("safetensors", `${name} ends at byte ${end} of the data, the file has ${data.byteLength}`);
    at = end;
  }
  if (at < data.byteLength) throw shapeError("safetensors", `${data.byteLength - at} bytes after the last tensor belong to no tensor`);
  const state: State = new Map();
  for (const tensor of found) state.set(tensor.name, { shape: tensor.shape, data: (tensor.dtype === "F32" ? floats : wholes)(data, tensor) });
  return { state, metadata };
}

function split(bytes: Uint8Array): { header: Record<string, unknown>; data: DataView } {
  if (bytes.length < 8) throw shapeError("safetensors", `the file has ${bytes.length} bytes, the header's length alone takes 8`);
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (length > HEADER_LIMIT)
    throw shapeError("safetensors", `the header says it takes ${length} bytes, the limit is ${HEADER_LIMIT}; this is no safetensors file`);
  const end = 8 + Number(length);
  if (end > bytes.length)
    throw shapeError("safetensors", `the header takes ${length} bytes, the file has ${bytes.length - 8} after its length; it is truncated`);
  return { header: parse(bytes.subarray(8, end)), data: new DataView(bytes.buffer, bytes.byteOffset + end, bytes.length - end) };
}

function parse(bytes: Uint8Array): Record<string, unknown> {
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    header = JSON.parse(text);
  } catch {
    throw shapeError("safetensors", "the header is no valid JSON");
  }
  if (!isObject(header) || !text.startsWith("{")) throw shapeError("safetensors", "the header is no JSON object");
  refuseDuplicates(text);
  return header;
}

/** JSON.parse keeps the last of equal keys, and other readers may keep the first: a file that says two things is refused. */
function refuseDuplicates(json: string): void {
  const open: (Set<string> | null)[] = []; // keys of each open object, null for a list
  for (let i = 0; i < json.length; i++) {
    const c = json[i];
    if (c === "{") open.push(new Set());
    else if (c === "[") open.push(null);
    else if (c === "}" || c === "]") open.pop();
    else if (c === '"') {
      const begin = i++;
      while (json[i] !== '"') i += json[i] === "\\" ? 2 : 1;
      let next = i + 1;
      while (" \t\n\r".includes(json[next])) next++;
      if (json[next] !== ":") continue;
      const key: string = JSON.parse(json.slice(begin, i + 1));
      const keys = open.at(-1);
      if (keys?.has(key)) throw shapeError("safetensors", `the header has the key ${JSON.stringify(key)} twice`);
      keys?.add(key);
    }
  }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

function texts(value: unknown): Record<string, string> {
  if (!isObject(value)) throw shapeError("safetensors", "__metadata__ is no object of texts");
  return Object.fromEntries(
    Object.entries(value).map(([key, text]) => {
      if (typeof text !== "string") throw shapeError("safetensors", `__metadata__ has a value for ${JSON.stringify(key)} that is no text`);
      return [key, text];
    }),
  );
}

interface Described {
  readonly dtype: "F32" | "I64";
  readonly shape: number[];
  readonly begin: number;
  readonly end: number;
}

function described(name: string, value: unknown): Described {
  if (!isObject(value)) throw shapeError("safetensors", `${name} is not described by an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string") throw shapeError("safetensors", `${name} has no dtype`);
  if (dtype !== "F32" && dtype !== "I64") throw unsupported("safetensors", `${name} has dtype ${dtype}; only F32 and I64 can be read`);
  if (!Array.isArray(shape) || !shape.every(isCount)) throw shapeError("safetensors", `${name} has a shape that is no list of whole numbers ≥ 0`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount) || offsets[0] > offsets[1])
    throw shapeError("safetensors", `${name} has data_offsets that are no two ascending whole numbers ≥ 0`);
  const [begin, end] = offsets;
  const bytes = (dtype === "F32" ? 4 : 8) * countOf(name, shape);
  if (end - begin !== bytes)
    throw shapeError("safetensors", `${name} of shape ${formatShape(shape)} takes ${bytes} bytes, its data_offsets span ${end - begin}`);
  return { dtype, shape, begin, end };
}

function countOf(name: string, shape: readonly number[]): number {
  const count = shape.reduce((a, b) => a * b, 1);
  if (!Number.isSafeInteger(count * 4)) throw shapeError("safetensors", `${name} of shape ${formatShape(shape)} is too large`);
  return count;
}

function floats(data: DataView, { begin, end }: Described): Saved["data"] {
  const values = new Float32Array((end - begin) / 4);
  for (let i = 0; i < values.length; i++) values[i] = data.getFloat32(begin + 4 * i, true);
  return values;
}

/** Whole numbers that float32 can hold. */
function wholes(data: DataView, { name, begin, end }: Described & { readonly name: string }): Saved["data"] {
  const values = new Float32Array((end - begin) / 8);
  for (let i = 0; i < values.length; i++) {
    const value = data.getBigInt64(begin + 8 * i, true);
    values[i] = Number(value);
    if (BigInt(values[i]) !== value) throw unsupported("safetensors", `${name} holds ${value}, which float32 can't`);
  }
  return values;
}
