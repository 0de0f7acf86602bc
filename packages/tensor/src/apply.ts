// Applying an op: to values it adds a node to the graph, to tensors it runs a graph of one node, compiled once and cached.

import type { Backend, Program } from "./backend.ts";
import { shapeError, unsupported } from "./errors.ts";
import { node, trace, Value } from "./graph.ts";
import type { Op } from "./op.ts";
import { optimise } from "./optimise.ts";
import { formatShape, type Spec } from "./spec.ts";
import { Tensor } from "./tensor.ts";

/** What an op takes: values while tracing, tensors when run at once. One call may not mix them. */
export type Arg = Tensor | Value;

const CACHED_PROGRAMS = 256; // an eager program is a few kilobytes; the oldest goes first

interface Compiled {
  readonly program: Program;
  readonly outputs: readonly Spec[];
}
const caches = new WeakMap<Backend, Map<string, Compiled>>();

function cached(backend: Backend, key: string, make: () => Compiled): Compiled {
  let cache = caches.get(backend);
  if (!cache) caches.set(backend, (cache = new Map()));
  let entry = cache.get(key);
  if (entry) cache.delete(key);
  else {
    entry = make();
    if (cache.size >= CACHED_PROGRAMS) {
      const [oldest, { program }] = cache.entries().next().value!;
      cache.delete(oldest);
      program.dispose();
    }
  }
  cache.set(key, entry);
  return entry;
}

function run({ program, outputs }: Compiled, backend: Backend, inputs: readonly Tensor[]): Tensor[] {
  const made = outputs.map((s) => new Tensor(backend, s));
  program.run(
    inputs.map((t) => t.buffer),
    made.map((t) => t.buffer),
  );
  return made;
}

function oneBackend(name: string, inputs: readonly Tensor[]): Backend {
  const { backend } = inputs[0];
  if (inputs.some((t) => t.backend !== backend))
    throw unsupported(name, `inputs live on different back ends (${inputs.map((t) => t.backend.name).join(", ")})`);
  return backend;
}

const specKey = (specs: readonly Spec[]) => specs.map((s) => `${s.dtype}${formatShape(s.shape)}`).join(",");

/** Applies an op to at least one input and returns its outputs. */
export function apply<P, T extends Arg>(op: Op<P>, params: P, inputs: readonly T[]): T[] {
  if (inputs.every((x) => x instanceof Value)) return [...node(op, params, inputs)] as T[];
  if (!inputs.every((x) => x instanceof Tensor))
    throw shapeError(op.name, "tensors and traced values are mixed; make the tensor an input of the traced function");
  const specs = inputs.map((t) => t.spec);
  const backend = oneBackend(op.name, inputs);
  const compiled = cached(backend, `${op.name} ${JSON.stringify(params)} ${specKey(specs)}`, () => {
    const graph = trace((...xs) => node(op, params, xs), specs);
    return { program: backend.compile(graph), outputs: graph.outputs.map((v) => v.spec) };
  });
  return run(compiled, backend, inputs) as T[];
}

/** A traced function made callable on tensors. */
export type Jitted<R> = (...inputs: Tensor[]) => R;

/**
 * Turns a function of values into one of tensors: traced and compiled as one program at the first call with new shapes, cached after.
 * The function must be pure: it is called once for each list of specs.
 */
export function jit(fn: (...inputs: Value[]) => Value): Jitted<Tensor>;
export function jit(fn: (...inputs: Value[]) => readonly Value[]): Jitted<Tensor[]>;
export function jit(fn: (...inputs: Value[]) => Value | readonly Value[]): Jitted<Tensor | Tensor[]> {
  const programs = new WeakMap<Backend, Map<string, Compiled & { single: boolean }>>();
  return (...inputs) => {
    const backend = oneBackend("jit", inputs);
    let known = programs.get(backend);
    if (!known) programs.set(backend, (known = new Map()));
    const specs = inputs.map((t) => t.spec);
    const key = specKey(specs);
    let compiled = known.get(key);
    if (!compiled) {
      let single = false;
      const graph = optimise(
        trace((...xs) => {
          const result = fn(...xs);
          single = result instanceof Value;
          return result;
        }, specs),
      );
      known.set(key, (compiled = { program: backend.compile(graph), outputs: graph.outputs.map((v) => v.spec), single }));
    }
    const outputs = run(compiled, backend, inputs);
    return compiled.single ? outputs[0] : outputs;
  };
}
