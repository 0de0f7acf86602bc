// The best back end that can be had: creators are tried in order of preference, and what was passed
// over is told with its reason.

import { complaint, UnsupportedError, type Backend } from "@conv/tensor";

/**
 * A back end; `software` says that its device is one that the processor imitates, as SwiftShader
 * and llvmpipe do with a GPU.
 */
export type Candidate = Backend & { readonly software?: boolean | undefined };

/**
 * How to make each back end, by name, the one that is preferred first; each throws UnsupportedError
 * where it can't be had.
 */
export type Creators<T extends Readonly<Record<string, Candidate>>> = {
  readonly [N in keyof T]: () => T[N] | Promise<T[N]>;
};

/** The back end that was chosen, and why. */
export interface Best<N extends string, B> {
  readonly backend: B;
  /** Its name among the creators. */
  readonly chosen: N;
  /** Those that would have been preferred, and why each was not taken. */
  readonly passed: readonly { readonly name: N; readonly reason: string }[];
  /** Both in one line: `cpu, not gpu (no adapter)`. */
  readonly why: string;
}

/**
 * Tries creators in the order in which they stand, `{ gpu: () => createGpu(), cpu: () =>
 * createCpu() }`, and takes the first back end that can be had. A device that the processor
 * imitates comes after all others: code made for the processor is faster than its imitation of
 * something else. An UnsupportedError passes to the next creator, any other error is thrown on;
 * where no back end can be had, an UnsupportedError has all reasons.
 */
export async function createBest<T extends Readonly<Record<string, Candidate>>>(
  creators: Creators<T>,
): Promise<Best<keyof T & string, T[keyof T & string]>> {
  type Name = keyof T & string;
  interface Found {
    readonly name: Name;
    readonly backend: T[Name];
  }
  let passed: { readonly name: Name; readonly reason: string }[] = [];
  let found: Found | null = null;
  for (const name in creators) {
    try {
      const backend = await creators[name]();
      if (!backend.software) {
        found?.backend.dispose();
        found = { name, backend };
        break;
      }
      passed.push({ name, reason: "it is imitated by the processor" });
      if (found) backend.dispose();
      else found = { name, backend };
    } catch (error) {
      if (error instanceof UnsupportedError)
        passed.push({ name, reason: error.message.replace(`${name}: `, "") });
      else {
        found?.backend.dispose();
        throw error;
      }
    }
  }
  const reasons = () => passed.map(({ name, reason }) => `${name} (${reason})`);
  if (!found)
    throw new UnsupportedError(
      complaint("best", `no back end can be had: ${reasons().join(", ") || "none is named"}`),
    );
  const { name: chosen, backend } = found;
  passed = passed.filter(({ name }) => name !== chosen);
  return {
    backend,
    chosen,
    passed,
    why: passed.length
      ? `${chosen}, not ${reasons().join(" nor ")}`
      : `${chosen}, the first choice`,
  };
}
