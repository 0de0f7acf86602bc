// What all back ends share: their state, the buffers and programs that are theirs, and the counts
// of both. `manageBackend` makes a back end of a driver, and checks every call before the driver
// sees it.

import type { Backend, Buffer, Program } from "./backend.ts";
import { forgetEager } from "./cache.ts";
import { rangeError } from "./errors.ts";
import type { Graph } from "./graph.ts";
import { bytesOf, formatShape } from "./spec.ts";
import { dispose } from "./tensor.ts";

/**
 * The work of one kind of device. Its methods are called only while the back end runs, with live
 * buffers that it made and sizes that fit; `free` and the `dispose` of its programs are called once
 * each, also after a failure, but not after `close`.
 */
export interface Driver<B extends Buffer, P extends Program, O> {
  /** Throws RangeError where there is no room. */
  alloc(bytes: number): B;
  free(buffer: B): void;
  write(buffer: B, data: Uint8Array): void;
  read(buffer: B): Promise<ArrayBuffer>;
  /** The program's `run` and `dispose` are replaced by ones that check, then call those given. */
  compile(graph: Graph, options?: O): P;
  /** Bytes that these hold together, where they share some; without it, the sum. */
  programBytes?(programs: Iterable<P>): number;
  /** Releases the device and all that was made on it. Called once. */
  close(): void;
}

/** The shared part of a back end. */
export interface Managed<B extends Buffer, P extends Program, O> {
  /** The back end that does what the driver does. To be called once. */
  backend<K extends Backend["kind"]>(
    kind: K,
    driver: Driver<B, P, O>,
  ): Backend & { readonly kind: K; compile(graph: Graph, options?: O): P };
  /**
   * Ends the back end: every later call throws the error, which is the first if there are several.
   */
  fail(error: unknown): void;
  /** Throws unless the back end runs. */
  mustRun(): void;
  /**
   * Throws unless there is a live buffer of this back end for each input and output of the graph,
   * large enough for it.
   */
  mustHold(graph: Graph, inputs: readonly Buffer[], outputs: readonly Buffer[]): void;
  /** What is in use and how to free it, as the end of a message about lack of room. */
  inUse(): string;
}

/** Offsets into a value are 32-bit numbers with a sign in all back ends. */
const LARGEST = 2 ** 31 - 1;

function mustFit(name: string, { inputs, nodes }: Graph): void {
  for (const { node: n, spec } of [...inputs, ...nodes.flatMap((n) => n.outputs)])
    if (bytesOf(spec) > LARGEST)
      throw rangeError(
        name,
        `${n ? `${n.path && `${n.path}: `}${n.op.name} makes` : "an input is"} ${formatShape(spec.shape)}, ${bytesOf(spec)} bytes; a value may take ${LARGEST}`,
      );
}

/** Keeps the state of a back end of that name, its buffers and its programs. */
export function manageBackend<B extends Buffer, P extends Program, O = never>(
  name: string,
): Managed<B, P, O> {
  const buffers = new Map<Buffer, B>();
  const freed = new WeakSet<Buffer>();
  const programs = new Set<P>();
  let closed = false;
  let failure: { readonly error: unknown } | null = null;

  const mustRun = () => {
    if (closed) throw new Error(`${name}: the back end is disposed`);
    if (failure) throw failure.error;
  };
  const own = (buffer: Buffer): B => {
    const known = buffers.get(buffer);
    if (!known)
      throw new Error(
        `${name}: ${freed.has(buffer) ? "buffer used after free" : "the buffer belongs to another back end"}`,
      );
    return known;
  };
  const mustHold = ({ inputs, outputs }: Graph, from: readonly Buffer[], to: readonly Buffer[]) => {
    mustRun();
    if (from.length !== inputs.length || to.length !== outputs.length)
      throw rangeError(
        name,
        `program takes ${inputs.length} inputs and ${outputs.length} outputs, got ${from.length} and ${to.length}`,
      );
    const each = (values: Graph["inputs"]) => (buffer: Buffer, i: number) => {
      const bytes = bytesOf(values[i].spec);
      if (own(buffer).bytes < bytes)
        throw rangeError(name, `buffer of ${buffer.bytes} bytes for a value of ${bytes}`);
    };
    from.forEach(each(inputs));
    to.forEach(each(outputs));
  };
  const sum = (list: Iterable<{ readonly bytes: number }>) =>
    [...list].reduce((total, { bytes }) => total + bytes, 0);
  let bytesOfPrograms: (programs: Iterable<P>) => number = sum;
  const memory = () => ({
    buffers: buffers.size,
    bytes: sum(buffers.values()),
    programs: programs.size,
    programBytes: bytesOfPrograms(programs),
  });
  const inUse = () => {
    const m = memory();
    return m.buffers + m.programs === 0
      ? ""
      : `; live tensors: ${m.buffers} (${m.bytes} bytes), programs: ${m.programs} (${m.programBytes} bytes); free tensors with scope() or using`;
  };
  const withRoom = <R>(make: () => R): R => {
    try {
      return make();
    } catch (cause) {
      if (cause instanceof RangeError) cause.message += inUse();
      throw cause;
    }
  };

  const make = <K extends Backend["kind"]>(kind: K, driver: Driver<B, P, O>) => {
    bytesOfPrograms = driver.programBytes ?? sum;
    const backend = {
      name,
      kind,
      alloc(bytes: number) {
        mustRun();
        if (!(Number.isSafeInteger(bytes) && bytes >= 0))
          throw rangeError(name, `a buffer of ${bytes} bytes; it must be a whole number ≥ 0`);
        const buffer = withRoom(() => driver.alloc(bytes));
        buffers.set(buffer, buffer);
        return buffer;
      },
      free(buffer: Buffer) {
        if (closed || freed.has(buffer)) return;
        const known = own(buffer);
        buffers.delete(buffer);
        freed.add(buffer);
        driver.free(known);
      },
      write(buffer: Buffer, data: ArrayBufferView) {
        mustRun();
        const known = own(buffer);
        if (data.byteLength > known.bytes)
          throw rangeError(name, `${data.byteLength} bytes do not fit a buffer of ${known.bytes}`);
        driver.write(known, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      },
      async read(buffer: Buffer) {
        mustRun();
        return driver.read(own(buffer));
      },
      compile(graph: Graph, options?: O) {
        mustRun();
        mustFit(name, graph);
        const program = withRoom(() => driver.compile(graph, options));
        const { run, dispose: end } = program;
        program.run = (inputs, outputs) => {
          mustHold(graph, inputs, outputs);
          if (!programs.has(program)) throw new Error(`${name}: program used after dispose`);
          withRoom(() => run(inputs, outputs));
        };
        program.dispose = () => void (programs.delete(program) && end());
        programs.add(program);
        return program;
      },
      memory,
      dispose() {
        if (closed) return;
        closed = true;
        forgetEager(backend);
        buffers.clear();
        programs.clear();
        driver.close();
      },
      [dispose]: () => backend.dispose(),
    };
    return backend;
  };
  return { backend: make, mustRun, mustHold, inUse, fail: (error) => void (failure ??= { error }) };
}
