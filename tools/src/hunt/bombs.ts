// Files that are small on the disk and would take much memory or time, and the command that is asked to read each. All must be refused.

import { open, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32, createGzip, deflateSync, gzipSync } from "node:zlib";

export interface Bomb {
  readonly name: string;
  readonly make: (folder: string) => Promise<void>;
  readonly args: readonly string[];
}

/** A safetensors file with this text as its header. */
function headed(text: string, length = text.length): Uint8Array {
  const bytes = new Uint8Array(8 + text.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(new TextEncoder().encode(text), 8);
  return bytes;
}

const model = (name: string, bytes: () => Uint8Array): Bomb => ({
  name,
  make: (folder) => writeFile(join(folder, "m.safetensors"), bytes()),
  args: ["predict", "m.safetensors", "x.png"],
});

const idx = (shape: readonly number[]): Uint8Array => {
  const head = new DataView(new ArrayBuffer(4 + 4 * shape.length));
  head.setUint32(0, 0x800 + shape.length);
  shape.forEach((size, axis) => head.setUint32(4 + 4 * axis, size));
  return new Uint8Array(head.buffer);
};

/** A gzip file of this beginning and so many zeros, written piece by piece. */
async function zeros(file: string, head: Uint8Array, bytes: number): Promise<void> {
  const handle = await open(file, "w");
  const gzip = createGzip({ level: 1 });
  const written = (async () => {
    for await (const part of gzip) await handle.write(part);
  })();
  gzip.write(head);
  const piece = new Uint8Array(2 ** 24);
  for (let left = bytes; left > 0; left -= piece.length)
    if (!gzip.write(left < piece.length ? piece.subarray(0, left) : piece)) await new Promise((resolve) => gzip.once("drain", resolve));
  gzip.end();
  await written;
  await handle.close();
}

/** Four IDX files of which the first unfolds to so many zeros after its header. */
const digits = (name: string, shape: readonly number[], bytes: number, count = shape[0]): Bomb => ({
  name,
  async make(folder) {
    const labels = gzipSync(Buffer.concat([idx([count]), new Uint8Array(Math.min(count, 1e6))]));
    await zeros(join(folder, "train-images-idx3-ubyte.gz"), idx(shape), bytes);
    await writeFile(join(folder, "train-labels-idx1-ubyte.gz"), labels);
    await writeFile(join(folder, "t10k-images-idx3-ubyte.gz"), gzipSync(Buffer.concat([idx([1, 28, 28]), new Uint8Array(784)])));
    await writeFile(join(folder, "t10k-labels-idx1-ubyte.gz"), gzipSync(Buffer.concat([idx([1]), new Uint8Array(1)])));
  },
  args: ["train", "lenet5", "--data", "."],
});

/** A PNG that says this size and holds as many zeros as deflate makes of little. */
function png(width: number, height: number, bytes: number): Uint8Array {
  const chunk = (type: string, data: Uint8Array) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const frame = Buffer.alloc(8 + body.length);
    frame.writeUInt32BE(data.length, 0);
    body.copy(frame, 4);
    frame.writeUInt32BE(crc32(body), 4 + body.length);
    return frame;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 6, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]);
  return Buffer.concat([signature, chunk("IHDR", head), chunk("IDAT", deflateSync(new Uint8Array(bytes))), chunk("IEND", new Uint8Array(0))]);
}

const picture = (name: string, make: (file: string) => Promise<void>): Bomb => ({
  name,
  async make(folder) {
    const { encodeSafetensors, initialise } = await import("@conv/layers");
    const { lenet5 } = await import("@conv/layers/models");
    await writeFile(join(folder, "m.safetensors"), encodeSafetensors(initialise(lenet5()), { model: "lenet5" }));
    await make(join(folder, "x.png"));
  },
  args: ["predict", "m.safetensors", "x.png"],
});

// The suite tries the first four.
export const bombs: readonly Bomb[] = [
  model("a header nested to its end", () => headed(`{"a":${"[".repeat(2 ** 24 - 5)}`)),
  digits("2 GB of zeros behind ten images", [10, 28, 28], 2e9),
  model("a header of 95 MB", () => headed("[".repeat(95_000_000))),
  model("a header of empty objects", () => headed(`{${Array.from({ length: 1_500_000 }, (_, i) => `"${i}":{}`).join()}}`)),
  model("a name of 15 MB", () => headed(`{"${"n".repeat(15e6)}":{}}`)),
  model("20 MB of metadata", () => headed(`{"__metadata__":{"a":"${"x".repeat(20e6)}"}}`)),
  {
    ...model("a sparse file", () => new Uint8Array(0)),
    make: (folder) => writeFile(join(folder, "m.safetensors"), "").then(() => truncate(join(folder, "m.safetensors"), 2 ** 30)),
  },
  digits("1 GB of 8 GB of zeros that the header says", [10_204_081, 28, 28], 1e9),
  digits("sizes whose product is beyond all numbers", [2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], 1000),
  digits("a header that says more than there is", [1_000_000, 28, 28], 1000),
  picture("a picture of 100,000 by 100,000", (file) => writeFile(file, png(100_000, 100_000, 1e8))),
  picture("a picture of 2³¹ by 2³¹", (file) => writeFile(file, png(2 ** 31 - 1, 2 ** 31 - 1, 1000))),
  picture("a sparse picture", (file) => writeFile(file, png(20, 20, 1680)).then(() => truncate(file, 2 ** 33))),
];
