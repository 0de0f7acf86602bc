// What the tests of whole networks share: networks by the names of the goldens, and the weights and
// images that these were made with.

import { sizeOf } from "@conv/tensor";
import { traceModel, type Model, type State } from "../src/index.ts";
import {
  deeplabV3Resnet50,
  fcnResnet50,
  googlenet,
  inceptionV3,
  models,
} from "../src/models/index.ts";

const variants: Readonly<Record<string, () => Model>> = {
  "googlenet with heads": () => googlenet({ auxiliary: true }),
  "inceptionV3 without its head": () => inceptionV3({ auxiliary: false }),
  "fcnResnet50 with its head": () => fcnResnet50({ auxiliary: true }),
  "deeplabV3Resnet50 with its head": () => deeplabV3Resnet50({ auxiliary: true }),
};
/** The network, or variant of one, that a golden names. */
export const make = (name: string): Model => (variants[name] ?? models[name])();

/** As `scramble` in the script that made the goldens: numbers in [0, 1) by name and position. */
export function scramble(name: string, count: number, scale = 1, shift = 0): Float32Array {
  let key = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) key = Math.imul(key ^ byte, 0x01000193);
  const numbers = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const x = Math.imul(i + 1, 0x9e3779b1) ^ key;
    numbers[i] = ((Math.imul(x ^ (x >>> 15), 0x85ebca6b) >>> 8) / 2 ** 24) * scale + shift;
  }
  return numbers;
}

/** The weights of the goldens. */
export function weightsOf(model: Model): State {
  const values = (name: string, shape: readonly number[]): Float32Array => {
    const count = sizeOf(shape);
    if (name.endsWith("num_batches_tracked")) return new Float32Array(1);
    const bound = Math.sqrt(6 / sizeOf(shape.slice(1)));
    if (shape.length > 1) return scramble(name, count, 2 * bound, -bound);
    return /(weight|running_var)$/.test(name)
      ? scramble(name, count, 1, 0.5)
      : scramble(name, count, 0.4, -0.2);
  };
  return new Map(
    traceModel(model).entries.map(({ name, spec: { shape } }) => [
      name,
      { shape, data: values(name, shape) },
    ]),
  );
}
