// Applying an op: to values it adds a node to the graph, to tensors it runs a graph of one node,
// compiled once and cached.

import type { Backend, Program } from "./backend.ts";
import { createCache, eagerPrograms, type Cache, type Compiled } from "./cache.ts";
import { kindOf, message, shapeError, stateError, unsupported } from "./errors.ts";
import { node, trace } from "./graph.ts";
import { keyOfOp } from "./identity.ts";
import { Value, type Op } from "./op.ts";
import { optimize } from "./optimize.ts";
import { formatShape, type Spec } from "./spec.ts";
import { dispose, Tensor } from "./tensor.ts";

/** What an op takes: values while tracing, tensors when run at once. One call may not mix them. */
export type Arg = Tensor | Value;

/**
 * Runs the program of that key, made if it is not in the cache. When it fails, nothing that it made
 * is left.
 */
function run<C extends Compiled>(
  cache: Cache<C>,
  key: string,
  make: () => C,
  backend: Backend,
  inputs: readonly Tensor[],
): [Tensor[], C] {
  const from = inputs.map((t) => t.buffer);
  const made: Tensor[] = [];
  let fresh = false;
  try {
    const compiled = cache.get(key, () => {
      fresh = true;
      return make();
    });
    for (const s of compiled.outputs) made.push(new Tensor(backend, s));
    compiled.program.run(
      from,
      made.map((t) => t.buffer),
    );
    return [made, compiled];
  } catch (error) {
    for (const t of made) t.dispose();
    if (fresh) cache.drop(key);
    throw error;
  }
}

function oneBackend(name: string, inputs: readonly Tensor[]): Backend {
  const { backend } = inputs[0];
  if (inputs.some((t) => t.backend !== backend))
    throw unsupported(
      name,
      "backends-differ",
      message`inputs live on different back ends (${{ backends: inputs.map((t) => t.backend.name).join(", ") }})`,
    );
  return backend;
}

const specKey = (specs: readonly Spec[]) =>
  specs.map((s) => `${s.dtype}${formatShape(s.shape)}`).join(",");

/** Applies an op to at least one input and returns its outputs. */
export function apply<P, T extends Arg>(op: Op<P>, params: P, inputs: readonly T[]): T[] {
  if (inputs.every((x) => x instanceof Value)) return [...node(op, params, inputs)] as T[];
  if (!inputs.every((x) => x instanceof Tensor)) {
    const strange = inputs.findIndex((x) => !(x instanceof Tensor || x instanceof Value));
    if (strange < 0)
      throw shapeError(
        op.name,
        "tensors-and-values",
        message`tensors and traced values are mixed; make the tensor an input of the traced function`,
      );
    throw shapeError(
      op.name,
      "input-kind",
      message`input ${{ input: strange }} is ${{ got: kindOf(inputs[strange]) }}, must be a tensor or a traced value`,
    );
  }
  const specs = inputs.map((t) => t.spec);
  const backend = oneBackend(op.name, inputs);
  const make = () => {
    const graph = trace((...xs) => node(op, params, xs), specs);
    return { program: backend.compile(graph), outputs: graph.outputs.map((v) => v.spec) };
  };
  return run(
    eagerPrograms(backend),
    `${keyOfOp(op, params)} ${specKey(specs)}`,
    make,
    backend,
    inputs,
  )[0] as T[];
}

/** What comes of values that are returned: as many tensors. */
export type Results<R> = R extends readonly Value[] ? { -readonly [K in keyof R]: Tensor } : Tensor;

/**
 * A traced function made callable on tensors. `dispose` frees its programs; those of a function
 * that is dropped are freed by the collector.
 */
export interface Jitted<R> extends Disposable {
  (...inputs: Tensor[]): R;
  dispose(): void;
}

// programs of one function on one back end, which hold memory for all that lies between their steps
const JITTED = 32;

interface JitCompiled extends Compiled {
  readonly single: boolean;
  /** In the set of those that the function made. */
  readonly ref: WeakRef<Program>;
}

// Back ends hold their programs, and programs their back end. What is held here for a function must
// keep neither it nor them alive.
type Made = Set<WeakRef<Program>>;
const end = (made: Made) => made.forEach((ref) => ref.deref()?.dispose());
/**
 * Made here, out of the sight of the tensors of a call: what a cache can reach lives as long as its
 * back end.
 */
const createJitCache = (made: Made): Cache<JitCompiled> =>
  createCache(JITTED, ({ program, ref }) => {
    made.delete(ref);
    program.dispose();
  });
const dropped = new FinalizationRegistry<Made>(end);

/**
 * Turns a function of values into one of tensors: traced and compiled as one program at the first
 * call with new shapes, cached after: for each back end the 32 programs used last. The function
 * must be pure: it is called once for each list of specs.
 */
export function jit<const R extends Value | readonly Value[]>(
  fn: (...inputs: Value[]) => R,
): Jitted<Results<R>> {
  const made: Made = new Set();
  const miscount = (got: number) =>
    shapeError(
      "jit",
      "input-count",
      message`the function takes ${{ takes: fn.length || "at least 1" }} tensors, got ${{ got }}`,
    );
  let caches: WeakMap<Backend, Cache<JitCompiled>> | null = new WeakMap();
  const call = (...inputs: Tensor[]) => {
    if (!caches) throw stateError("jit", "disposed", message`used after dispose`);
    const strange = inputs.findIndex((x) => !(x instanceof Tensor));
    if (strange >= 0)
      throw shapeError(
        "jit",
        "input-kind",
        message`input ${{ input: strange }} is ${{ got: kindOf(inputs[strange]) }}, must be a tensor; for values call the function itself`,
      );
    if (inputs.length < Math.max(1, fn.length)) throw miscount(inputs.length);
    const backend = oneBackend("jit", inputs);
    const cache = caches.get(backend) ?? createJitCache(made);
    caches.set(backend, cache);
    const specs = inputs.map((t) => t.spec);
    const make = (): JitCompiled => {
      let single = false;
      const graph = optimize(
        trace((...xs) => {
          const result = fn(...xs);
          single = result instanceof Value;
          return result;
        }, specs),
      );
      // A rest parameter is not counted, but used.
      const used = new Set([...graph.nodes.flatMap((n) => n.inputs), ...graph.outputs]);
      if (
        fn.length &&
        inputs.length > fn.length &&
        !graph.inputs.slice(fn.length).some((v) => used.has(v))
      )
        throw miscount(inputs.length);
      const program = backend.compile(graph);
      const ref = new WeakRef(program);
      made.add(ref);
      return { program, ref, single, outputs: graph.outputs.map((v) => v.spec) };
    };
    const [outputs, { single }] = run(cache, specKey(specs), make, backend, inputs);
    return (single ? outputs[0] : outputs) as Results<R>; // one where `fn` returned one, which the compiler does not follow
  };
  const finish = () => {
    caches = null;
    end(made);
  };
  const jitted = Object.assign(call, { dispose: finish, [dispose]: finish });
  dropped.register(jitted, made);
  return jitted;
}
