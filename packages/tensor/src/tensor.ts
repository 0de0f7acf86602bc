// A tensor that exists: a buffer of a back end with a spec. Freed by `using`, by the scope it was made in, or by the collector.

import type { Backend, Buffer } from "./backend.ts";
import { shapeError } from "./errors.ts";
import { bytesOf, formatShape, sizeOf, spec as makeSpec, type DType, type Spec } from "./spec.ts";

/** `Symbol.dispose`, also where the engine has none yet (`using` compiled for older engines looks for the same symbol). */
export const dispose: typeof Symbol.dispose = Symbol.dispose ?? (Symbol.for("Symbol.dispose") as typeof Symbol.dispose);

const scopes: Set<Tensor>[] = [];
const collected = new FinalizationRegistry<{ backend: Backend; buffer: Buffer }>(({ backend, buffer }) => backend.free(buffer));

/** Values on a device. Contiguous, channels first. */
export class Tensor implements Disposable {
  readonly backend: Backend;
  readonly spec: Spec;
  #buffer: Buffer | null;

  /** Takes the buffer over: it is freed with the tensor. Use {@link tensor} to make one from numbers. */
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
    if (!this.#buffer) throw new Error(`tensor: used after dispose (shape ${formatShape(this.shape)})`);
    return this.#buffer;
  }

  /** Copies the values to the host: Float32Array or Int32Array by dtype, in the order of the shape. */
  async read(): Promise<Float32Array | Int32Array> {
    const bytes = await this.backend.read(this.buffer);
    return this.dtype === "int32" ? new Int32Array(bytes) : new Float32Array(bytes);
  }

  /** Replaces all values; throws ShapeError unless there are exactly as many. */
  write(values: ArrayLike<number>): void {
    this.backend.write(this.buffer, pack("write", values, this.spec));
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

/** Puts numbers on a device. `shape` defaults to one axis. Throws ShapeError unless `values` holds as many as the shape. */
export function tensor(backend: Backend, values: ArrayLike<number>, shape: readonly number[] = [values.length], dtype: DType = "float32"): Tensor {
  const s = makeSpec(shape, dtype);
  const data = pack("tensor", values, s);
  const made = new Tensor(backend, s);
  backend.write(made.buffer, data);
  return made;
}

function pack(op: string, values: ArrayLike<number>, s: Spec): Float32Array | Int32Array {
  if (values.length !== sizeOf(s.shape))
    throw shapeError(op, `${values.length} values do not fill shape ${formatShape(s.shape)}, which holds ${sizeOf(s.shape)}`);
  if (s.dtype === "int32") return values instanceof Int32Array ? values : Int32Array.from(values);
  return values instanceof Float32Array ? values : Float32Array.from(values);
}

/**
 * Runs `fn` and frees every tensor made inside that it does not return (alone, in an array or as a property of an object).
 * `fn` must not be async: a tensor made after an `await` belongs to no scope.
 */
export function scope<R>(fn: () => R): R {
  const made = new Set<Tensor>();
  scopes.push(made);
  let kept: Set<unknown> = new Set();
  try {
    const result = fn();
    if (result instanceof Promise) throw new TypeError("scope: the function is async; free its tensors with `using`");
    kept = new Set(typeof result === "object" && result !== null ? [result, ...Object.values(result)] : []);
    return result;
  } finally {
    scopes.pop();
    for (const t of made) {
      if (kept.has(t)) scopes.at(-1)?.add(t);
      else t.dispose();
    }
  }
}
