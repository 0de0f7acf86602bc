// A folder of IDX files, the format of MNIST and Fashion-MNIST: images and labels for training and
// for validation. The headers are read first, the elements once the four files fit together, and no
// more of them than the headers say, however much a .gz file would unpack to.

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { createGunzip } from "node:zlib";
import { IDX_HEADER, readIdxHeader, type IdxHeader, type Model } from "@conv/layers";
import { about, codeOf, UserError } from "./errors.ts";
import { mustTake } from "./samples.ts";

const FILES = [
  "train-images-idx3-ubyte",
  "train-labels-idx1-ubyte",
  "t10k-images-idx3-ubyte",
  "t10k-labels-idx1-ubyte",
] as const;
const LARGEST = 2 ** 31 - 1; // bytes of one file, unpacked

interface Found extends IdxHeader {
  readonly file: string;
}

/** The file, gzipped or not, and its header. */
async function find(folder: string, name: string): Promise<Found> {
  const plain = join(folder, name);
  const packed = await stat(`${plain}.gz`).then(
    () => true,
    (error: unknown) =>
      codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR"
        ? false
        : about(`${plain}.gz`, () => Promise.reject(error)),
  );
  const file = packed ? `${plain}.gz` : plain;
  return about(file, async () => {
    const header = readIdxHeader(await unpacked(file, IDX_HEADER));
    if (header.size > LARGEST)
      throw new UserError(`its header says ${header.size} bytes, the limit is ${LARGEST}`);
    return { ...header, file };
  });
}

/** At most so many bytes from the start of a file, which is unpacked while it is read. */
async function unpacked(file: string, most: number): Promise<Uint8Array> {
  const there = await stat(file);
  if (!there.isFile())
    throw new UserError(there.isDirectory() ? "is a folder" : "is not a regular file");
  const raw = createReadStream(file);
  const stream = file.endsWith(".gz") ? raw.pipe(createGunzip()) : raw;
  raw.on("error", (error) => stream.destroy(error));
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const part of stream) {
      parts.push(part.subarray(0, most - length));
      length += parts.at(-1)!.length;
      if (length >= most) break;
    }
  } finally {
    raw.destroy();
    stream.destroy();
  }
  return Buffer.concat(parts, length);
}

/** The elements. One more byte is read, to detect a file that is too long. */
const elements = ({ file, shape, start, size }: Found): Promise<Uint8Array> =>
  about(file, async () => {
    const bytes = await unpacked(file, size + 1);
    if (bytes.length !== size)
      throw new UserError(
        `its header says ${shape.join("×")} elements, but the file has ` +
          `${bytes.length > size ? "more" : bytes.length - start}`,
      );
    return bytes.subarray(start);
  });

/**
 * Gray images of one size, the training set before the validation set, and their labels. Throws
 * UserError where the files do not fit together, or not the model.
 */
export async function loadIdx(folder: string, model: Model) {
  const found: Found[] = []; // in this order: the first missing one is named
  for (const name of FILES) found.push(await find(folder, name));
  const [trainX, trainY, testX, testY] = found;
  for (const [images, labels] of [
    [trainX, trainY],
    [testX, testY],
  ]) {
    if (
      images.shape.length !== 3 ||
      labels.shape.length !== 1 ||
      images.shape[0] !== labels.shape[0]
    )
      throw new UserError(
        `${images.file.replace(/\.gz$/, "")}: ${images.shape.join("×")} images, but ` +
          `${labels.shape.join("×")} labels`,
      );
    if (images.size === images.start)
      throw new UserError(
        `${images.file}: holds no images; its shape is ${images.shape.join("×")}`,
      );
  }
  const [count, height, width] = trainX.shape;
  if (testX.shape[1] !== height || testX.shape[2] !== width)
    throw new UserError(
      `${folder}: training images are ${height}×${width}, validation images ` +
        `${testX.shape[1]}×${testX.shape[2]}`,
    );
  await about(folder, () => mustTake(model, [height, width]));
  const labels = Buffer.concat([await labelsOf(trainY, model), await labelsOf(testY, model)]);
  const images = Buffer.concat([await elements(trainX), await elements(testX)]);
  const indices = (from: number, length: number) =>
    Uint32Array.from({ length }, (_, i) => from + i);
  return {
    images,
    labels,
    size: [height, width] as const,
    train: indices(0, count),
    test: indices(count, testX.shape[0]),
  };
}

async function labelsOf(found: Found, { name, classes = 256 }: Model): Promise<Uint8Array> {
  const labels = await elements(found);
  const bad = labels.findIndex((label) => label >= classes);
  if (bad >= 0)
    throw new UserError(
      `${found.file}: label ${labels[bad]} of image ${bad + 1}; ` +
        `${name} has classes 0 to ${classes - 1}`,
    );
  return labels;
}
