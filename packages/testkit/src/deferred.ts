// Any back end behind a queue: memory that only handles stand for, calls that are carried out
// later, errors that only `read` reports. It is what a device across a bus looks like, and the
// proof that the contract, and code written to it, carries one.

import { manageBackend, type Backend, type Buffer, type Program } from "@conv/tensor";

/**
 * A back end that does what `inner` does, in the same order, but not before the caller has gone on.
 * Takes `inner` over.
 */
export function deferred(inner: Backend): Backend {
  const queue: (() => void)[] = [];
  // handle → buffer of the inner back end, once its turn has come
  const buffers = new Map<Buffer, Buffer>();
  let running = false;
  let turns = 0;
  let failure: { readonly error: unknown } | null = null;

  const turn = (): void => {
    running = false;
    const call = queue.shift();
    try {
      call?.();
    } catch (error) {
      failure ??= { error }; // the first; what follows from it is of no interest
    }
    schedule();
  };
  // Microtasks and timeouts in turn, so that code between two awaits and code between two events
  // see it happen.
  const schedule = (): void => {
    if (running || queue.length === 0) return;
    running = true;
    if (++turns % 64) queueMicrotask(turn);
    else setTimeout(turn);
  };
  const later = (call: () => void): void => {
    queue.push(call);
    schedule();
  };
  const behind = (handle: Buffer): Buffer => {
    const buffer = buffers.get(handle);
    if (!buffer) throw new Error("deferred: the buffer was never made");
    return buffer;
  };

  return manageBackend<Buffer, Program>(`deferred ${inner.name}`).backend(inner.kind, {
    alloc(bytes) {
      const handle: Buffer = Object.freeze({ bytes });
      later(() => buffers.set(handle, inner.alloc(bytes)));
      return handle;
    },
    free: (handle) =>
      later(() => {
        inner.free(behind(handle));
        buffers.delete(handle);
      }),
    write(handle, data) {
      const copy = data.slice();
      later(() => inner.write(behind(handle), copy));
    },
    read: (handle) =>
      new Promise((resolve, reject) => {
        later(() => {
          if (failure) {
            reject(failure.error);
            failure = null;
          } else {
            try {
              inner.read(behind(handle)).then(resolve, reject);
            } catch (error) {
              reject(error);
            }
          }
        });
      }),
    compile(graph) {
      const program = inner.compile(graph);
      return {
        steps: program.steps,
        bytes: program.bytes,
        run(inputs: readonly Buffer[], outputs: readonly Buffer[]) {
          const [from, to] = [[...inputs], [...outputs]];
          later(() => program.run(from.map(behind), to.map(behind)));
        },
        dispose: () => later(() => program.dispose()),
      };
    },
    close: () => later(() => inner.dispose()),
  });
}
