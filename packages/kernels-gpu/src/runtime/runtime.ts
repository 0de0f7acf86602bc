// What the back end and its programs share: the device, the order of calls, pipelines, and the
// first thing that went wrong.

import {
  message,
  rangeError,
  type Buffer,
  type ConvError,
  type Managed,
  type Message,
  type Program,
} from "@conv/tensor";
import type { Caps } from "../compile/caps.ts";
import { roundUp } from "../compile/place.ts";

/** A buffer of this back end. `version` names its contents: no two contents have the same. */
export interface GpuTensorBuffer extends Buffer {
  readonly gpu: GPUBuffer;
  readonly id: number;
  version: number;
}

/** Flags of WebGPU's buffers: fixed by its specification, and no globals in Node. */
export const USAGE = {
  mapRead: 0x01,
  copySrc: 0x04,
  copyDst: 0x08,
  storage: 0x80,
  queryResolve: 0x200,
} as const;
const COMPUTE = 0x4;
const MAP_READ = 0x1;

/** Pipelines kept for further programs; the oldest goes first. Programs hold their own. */
const MOST_PIPELINES = 2000;

export interface Pipeline {
  readonly layout: GPUBindGroupLayout;
  /** Null until it is compiled. */
  pipeline: GPUComputePipeline | null;
  /** Why it cannot be compiled. */
  failure: Error | null;
  readonly ready: Promise<void>;
}

export interface Runtime {
  readonly device: GPUDevice;
  readonly caps: Caps;
  /** Remembers the first failure until {@link mapped} reports it. */
  fail(error: unknown): void;
  /**
   * What a buffer holds that is made to be read, once all before is done. Throws the first thing
   * that went wrong before.
   */
  mapped(buffer: GPUBuffer): Promise<ArrayBuffer>;
  /**
   * Calls `go` after all calls before it, and after `until` where that is still to come. Comes when
   * it is done, or never will be.
   */
  later(go: () => void, until?: Promise<void> | null): Promise<void>;
  /**
   * A buffer, of a tensor unless `usage` says otherwise. Throws RangeError beyond the device's
   * limit; that memory is short is found out later.
   */
  create(bytes: number, what: string, usage?: number): GPUBuffer;
  /** The same, with an identity. */
  buffer(bytes: number, what: string): GpuTensorBuffer;
  /**
   * Whether a buffer is there: it is not destroyed, and the device had room for it, as far as is
   * known.
   */
  lives(buffer: GPUBuffer): boolean;
  /** A number that nothing else has. */
  next(): number;
  /** Destroys buffers, after all calls before. */
  destroy(buffers: Iterable<GPUBuffer>): void;
  /**
   * The pipeline of a shader whose bindings are `reads` buffers read, then `writes` buffers
   * written.
   */
  pipeline(code: string, label: string, reads: number, writes: number): Pipeline;
}

/** An error that is neither of the caller's making nor of a missing feature. */
const failed = (code: string, { text, values }: Message): Error & ConvError =>
  Object.assign(new Error(`gpu: ${text}`), { code, values, op: "gpu" });

/** How long to wait for the reason that a device tells when it is lost. */
const REASON_MS = 5000;

/**
 * `shared`: the device is the application's. Its errors are not listened to, and it is left alive.
 */
