// Errors of a device. WebGPU reports them later than the calls that cause them: they are kept until
// the next read, which throws the first one.

import { message, type ConvError, type Message } from "@conv/tensor";
import type { Ending } from "./ending.ts";

/** An error that neither an invalid argument nor a missing feature causes. */
export const failed = (code: string, { text, values }: Message): Error & ConvError =>
  Object.assign(new Error(`gpu: ${text}`), { code, values, op: "gpu" });

export interface Errors {
  /** Keeps an error whose cause is known. */
  fail(error: unknown): void;
  /** Keeps an error that may be the effect of one that {@link fail} keeps. */
  suffer(error: unknown): void;
  /** Runs `go` in an error scope. */
  scoped<R>(filter: GPUErrorFilter, go: () => R, found: (error: GPUError) => void): R;
  /** Runs `go`, and keeps the validation errors of the device. */
  checked<R>(go: () => R): R;
  /** Asks the device for the errors of all calls before. */
  ask(): void;
  /** The first error that was kept, once the device has answered; and forgets all of them. */
  first(): Promise<{ readonly error: unknown } | null>;
  close(): void;
}

/**
 * `shared`: the application owns the device. Then each call has an error scope, since an open scope
 * would hide errors of the application; else one scope is open from read to read.
 */
export function createErrors(device: GPUDevice, shared: boolean, ending: Ending): Errors {
  let failure: { readonly error: unknown } | null = null;
  let symptom: { readonly error: unknown } | null = null;
  /** Answers of the device that are still to come. */
  const pending = new Set<Promise<unknown>>();

  const suffer = (error: unknown) => void (symptom ??= { error });
  const refused = (error: GPUError) =>
    suffer(failed("device-refused", message`${{ reason: error.message }}`));
  /** Ends the innermost error scope, and calls `found` if there was an error. */
  const answer = (found: (error: GPUError) => void) => {
    const given = ending.until(device.popErrorScope()).then(
      (error) => error && found(error),
      () => {}, // the device is lost
    );
    pending.add(given);
    void given.then(() => pending.delete(given));
  };
  const listener = (event: GPUUncapturedErrorEvent) => {
    event.preventDefault();
    refused(event.error);
  };
  if (!shared) {
    // Browsers report uncaptured errors long after the read: the scope finds them in time.
    device.pushErrorScope("validation");
    device.addEventListener("uncapturederror", listener);
  }

  const errors: Errors = {
    fail: (error) => void (failure ??= { error }),
    suffer,
    scoped(filter, go, found) {
      device.pushErrorScope(filter);
      try {
        return go();
      } finally {
        answer(found);
      }
    },
    checked: (go) => (shared ? errors.scoped("validation", go, refused) : go()),
    ask() {
      if (shared) return;
      answer(refused);
      device.pushErrorScope("validation");
    },
    async first() {
      await Promise.all(pending);
      const found = failure ?? symptom;
      failure = symptom = null;
      return found;
    },
    close() {
      if (!shared) device.removeEventListener("uncapturederror", listener);
    },
  };
  return errors;
}
