// Lack of memory at every place where it can come: what fails half way must leave nothing behind.

import type { Backend } from "@conv/tensor";

/**
 * Does the work again and again on a back end where the first call that takes memory fails, then
 * the second, and so on, until none is left to fail. Throws unless each failure reaches the caller
 * and leaves the counts of the back end as they were. Gives the number of such calls.
 */
export async function failEach<B extends Backend>(
  backend: B,
  work: (backend: B) => unknown,
): Promise<number> {
  for (let at = 0; ; at++) {
    const before = JSON.stringify(backend.memory());
    const failure = new RangeError(`there is no room at call ${at}`);
    let calls = 0;
    const counted =
      <A extends unknown[], R>(take: (...args: A) => R) =>
      (...args: A): R => {
        if (calls++ === at) throw failure;
        return take(...args);
      };
    let error: unknown = null;
    try {
      await work({ ...backend, alloc: counted(backend.alloc), compile: counted(backend.compile) });
    } catch (thrown) {
      error = thrown;
    }
    if (calls <= at) {
      if (error) throw error;
      return calls;
    }
    if (error !== failure && !(error instanceof Error && error.cause === failure))
      throw new Error(`the failure of call ${at} did not reach the caller`, { cause: error });
    const after = JSON.stringify(backend.memory());
    if (after !== before)
      throw new Error(`the failure of call ${at} left ${after}, before there was ${before}`);
  }
}
