// Chooses the best available back end. Creators are tried in order of preference; the result lists
// back ends that were not chosen, with the reason.

import { message, unsupported, UnsupportedError, type Backend } from "@conv/tensor";

/**
 * A back end. `software` is true if its device is emulated on the CPU, such as a GPU by SwiftShader
 * or llvmpipe.
 */
export type Candidate = Backend & { readonly software?: boolean | undefined };

/**
 * Functions that create back ends, by name, in order of preference. Each throws UnsupportedError if
 * its back end is not available.
 */
export type Creators<T extends Readonly<Record<string, Candidate>>> = {
  readonly [N in keyof T]: () => T[N] | Promise<T[N]>;
};

/** A back end of higher preference that was not chosen. */
export interface Passed<N extends string> {
  readonly name: N;
  /** The reason in English. */
  readonly reason: string;
  /** The error of its creator. Null for an emulated device. */
  readonly error: UnsupportedError | null;
}

/** The chosen back end, with the reasons for the choice. */
export interface Best<N extends string, B> {
  readonly backend: B;
  /** Its name among the creators. */
  readonly chosen: N;
  /** The back ends of higher preference that were not chosen. */
  readonly passed: readonly Passed<N>[];
  /** The choice in one line: `cpu, not gpu (no adapter)`. */
  readonly why: string;
}

/**
 * Tries creators in order, for example `{ gpu: () => createGpu(), cpu: () => createCpu() }`, and
 * returns the first back end that is available. An emulated device is used only if there is no
 * other back end, because native code is faster than an emulated device. After an UnsupportedError
 * the next creator is tried; any other error is thrown. Throws UnsupportedError with all reasons if
 * no back end is available; its `cause` is the error of the last creator.
 */
export async function createBest<T extends Readonly<Record<string, Candidate>>>(
  creators: Creators<T>,
): Promise<Best<keyof T & string, T[keyof T & string]>> {
  type Name = keyof T & string;
  interface Found {
    readonly name: Name;
    readonly backend: T[Name];
  }
  let passed: Passed<Name>[] = [];
  let found: Found | null = null;
  for (const name in creators) {
    try {
      const backend = await creators[name]();
      if (!backend.software) {
        found?.backend.dispose();
        found = { name, backend };
        break;
      }
      passed.push({ name, reason: "it is emulated in software", error: null });
      if (found) backend.dispose();
      else found = { name, backend };
    } catch (error) {
      if (error instanceof UnsupportedError)
        passed.push({ name, reason: error.message.replace(`${name}: `, ""), error });
      else {
        found?.backend.dispose();
        throw error;
      }
    }
  }
  const reasons = () => passed.map(({ name, reason }) => `${name} (${reason})`);
  if (!found)
    throw Object.assign(
      unsupported(
        "best",
        "no-back-end",
        message`no back end is available: ${{ reasons: reasons().join(", ") || "the list of creators is empty" }}`,
      ),
      { cause: passed.at(-1)?.error },
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
