// A file of weights from the reader: the weights of this network, or the reason why it is refused.

import { decodeSafetensors, type State, type TracedModel } from "@conv/layers";
import { sameShape, UnsupportedError } from "@conv/tensor";
import { failureOf } from "../failure.ts";
import type { Refusal } from "./protocol.ts";

const OPTIMIZER = "optimizer/"; // tensors of a checkpoint that do not belong to the network

/** The weights in a file, as float32. */
export function readWeights({ entries }: TracedModel, bytes: Uint8Array): State | Refusal {
  if (!looksRight(bytes)) return { kind: "notSafetensors" };
  let state: State;
  try {
    ({ state } = decodeSafetensors(bytes));
  } catch (error) {
    return error instanceof UnsupportedError
      ? { kind: "unsupported", failure: failureOf(error) }
      : { kind: "damaged" };
  }
  const wanted = new Map(entries.map((e) => [e.name, e.spec.shape]));
  const missing = entries
    .filter(({ name, spec: { shape } }) => !sameShape(state.get(name)?.shape ?? [-1], shape))
    .map((e) => e.name);
  const others = [...state.keys()].filter(
    (name) => !wanted.has(name) && !name.startsWith(OPTIMIZER),
  );
  const [first] = missing.length ? missing : others;
  if (first !== undefined)
    return { kind: "otherNetwork", missing: first, more: (missing.length || others.length) - 1 };
  const own = entries.map(({ name }) => [name, state.get(name)!] as const);
  const broken = own.find(([, { data }]) => !data.every(Number.isFinite));
  return broken ? { kind: "notFinite", name: broken[0] } : new Map(own);
}

/**
 * Whether the bytes start like a safetensors file: with the length of a header that starts with a
 * brace.
 */
function looksRight(bytes: Uint8Array): boolean {
  if (bytes.length < 9) return false;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  return length > 1n && length < 100_000_000n && bytes[8] === 0x7b;
}
