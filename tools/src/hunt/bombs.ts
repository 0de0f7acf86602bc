// Files that are small on disk but would need much memory or time, with the command that reads
// each. Every one must be refused.

import { truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { constants, crc32, deflateRawSync, deflateSync, gzipSync } from "node:zlib";

export interface Bomb {
  readonly name: string;
  readonly make: (folder: string) => Promise<void>;
  readonly args: readonly string[];
}

/** A safetensors file with this ASCII text as its header. */
function headed(text: string | Uint8Array): Uint8Array {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, typeof text === "string" ? Buffer.from(text, "latin1") : text]);
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

/** Writes a gzip file that holds `head` followed by `bytes` zeros. */
async function zeros(file: string, head: Uint8Array, bytes: number): Promise<void> {
  const piece = new Uint8Array(2 ** 24);
  const rest = new Uint8Array(bytes % piece.length);
  // After a full flush the compressor has no history, so a piece compresses to the same bytes
  // anywhere: it is compressed once and written many times.
  const pack = (data: Uint8Array) =>
    deflateRawSync(data, { level: 1, finishFlush: constants.Z_FULL_FLUSH });
  const packed = pack(piece);
  const pieces = Math.floor(bytes / piece.length);
  let sum = crc32(head);
  for (let i = 0; i < pieces; i++) sum = crc32(piece, sum);
  const end = Buffer.alloc(8);
  end.writeUInt32LE(crc32(rest, sum));
  end.writeUInt32LE((head.length + bytes) % 2 ** 32, 4);
  const start = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255);
  await writeFile(file, [
    start,
    pack(head),
    ...Array.from({ length: pieces }, () => packed),
    pack(rest),
    deflateRawSync(""),
    end,
  ]);
}

/** Four IDX files. The first decompresses to its header and `bytes` zeros. */
const digits = (name: string, shape: readonly number[], bytes: number, count = shape[0]): Bomb => ({
  name,
  async make(folder) {
    const labels = gzipSync(Buffer.concat([idx([count]), new Uint8Array(Math.min(count, 1e6))]));
    await zeros(join(folder, "train-images-idx3-ubyte.gz"), idx(shape), bytes);
    await writeFile(join(folder, "train-labels-idx1-ubyte.gz"), labels);
    await writeFile(
      join(folder, "t10k-images-idx3-ubyte.gz"),
      gzipSync(Buffer.concat([idx([1, 28, 28]), new Uint8Array(784)])),
    );
    await writeFile(
      join(folder, "t10k-labels-idx1-ubyte.gz"),
      gzipSync(Buffer.concat([idx([1]), new Uint8Array(1)])),
    );
  },
  args: ["train", "lenet5", "--data", "."],
});

/** A PNG whose header states this size, and whose data decompress to `bytes` zeros. */
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
  return Buffer.concat([
    signature,
    chunk("IHDR", head),
    chunk("IDAT", deflateSync(new Uint8Array(bytes))),
    chunk("IEND", new Uint8Array(0)),
  ]);
}

const picture = (name: string, make: (file: string) => Promise<void>): Bomb => ({
  name,
  async make(folder) {
    const { encodeSafetensors, initialize } = await import("@conv/layers");
    const { lenet5 } = await import("@conv/layers/models");
    await writeFile(
      join(folder, "m.safetensors"),
      encodeSafetensors(initialize(lenet5()), { model: "lenet5" }),
    );
    await make(join(folder, "x.png"));
  },
  args: ["predict", "m.safetensors", "x.png"],
});

// The test suite tries the first four.
export const bombs: readonly Bomb[] = [
  model("a header nested to its end", () => headed(`{"a":${"[".repeat(2 ** 24 - 5)}`)),
  digits("2 GB of zeros after ten images", [10, 28, 28], 2e9),
  model("a header of 95 MB", () => headed(Buffer.alloc(95_000_000, "["))),
  model("a header of empty objects", () =>
    headed(`{${Array.from({ length: 500_000 }, (_, i) => `"${i}":{}`).join()}}`),
  ),
  model("a name of 15 MB", () => headed(`{"${"n".repeat(15e6)}":{}}`)),
  model("20 MB of metadata", () => headed(`{"__metadata__":{"a":"${"x".repeat(20e6)}"}}`)),
  {
    ...model("a sparse file", () => new Uint8Array(0)),
    make: (folder) =>
      writeFile(join(folder, "m.safetensors"), "").then(() =>
        truncate(join(folder, "m.safetensors"), 2 ** 30),
      ),
  },
  digits("1 GB of zeros where the header states 8 GB", [10_204_081, 28, 28], 1e9),
  digits("sizes whose product overflows", [2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], 1000),
  digits("a header that states more data than the file has", [1_000_000, 28, 28], 1000),
  picture("a picture of 100,000 by 100,000", (file) => writeFile(file, png(100_000, 100_000, 1e8))),
  picture("a picture of 2³¹ by 2³¹", (file) =>
    writeFile(file, png(2 ** 31 - 1, 2 ** 31 - 1, 1000)),
  ),
  picture("a sparse picture", (file) =>
    writeFile(file, png(20, 20, 1680)).then(() => truncate(file, 2 ** 33)),
  ),
];