export function createRuntime(
  device: GPUDevice,
  caps: Caps,
  onProgress: (ready: number, total: number) => void,
  managed: Pick<Managed<Buffer, Program, never>, "fail" | "inUse" | "mustRun">,
  shared: boolean,
): Runtime & { close(): void; readonly lost: Promise<string> } {
  const queue: { go(): void; done(): void; until: Promise<void> | null }[] = [];
  const layouts = new Map<string, GPUBindGroupLayout>();
  const pipelines = new Map<string, Pipeline>();
  const buffers = new Set<GPUBuffer>();
  let [ready, total, numbers] = [0, 0, 0];
  let failure: { readonly error: unknown } | null = null;
  /** Answers to come, whether there was an error. */
  const pending = new Set<Promise<unknown>>();
  let symptom: { readonly error: unknown } | null = null;
  /**
   * What to do with those who wait when the device is lost, or the back end closed; null once it
   * is.
   */
  let waiting: Set<() => void> | null = new Set();
  let closed = false;
  let tellLost: (reason: string) => void;
  const lost = new Promise<string>((resolve) => (tellLost = resolve));

  /** The same, but that it ends with the device: some implementations leave promises open then. */
  const untilEnd = <R>(promise: Promise<R>): Promise<R | void> =>
    new Promise((resolve, reject) => {
      const stop = () => resolve();
      if (waiting) waiting.add(stop);
      else stop();
      void promise.then(resolve, reject).then(() => waiting?.delete(stop));
    });
  const end = (reason: string) => {
    const all = waiting ?? [];
    waiting = null;
    tellLost(reason);
    for (const stop of all) stop();
  };

  const fail = (error: unknown) => void (failure ??= { error });
  /** Ends the innermost error scope, and says what to do if there was an error. */
  const answer = (go: (error: GPUError) => void) => {
    const given = untilEnd(device.popErrorScope()).then(
      (error) => error && go(error),
      () => {}, // the device is lost
    );
    pending.add(given);
    void given.then(() => pending.delete(given));
  };
  const suffer = (error: unknown) => void (symptom ??= { error });
  const refused = (error: GPUError) =>
    suffer(failed("device-refused", message`${{ reason: error.message }}`));
  /** Does something in an error scope of its own. */
  const scoped = <R>(filter: GPUErrorFilter, go: () => R, found: (error: GPUError) => void): R => {
    device.pushErrorScope(filter);
    try {
      return go();
    } finally {
      answer(found);
    }
  };
  /**
   * What is refused of a device that is shared is asked for at each call; else at each read: an
   * open scope would hide the application's errors.
   */
  const checked = <R>(go: () => R): R => (shared ? scoped("validation", go, refused) : go());
  const listener = (event: GPUUncapturedErrorEvent) => {
    event.preventDefault();
    refused(event.error);
  };
  if (!shared) {
    // Browsers tell of what nobody asks for when the read is long over.
    device.pushErrorScope("validation");
    device.addEventListener("uncapturederror", listener);
  }
  void device.lost.then((info) => {
    if (closed) return;
    const reason = info.message ? `${info.reason}: ${info.message}` : info.reason;
    const gone = failed(
      "device-lost",
      message`the device was lost (${{ reason }}); create the back end again`,
    );
    managed.fail(gone);
    end(gone.message);
  });

  const turn = () => {
    while (queue.length) {
      const { go, done, until } = queue[0];
      if (until && waiting) {
        queue[0].until = null;
        void untilEnd(until).then(turn, turn);
        return;
      }
      queue.shift();
      try {
        if (!closed) checked(go);
      } catch (error) {
        fail(error);
      }
      done();
    }
  };

  const runtime: Runtime & { close(): void; readonly lost: Promise<string> } = {
    device,
    caps,
    lost,
    fail,
    async mapped(buffer) {
      managed.mustRun();
      if (!shared) {
        answer(refused);
        device.pushErrorScope("validation");
      }
      try {
        await untilEnd(buffer.mapAsync(MAP_READ));
      } catch (error) {
        managed.mustRun();
        // Only the loss of the device interrupts it: its reason comes soon.
        let timer: ReturnType<typeof setTimeout> | undefined;
        const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, REASON_MS)));
        if (error instanceof DOMException && error.name === "AbortError") await untilEnd(late);
        clearTimeout(timer);
        suffer(error);
      }
      await Promise.all(pending);
      managed.mustRun();
      const found = failure ?? symptom;
      failure = symptom = null;
      if (found) throw found.error;
      return buffer.getMappedRange();
    },
    later(go, until = null) {
      return new Promise((done) => {
        queue.push({ go, done, until });
        if (queue.length === 1) turn();
      });
    },
    create(bytes, what, usage = USAGE.storage | USAGE.copySrc | USAGE.copyDst) {
      if (bytes > caps.bufferBytes)
        throw rangeError(
          "gpu",
          "buffer-too-large",
          message`${{ bytes }} bytes for ${{ what }} are too many: a buffer of this adapter holds ${{ most: caps.bufferBytes }}`,
        );
      const none = () => {
        buffers.delete(buffer);
        fail(
          rangeError(
            "gpu",
            "out-of-memory",
            message`out of memory: ${{ bytes }} bytes for ${{ what }}${{ inUse: managed.inUse() }}`,
          ),
        );
      };
      const buffer: GPUBuffer = scoped(
        "out-of-memory",
        () => checked(() => device.createBuffer({ size: bytes, usage, label: what })),
        none,
      );
      buffers.add(buffer);
      return buffer;
    },
    next: () => ++numbers,
    buffer: (bytes, what) => ({
      bytes,
      gpu: runtime.create(roundUp(bytes), what),
      id: ++numbers,
      version: ++numbers,
    }),
    lives: (buffer) => buffers.has(buffer),
    destroy(list) {
      void runtime.later(() => {
        for (const buffer of list) if (buffers.delete(buffer)) buffer.destroy();
      });
    },
    pipeline(code, label, reads, writes) {
      const known = pipelines.get(code);
      if (known) return known;
      const key = `${reads} ${writes}`;
      let layout = layouts.get(key);
      if (!layout) {
        const entry = (binding: number): GPUBindGroupLayoutEntry => ({
          binding,
          visibility: COMPUTE,
          buffer: { type: binding < reads ? "read-only-storage" : "storage" },
        });
        layout = device.createBindGroupLayout({
          entries: Array.from({ length: reads + writes }, (_, i) => entry(i)),
        });
        layouts.set(key, layout);
      }
      const bindGroupLayouts = [layout];
      const compiling = untilEnd(
        checked(() =>
          device.createComputePipelineAsync({
            label,
            layout: device.createPipelineLayout({ bindGroupLayouts }),
            compute: { module: device.createShaderModule({ code, label }), entryPoint: "main" },
          }),
        ),
      );
      total++;
      const made: Pipeline = {
        layout,
        pipeline: null,
        failure: null,
        ready: compiling.then(
          (pipeline) => {
            made.pipeline = pipeline ?? null;
            onProgress(++ready, total);
          },
          (error: unknown) => {
            const reason = error instanceof Error ? error.message : String(error);
            made.failure = failed(
              "shader-refused",
              message`the device cannot compile the shader of ${{ label }}: ${{ reason }}\n${{ code }}`,
            );
            onProgress(++ready, total);
          },
        ),
      };
      pipelines.set(code, made);
      if (pipelines.size > MOST_PIPELINES) pipelines.delete(pipelines.keys().next().value!);
      return made;
    },
    close() {
      closed = true;
      pipelines.clear();
      end("gpu: the back end is disposed");
      turn();
      for (const buffer of buffers) buffer.destroy();
      buffers.clear();
      if (!shared) {
        device.removeEventListener("uncapturederror", listener);
        device.destroy();
      }
    },
  };
  return runtime;
}
