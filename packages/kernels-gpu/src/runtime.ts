// What the back end and its programs share: the device, the order of calls, pipelines, and the first thing that went wrong.

import type { Buffer, Managed, Program } from "@conv/tensor";
import type { Caps } from "./caps.ts";
import { formatBytes } from "./words.ts";

/** Flags of WebGPU's buffers: fixed by its specification, and no globals in Node. */
export const USAGE = { mapRead: 0x01, copySrc: 0x04, copyDst: 0x08, storage: 0x80, queryResolve: 0x200 } as const;
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
  /** What a buffer holds that is made to be read, once all before is done. Throws the first thing that went wrong before. */
  mapped(buffer: GPUBuffer): Promise<ArrayBuffer>;
  /** Calls `go` after all calls before it, and after `until` where that is still to come. */
  later(go: () => void, until?: Promise<void> | null): void;
  /** A buffer, of a tensor unless `usage` says otherwise. Throws RangeError beyond the device's limit; that memory is short is found out later. */
  create(bytes: number, what: string, usage?: number): GPUBuffer;
  /** The pipeline of a shader whose bindings are `reads` buffers read, then `writes` buffers written. */
  pipeline(code: string, label: string, reads: number, writes: number): Pipeline;
}

export function createRuntime(
  device: GPUDevice,
  caps: Caps,
  onProgress: (ready: number, total: number) => void,
  managed: Pick<Managed<Buffer, Program, never>, "fail" | "inUse" | "mustRun">,
): Runtime & { close(): void; readonly lost: Promise<string> } {
  const queue: { go(): void; until: Promise<void> | null }[] = [];
  const layouts = new Map<string, GPUBindGroupLayout>();
  const pipelines = new Map<string, Pipeline>();
  let [ready, total] = [0, 0];
  let failure: { readonly error: unknown } | null = null;
  /** Answers to come, whether there was an error. */
  const pending = new Set<Promise<unknown>>();
  let symptom: { readonly error: unknown } | null = null;
  let closed = false;

  const fail = (error: unknown) => void (failure ??= { error });
  /** Ends the innermost error scope, and says what to do if there was an error. */
  const answer = (go: (error: GPUError) => void) => {
    const given = device.popErrorScope().then(
      (error) => error && go(error),
      () => {}, // the device is lost
    );
    pending.add(given);
    void given.then(() => pending.delete(given));
  };
  const suffer = (error: unknown) => void (symptom ??= { error });
  const refused = ({ message }: GPUError) => suffer(new Error(`gpu: ${message}`));
  // Refusals are asked for at each read: browsers tell of what nobody asks for when the read is long over.
  device.pushErrorScope("validation");
  device.addEventListener("uncapturederror", (event) => {
    event.preventDefault();
    refused(event.error);
  });
  const lost = device.lost.then(({ reason, message }) => {
    if (closed) return "gpu: disposed of";
    const gone = `gpu: the device was lost (${reason}${message && `: ${message}`}); make the back end again`;
    managed.fail(new Error(gone));
    return gone;
  });

  const turn = () => {
    while (queue.length) {
      const { go, until } = queue[0];
      if (until) {
        queue[0].until = null;
        void until.then(turn, turn);
        return;
      }
      queue.shift();
      try {
        go();
      } catch (error) {
        fail(error);
      }
    }
  };

  return {
    device,
    caps,
    lost,
    fail,
    async mapped(buffer) {
      answer(refused);
      device.pushErrorScope("validation");
      try {
        await buffer.mapAsync(MAP_READ);
      } catch (error) {
        if (error instanceof DOMException && error.name === "AbortError") await lost; // nothing else interrupts it
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
      queue.push({ go, until });
      if (queue.length === 1) turn();
    },
    create(bytes, what, usage = USAGE.storage | USAGE.copySrc | USAGE.copyDst) {
      if (bytes > caps.bufferBytes)
        throw new RangeError(`gpu: ${what} takes ${formatBytes(bytes)}, a buffer of this adapter holds ${formatBytes(caps.bufferBytes)}`);
      device.pushErrorScope("out-of-memory");
      const buffer = device.createBuffer({ size: bytes, usage, label: what });
      answer(() => fail(new RangeError(`gpu: no room for ${what} of ${formatBytes(bytes)}${managed.inUse()}`)));
      return buffer;
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
        layout = device.createBindGroupLayout({ entries: Array.from({ length: reads + writes }, (_, i) => entry(i)) });
        layouts.set(key, layout);
      }
      total++;
      const compiling = device.createComputePipelineAsync({
        label,
        layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module: device.createShaderModule({ code, label }), entryPoint: "main" },
      });
      const made: Pipeline = {
        layout,
        pipeline: null,
        failure: null,
        ready: compiling.then(
          (pipeline) => {
            made.pipeline = pipeline;
            onProgress(++ready, total);
          },
          (error: unknown) => {
            made.failure = new Error(`gpu: ${label} cannot be compiled: ${error instanceof Error ? error.message : String(error)}\n${code}`);
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
      device.destroy();
    },
  };
}
