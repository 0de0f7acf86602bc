// The pretrained weights of the page, and their file format. A parameter with two or more axes is
// stored in 8 bits, with one scale for each output (its first axis); all others as float32. Names
// and shapes are those of the model.

import { initialize, traceModel, type Model, type State } from "@conv/layers";
import { fileError, message, sizeOf } from "@conv/tensor";
import { fetched } from "../failure.ts";
import shipped from "./shipped.json" with { type: "json" };

/** Facts about one file of pretrained weights. */
export interface Shipped {
  readonly file: string;
  /** Its SHA-256, in the form that fetch() checks. */
  readonly integrity: string;
  /** Accuracy on the test digits of this page. */
  readonly accuracy: number;
  readonly testCount: number;
  /** Epochs over the training digits. */
  readonly epochs: number;
  readonly trainCount: number;
}

const LIST: Readonly<Record<string, Shipped>> = shipped;
const LEVELS = 127;

/** The pretrained weights of a model; null where there are none. */
export const shippedOf = (model: string): Shipped | null =>
  Object.hasOwn(LIST, model) ? LIST[model] : null;

interface Plan {
  readonly name: string;
  readonly shape: readonly number[];
  readonly size: number;
  /** Outputs, each with a scale; 0 where it is stored as float32. */
  readonly rows: number;
}

const planOf = (model: Model): Plan[] =>
  traceModel(model).entries.map(({ name, kind, spec: { shape } }) => ({
    name,
    shape,
    size: sizeOf(shape),
    rows: kind === "parameter" && shape.length > 1 ? shape[0] : 0,
  }));

const bytesOf = ({ rows, size }: Plan): number => (rows ? rows * 4 + size : size * 4);

/** Weights as bytes. */
export function packWeights(model: Model, state: State): Uint8Array {
  const plan = planOf(model);
  const bytes = new Uint8Array(plan.reduce((sum, p) => sum + bytesOf(p), 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  const float = (value: number) => (view.setFloat32(at, value, true), (at += 4));
  for (const { name, size, rows } of plan) {
    const data = state.get(name)?.data;
    if (data?.length !== size)
      throw new Error(`weights: ${name} has ${data?.length ?? "no"} values, not ${size}`);
    const row = size / (rows || 1);
    const scales = Array.from({ length: rows }, (_, r) =>
      data.slice(r * row, (r + 1) * row).reduce((most, v) => Math.max(most, Math.abs(v)), 0),
    );
    if (rows === 0) data.forEach(float);
    scales.forEach((most) => float(most / LEVELS));
    if (rows)
      data.forEach((v, i) =>
        view.setInt8(at++, Math.round((v / (scales[Math.floor(i / row)] || 1)) * LEVELS)),
      );
  }
  return bytes;
}

/** Weights from bytes. Throws FileError where their number is wrong. */
export function unpackWeights(model: Model, bytes: Uint8Array): State {
  const plan = planOf(model);
  const wanted = plan.reduce((sum, p) => sum + bytesOf(p), 0);
  if (bytes.length !== wanted)
    throw fileError(
      shippedOf(model.name)?.file ?? model.name,
      "wrong-size",
      message`${{ bytes: bytes.length }} bytes, but the weights of ${{ model: model.name }} take ${{ expected: wanted }}`,
    );
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  let at = 0;
  const float = () => view.getFloat32((at += 4) - 4, true);
  return new Map(
    plan.map(({ name, shape, size, rows }) => {
      if (rows === 0) return [name, { shape, data: Float32Array.from({ length: size }, float) }];
      const scales = Array.from({ length: rows }, float);
      const data = Float32Array.from(
        { length: size },
        (_, i) => view.getInt8(at++) * scales[Math.floor((i * rows) / size)],
      );
      return [name, { shape, data }];
    }),
  );
}

/** Initial weights: pretrained or random. */
export type Beginning =
  | { readonly from: "shipped" }
  | { readonly from: "random"; readonly seed: number };

/**
 * The initial weights; pretrained ones are fetched from `folder`. Throws where they cannot be
 * loaded.
 */
export async function beginningOf(
  model: Model,
  beginning: Beginning,
  folder: string,
): Promise<State> {
  if (beginning.from === "random") return initialize(model, beginning.seed);
  const known = shippedOf(model.name);
  if (!known) throw new Error(`weights: there are no pretrained weights of ${model.name}`);
  return unpackWeights(model, await fetched(known.file, folder, known.integrity));
}
