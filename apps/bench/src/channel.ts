// Messages between the bench and the process of a competitor: JSON followed by raw arrays, over one
// duplex pipe (descriptor 3). A frame is: bytes of the header (uint32, little endian), the header
// in UTF-8, then the arrays whose sizes the header lists.

import type { Task } from "./task.ts";

/** A request of the bench to a competitor. */
export type Request =
  | { readonly ask: "prepare"; readonly task: Task } // with the operands behind it
  | { readonly ask: "run"; readonly minMs: number; readonly minCalls: number }
  | { readonly ask: "clock" }
  | { readonly ask: "read" };

/**
 * `hello` is sent once, without a request. `times` and `result` carry one array: milliseconds in
 * float64, values in float32.
 */
export type Reply =
  | { readonly say: "hello"; readonly version: string }
  | { readonly say: "ready"; readonly kernels?: readonly string[]; readonly startMs?: number }
  | { readonly say: "declined"; readonly reason: string }
  | { readonly say: "clock"; readonly deviceMs: number | null }
  | { readonly say: "times" }
  | { readonly say: "result" };

export interface Message<H> {
  readonly header: H;
  readonly arrays: readonly ArrayBuffer[];
}

export function encode(
  header: Request | Reply,
  arrays: readonly ArrayBufferView[] = [],
): Uint8Array {
  const text = new TextEncoder().encode(
    JSON.stringify({ ...header, sizes: arrays.map((a) => a.byteLength) }),
  );
  const frame = new Uint8Array(4 + text.length + arrays.reduce((sum, a) => sum + a.byteLength, 0));
  new DataView(frame.buffer).setUint32(0, text.length, true);
  frame.set(text, 4);
  let at = 4 + text.length;
  for (const a of arrays) {
    frame.set(new Uint8Array(a.buffer, a.byteOffset, a.byteLength), at);
    at += a.byteLength;
  }
  return frame;
}

/** The messages of a stream, in order; ends with the stream. */
export async function* messages<H>(
  stream: AsyncIterable<Uint8Array>,
): AsyncGenerator<Message<H>, void> {
  const take = reader(stream);
  for (;;) {
    const prefix = await take(4);
    if (!prefix) return;
    const text = await take(new DataView(prefix).getUint32(0, true));
    if (!text) return;
    const { sizes, ...header }: { sizes: number[] } = JSON.parse(new TextDecoder().decode(text));
    const arrays: ArrayBuffer[] = [];
    for (const size of sizes) {
      const bytes = await take(size);
      if (!bytes) return;
      arrays.push(bytes);
    }
    yield { header: header as H, arrays };
  }
}

/** Exactly so many bytes of a stream, or null at its end. */
function reader(stream: AsyncIterable<Uint8Array>): (bytes: number) => Promise<ArrayBuffer | null> {
  const chunks = stream[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array(0);
  return async (bytes) => {
    const whole = new Uint8Array(bytes);
    let filled = 0;
    while (filled < bytes) {
      if (rest.length === 0) {
        const { value, done } = await chunks.next();
        if (done) return null;
        rest = value;
      }
      const part = rest.subarray(0, bytes - filled);
      whole.set(part, filled);
      filled += part.length;
      rest = rest.subarray(part.length);
    }
    return whole.buffer;
  };
}
