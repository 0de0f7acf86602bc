// A tensor: a buffer of a back end with a spec. It is freed by `using`, by the scope in which it was
// made, or by the garbage collector.

import type { Backend, Buffer } from "./backend.ts";
import { infoOf, type DType, type Elements } from "./dtypes.ts";
import { elementsOf } from "./elements.ts";
import { message, stateError } from "./errors.ts";
import { bytesOf, formatShape, sizeOf, spec as makeSpec, type Spec } from "./spec.ts";

/**
 * `Symbol.dispose`, also where the engine has none yet (`using` compiled for older engines looks
 * for the same symbol).
 */
export const dispose: typeof Symbol.dispose =
  Symbol.dispose ?? (Symbol.for("Symbol.dispose") as typeof Symbol.dispose);

const scopes: Set<Tensor>[] = [];
const collected = new FinalizationRegistry<{ backend: Backend; buffer: Buffer }>(
  ({ backend, buffer }) => backend.free(buffer),
);

/** Buffers of these sizes in bytes. Where one does not fit, none is left. */
export function allocate(backend: Backend, sizes: readonly number[]): Buffer[] {
  const made: Buffer[] = [];
  try {
    for (const bytes of sizes) made.push(backend.alloc(bytes));
    return made;
  } catch (error) {
    for (const buffer of made) backend.free(buffer);
    throw error;
  }
}

/** Values on a device. Contiguous, channels first. */
export class Tensor implements Disposable {
  readonly backend: Backend;
  readonly spec: Spec;
  #buffer: Buffer | null;

  /**
   * Takes the buffer over: it is freed with the tensor. Use {@link tensor} to make one from
   * numbers.
   */
  constructor(backend: Backend, spec: Spec, buffer: Buffer = backend.alloc(bytesOf(spec))) {
    this.backend = backend;
    this.spec = spec;
    this.#buffer = buffer;
    collected.register(this, { backend, buffer }, this);
    scopes.at(-1)?.add(this);
  }

  get shape(): readonly number[] {
    return this.spec.shape;
  }

  get dtype(): DType {
    return this.spec.dtype;
  }

  /** The device memory; throws once disposed. */
  get buffer(): Buffer {
    if (!this.#buffer)
      throw stateError(
        "tensor",
        "disposed",
        message`used after dispose (shape ${{ shape: formatShape(this.shape) }})`,
      );
    return this.#buffer;
  }

  /**
   * Copies the values to the host, in the order of the shape: Float32Array, Int32Array, Uint8Array
   * or Int8Array by dtype; for float16 and bfloat16 a Uint16Array of their bits.
   */
  async read(): Promise<Elements> {
    const bytes = await this.backend.read(this.buffer);
    return new (infoOf(this.dtype).Array)(bytes, 0, sizeOf(this.shape));
  }

  /** Replaces all values; throws ShapeError unless there are exactly as many. */
  write(values: ArrayLike<number>): void {
    this.backend.write(this.buffer, elementsOf("write", values, this.spec));
  }

  dispose(): void {
    if (!this.#buffer) return;
    collected.unregister(this);
    for (const scope of scopes) scope.delete(this);
    this.backend.free(this.#buffer);
    this.#buffer = null;
  }

  [dispose](): void {
    this.dispose();
  }
}

/**
 * Puts numbers on a device. `shape` defaults to one axis. Floating-point types round the numbers; a
 * Uint16Array holds the bits of float16 or bfloat16. Throws ShapeError unless `values` holds exactly
 * as many numbers as the shape, and integer types can hold each.
 */
export function tensor(
  backend: Backend,
  values: ArrayLike<number>,
  shape?: readonly number[],
  dtype: DType = "float32",
): Tensor {
  const s = makeSpec(shape ?? [values?.length ?? 0], dtype);
  const data = elementsOf("tensor", values, s);
  const made = new Tensor(backend, s);
  try {
    backend.write(made.buffer, data);
  } catch (error) {
    made.dispose();
    throw error;
  }
  return made;
}

/**
 * Runs `fn` and frees every tensor made inside that it does not return, alone or anywhere inside
 * lists, objects, maps and sets. `fn` must not be async: a tensor made after an `await` belongs to
 * no scope.
 */
export function scope<R>(fn: () => R): R {
  const made = new Set<Tensor>();
  scopes.push(made);
  const kept = new Set<unknown>();
  try {
    const result = fn();
    if (typeof (result as PromiseLike<unknown> | null | undefined)?.then === "function")
      throw new TypeError("scope: the function is async; free its tensors with `using`");
    if (made.size) find(result, kept);
    return result;
  } finally {
    scopes.pop();
    for (const t of made) {
      if (kept.has(t)) scopes.at(-1)?.add(t);
      else t.dispose();
    }
  }
}

/** Adds all objects that can be reached from one to a set; getters are not called. */
function find(from: unknown, found: Set<unknown>): void {
  const stack = [from];
  while (stack.length) {
    const x = stack.pop();
    if (typeof x !== "object" || x === null || found.has(x)) continue;
    found.add(x);
    if (x instanceof Tensor || ArrayBuffer.isView(x)) continue;
    if (x instanceof Map || x instanceof Set) stack.push(...x.values());
    else
      for (const { value } of Object.values(Object.getOwnPropertyDescriptors(x))) stack.push(value);
  }
}
