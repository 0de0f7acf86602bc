// What all back ends share: their state, their buffers and programs, and the counts of both.
// `manageBackend` turns a driver into a back end, and checks every call before the driver gets it.

import type { Backend, Buffer, Program } from "./backend.ts";
import { forgetEager } from "./cache.ts";
import { message, rangeError, stateError } from "./errors.ts";
import { constantsOf, type Constant, type Graph } from "./graph.ts";
import { bytesOf, formatShape } from "./spec.ts";
import { dispose } from "./tensor.ts";

/**
 * The work of one kind of device. Its methods are called only while the back end runs, with live
 * buffers that it made and sizes that fit; `free` and the `dispose` of its programs are called once
 * each, also after a failure, but not after `close`.
 */
export interface Driver<B extends Buffer, P extends Timed, O> {
  /** Throws RangeError where there is no room. */
  alloc(bytes: number): B;
  free(buffer: B): void;
  write(buffer: B, data: Uint8Array): void;
  read(buffer: B): Promise<ArrayBuffer>;
  /**
   * `run`, `time` and `dispose` of the program are replaced by ones that check, then call those
   * given. Constants of the graph come as its last inputs.
   */
  compile(graph: Graph, options?: O): P;
  /** Bytes that these hold together, where they share some; without it, the sum. */
  programBytes?(programs: Iterable<P>): number;
  /** Releases the device and all that was made on it. Called once. */
  close(): void;
}

/** The shared part of a back end. */
export interface Managed<B extends Buffer, P extends Timed, O> {
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
  /** What is in use and how to free it, as the end of a message about lack of room. */
  inUse(): string;
}

/** Offsets into a value are signed 32-bit numbers in all back ends. */
const LARGEST = 2 ** 31 - 1;

function mustFit(name: string, { inputs, nodes }: Graph): void {
  for (const { node: n, spec } of [...inputs, ...nodes.flatMap((n) => n.outputs)])
    if (bytesOf(spec) > LARGEST)
      throw rangeError(
        name,
        "value-too-large",
        message`${{ what: n ? `${n.path && `${n.path}: `}${n.op.name} makes` : "an input is" }} ${{ shape: formatShape(spec.shape) }}, ${{ bytes: bytesOf(spec) }} bytes; a value may take ${{ most: LARGEST }}`,
      );
}

type Call<R> = (inputs: readonly Buffer[], outputs: readonly Buffer[]) => R;

/** A program, and if its device has timestamps the seconds that each step of a run takes. */
type Timed = Program & { time?: Call<Promise<number[]>> | undefined };

const total = (list: Iterable<{ readonly bytes: number }>): number =>
  [...list].reduce((sum, { bytes }) => sum + bytes, 0);

