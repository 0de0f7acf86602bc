// A folder of IDX files as MNIST and Fashion-MNIST come: images and labels to train on, and to test with.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { decodeIdx, type Idx } from "@conv/layers";
import { about, UserError } from "./errors.ts";

const FILES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"] as const;

/** One file, gzipped or not. */
async function read(folder: string, name: string): Promise<Idx> {
  const file = join(folder, name);
  const bytes = await readFile(`${file}.gz`).then(
    (packed) => about(`${file}.gz`, () => gunzipSync(packed)),
    () => about(file, () => readFile(file)),
  );
  return about(file, () => decodeIdx(bytes));
}

/** Gray images of one size, those to train on before those to test with, and their labels. Throws UserError. */
export async function loadIdx(folder: string) {
  const [trainX, trainY, testX, testY] = await Promise.all(FILES.map((name) => read(folder, name)));
  for (const [images, labels, i] of [
    [trainX, trainY, 0],
    [testX, testY, 2],
  ] as const)
    if (images.shape.length !== 3 || labels.shape.length !== 1 || images.shape[0] !== labels.shape[0])
      throw new UserError(`${join(folder, FILES[i])}: ${images.shape.join("×")} images do not go with ${labels.shape.join("×")} labels`);
  const [count, height, width] = trainX.shape;
  if (testX.shape[1] !== height || testX.shape[2] !== width)
    throw new UserError(`${folder}: images to train on are ${height}×${width}, those to test with ${testX.shape[1]}×${testX.shape[2]}`);
  const indices = (from: number, length: number) => Uint32Array.from({ length }, (_, i) => from + i);
  return {
    images: Buffer.concat([trainX.data, testX.data]),
    labels: Buffer.concat([trainY.data, testY.data]),
    size: [height, width] as const,
    train: indices(0, count),
    test: indices(count, testX.shape[0]),
  };
}
