// The device as the back end and its programs share it: the order of calls, buffers, pipelines, and
// the first error.

import { message, rangeError, type Buffer, type Managed, type Program } from "@conv/tensor";
import type { Caps } from "../compile/caps.ts";
import { roundUp } from "../compile/place.ts";
import { createEnding, waitFor } from "./ending.ts";
import { createErrors, failed } from "./errors.ts";
import { createOrder } from "./order.ts";
import { createPipelines, type Pipelines } from "./pipelines.ts";

/** A buffer of this back end. `version` identifies its contents: no two contents have the same. */
export interface GpuTensorBuffer extends Buffer {
  readonly gpu: GPUBuffer;
  readonly id: number;
  version: number;
}

/** Flags of buffers, as the specification of WebGPU defines them; Node has no globals for them. */
export const USAGE = {
  mapRead: 0x01,
  copySrc: 0x04,
  copyDst: 0x08,
  storage: 0x80,
  queryResolve: 0x200,
} as const;
const MAP_READ = 0x1;

export interface Runtime extends Pick<Pipelines, "pipeline"> {
  readonly device: GPUDevice;
  readonly caps: Caps;
  /** Keeps the first error until {@link mapped} throws it. */
  fail(error: unknown): void;
  /** The contents of a buffer for reads, after all calls before. Throws the first error of them. */
  mapped(buffer: GPUBuffer): Promise<ArrayBuffer>;
  /**
   * Calls `go` after all calls before it, and after `until` if that is given. Resolves when it has
   * been called, or never will be.
   */
  later(go: () => void, until?: Promise<void> | null): Promise<void>;
  /**
   * A buffer, of a tensor unless `usage` says otherwise; `what` names it in errors. Throws
   * RangeError beyond the limit of the device; lack of memory is reported later.
   */
  create(bytes: number, what: string, usage?: number): GPUBuffer;
  /** The same, with an identity. */
  buffer(bytes: number, what: string): GpuTensorBuffer;
  /** Whether a buffer is not destroyed, and the device had memory for it, as far as is known. */
  lives(buffer: GPUBuffer): boolean;
  /** A number that is given once. */
  next(): number;
  /** Destroys buffers, after all calls before. */
  destroy(buffers: Iterable<GPUBuffer>): void;
}

/** The longest wait for the reason of a lost device. */
const REASON_MS = 5000;

/**
 * `shared`: the application owns the device, which stays alive, and whose uncaptured errors are not
 * listened to.
 */
export function createRuntime(
  device: GPUDevice,
  caps: Caps,
  onProgress: (ready: number, total: number) => void,
  managed: Pick<Managed<Buffer, Program, never>, "fail" | "inUse" | "mustRun">,
  shared: boolean,
): Runtime & { close(): void; readonly lost: Promise<string> } {
  const ending = createEnding();
  const errors = createErrors(device, shared, ending);
  const pipelines = createPipelines(device, errors, ending, onProgress);
  const order = createOrder(errors, ending);
  const buffers = new Set<GPUBuffer>();
  let numbers = 0;
  void device.lost.then((info) => {
    if (order.isClosed()) return;
    const reason = info.message ? `${info.reason}: ${info.message}` : info.reason;
    const gone = failed(
      "device-lost",
      message`the device was lost (${{ reason }}); create the back end again`,
    );
    managed.fail(gone);
    ending.end(gone.message);
  });

  const runtime: Runtime = {
    device,
    caps,
    fail: errors.fail,
    later: order.later,
    pipeline: pipelines.pipeline,
    async mapped(buffer) {
      managed.mustRun();
      errors.ask();
      try {
        await ending.until(buffer.mapAsync(MAP_READ));
      } catch (error) {
        managed.mustRun();
        // Only the loss of the device aborts it, and the reason follows soon.
        if (error instanceof DOMException && error.name === "AbortError")
          await waitFor(ending, REASON_MS);
        errors.suffer(error);
      }
      const found = await errors.first();
      managed.mustRun();
      if (found) throw found.error;
      return buffer.getMappedRange();
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
        errors.fail(
          rangeError(
            "gpu",
            "out-of-memory",
            message`out of memory: ${{ bytes }} bytes for ${{ what }}${{ inUse: managed.inUse() }}`,
          ),
        );
      };
      const make = () => device.createBuffer({ size: bytes, usage, label: what });
      const buffer = errors.scoped("out-of-memory", () => errors.checked(make), none);
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
      void order.later(() => {
        for (const buffer of list) if (buffers.delete(buffer)) buffer.destroy();
      });
    },
  };
  const close = () => {
    pipelines.clear();
    order.close("gpu: the back end is disposed");
    for (const buffer of buffers) buffer.destroy();
    buffers.clear();
    errors.close();
    if (!shared) device.destroy();
  };
  return { ...runtime, close, lost: ending.reason };
}