/** Allocates and writes a buffer for each constant. If one fails, none is left. */
function upload<B extends Buffer>(
  driver: Pick<Driver<B, never, never>, "alloc" | "free" | "write">,
  constants: readonly Constant[],
): B[] {
  const made: B[] = [];
  try {
    for (const { spec, data } of constants) {
      const buffer = driver.alloc(bytesOf(spec));
      made.push(buffer);
      driver.write(buffer, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    }
    return made;
  } catch (error) {
    for (const buffer of made) driver.free(buffer);
    throw error;
  }
}

/** The buffers of a back end: those that live, and those that were freed. */
function createBuffers<B extends Buffer>(name: string) {
  const live = new Map<Buffer, B>();
  const freed = new WeakSet<Buffer>();
  /** The buffer as the driver made it. Throws unless it lives and belongs here. */
  const own = (buffer: Buffer): B => {
    const known = live.get(buffer);
    if (!known)
      throw freed.has(buffer)
        ? stateError(name, "buffer-freed", message`buffer used after free`)
        : stateError(name, "foreign-buffer", message`the buffer belongs to another back end`);
    return known;
  };
  /** Throws unless there is a buffer for each input and output of the graph, large enough. */
  const mustHold = ({ inputs, outputs }: Graph, from: readonly Buffer[], to: readonly Buffer[]) => {
    if (from.length !== inputs.length || to.length !== outputs.length)
      throw rangeError(
        name,
        "buffer-count",
        message`program takes ${{ inputs: inputs.length }} inputs and ${{ outputs: outputs.length }} outputs, got ${{ givenInputs: from.length }} and ${{ givenOutputs: to.length }}`,
      );
    const each = (values: Graph["inputs"]) => (buffer: Buffer, i: number) => {
      const bytes = bytesOf(values[i].spec);
      if (own(buffer).bytes < bytes)
        throw rangeError(
          name,
          "buffer-too-small",
          message`buffer of ${{ got: buffer.bytes }} bytes for a value of ${{ bytes }}`,
        );
    };
    from.forEach(each(inputs));
    to.forEach(each(outputs));
  };
  return { live, freed, own, mustHold };
}

type State =
  | { readonly is: "running" }
  | { readonly is: "failed"; readonly error: unknown }
  | { readonly is: "disposed" };

/** Whether a back end runs, has failed or is disposed. A failure lasts until it is disposed. */
function createState(name: string) {
  let state: State = { is: "running" };
  return {
    mustRun() {
      if (state.is === "disposed")
        throw stateError(name, "disposed", message`the back end is disposed`);
      if (state.is === "failed") throw state.error;
    },
    fail(error: unknown) {
      if (state.is === "running") state = { is: "failed", error };
    },
    isDisposed: () => state.is === "disposed",
    dispose() {
      state = { is: "disposed" };
    },
  };
}

function mustBeBytes(name: string, bytes: number): void {
  if (!(Number.isSafeInteger(bytes) && bytes >= 0))
    throw rangeError(
      name,
      "bytes",
      message`a buffer of ${{ bytes }} bytes; it must be a whole number ≥ 0`,
    );
}

function mustTake(name: string, { bytes }: Buffer, { byteLength: got }: ArrayBufferView): void {
  if (got > bytes)
    throw rangeError(
      name,
      "data-too-large",
      message`${{ got }} bytes do not fit a buffer of ${{ bytes }}`,
    );
}

/** Keeps the state of a back end of that name, its buffers and its programs. */
export function manageBackend<B extends Buffer, P extends Timed, O = never>(
  name: string,
): Managed<B, P, O> {
  const { live, freed, own, mustHold } = createBuffers<B>(name);
  const programs = new Set<P>();
  let bytesOfPrograms: (programs: Iterable<P>) => number = total;
  let bytesOfConstants = 0;
  const state = createState(name);
  const { mustRun, fail } = state;

  const memory = () => ({
    buffers: live.size,
    bytes: total(live.values()),
    programs: programs.size,
    programBytes: bytesOfPrograms(programs) + bytesOfConstants,
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

  /** Replaces the calls of a program by ones that check, and bring its constants. */
  const manage = (program: P, graph: Graph, constants: readonly B[], free: (b: B) => void): P => {
    const { run, time, dispose: end } = program;
    const bytes = total(constants);
    bytesOfConstants += bytes;
    programs.add(program);
    const call = <R>(fn: Call<R>, inputs: readonly Buffer[], outputs: readonly Buffer[]): R => {
      mustRun();
      mustHold(graph, inputs, outputs);
      if (!programs.has(program))
        throw stateError(name, "program-disposed", message`program used after dispose`);
      return withRoom(() => fn(constants.length ? [...inputs, ...constants] : inputs, outputs));
    };
    program.run = (inputs, outputs) => call(run, inputs, outputs);
    if (time) program.time = async (inputs, outputs) => call(time, inputs, outputs);
    program.dispose = () => {
      if (!programs.delete(program)) return;
      bytesOfConstants -= bytes;
      end();
      constants.forEach(free);
    };
    return program;
  };

  const make = <K extends Backend["kind"]>(kind: K, driver: Driver<B, P, O>) => {
    bytesOfPrograms = driver.programBytes ?? total;
    const backend = {
      name,
      kind,
      alloc(bytes: number) {
        mustRun();
        mustBeBytes(name, bytes);
        const buffer = withRoom(() => driver.alloc(bytes));
        live.set(buffer, buffer);
        return buffer;
      },
      free(buffer: Buffer) {
        if (state.isDisposed() || freed.has(buffer)) return;
        const known = own(buffer);
        live.delete(buffer);
        freed.add(buffer);
        driver.free(known);
      },
      write(buffer: Buffer, data: ArrayBufferView) {
        mustRun();
        const known = own(buffer);
        mustTake(name, known, data);
        driver.write(known, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      },
      async read(buffer: Buffer) {
        mustRun();
        return driver.read(own(buffer));
      },
      compile(graph: Graph, options?: O) {
        mustRun();
        mustFit(name, graph);
        const constants = constantsOf(graph);
        const whole = constants.length
          ? { ...graph, inputs: [...graph.inputs, ...constants] }
          : graph;
        const program = withRoom(() => driver.compile(whole, options));
        try {
          const held = withRoom(() => upload(driver, constants));
          return manage(program, graph, held, driver.free);
        } catch (error) {
          program.dispose();
          throw error;
        }
      },
      memory,
      dispose() {
        if (state.isDisposed()) return;
        state.dispose();
        forgetEager(backend);
        live.clear();
        programs.clear();
        bytesOfConstants = 0;
        driver.close();
      },
      [dispose]: () => backend.dispose(),
    };
    return backend;
  };
  return { backend: make, mustRun, inUse, fail };
}
