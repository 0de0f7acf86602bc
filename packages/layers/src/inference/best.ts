// The best back end that is available: creators are tried in order of preference; those that were
// not taken are listed with the reason.

import { message, unsupported, UnsupportedError, type Backend } from "@conv/tensor";

/**
 * A back end. `software` is true where the processor emulates its device, as SwiftShader and
 * llvmpipe emulate a GPU.
 */
export type Candidate = Backend & { readonly software?: boolean | undefined };

/**
 * Functions that make back ends, by name, in order of preference. Each throws UnsupportedError where
 * the back end is not available.
 */
export type Creators<T extends Readonly<Record<string, Candidate>>> = {
  readonly [N in keyof T]: () => T[N] | Promise<T[N]>;
};

/** A preferred back end that was not taken. */
export interface Passed<N extends string> {
  readonly name: N;
  /** Why, in English. */
  readonly reason: string;
  /** What its creator threw, with a code and values. Null for an emulated device. */
  readonly error: UnsupportedError | null;
}

/** The back end that was chosen, and why. */
export interface Best<N extends string, B> {
  readonly backend: B;
  /** Its name among the creators. */
  readonly chosen: N;
  /** The preferred back ends that were not taken, with the reasons. */
  readonly passed: readonly Passed<N>[];
  /** The choice in one line: `cpu, not gpu (no adapter)`. */
  readonly why: string;
}

/**
 * Tries creators in order, `{ gpu: () => createGpu(), cpu: () => createCpu() }`, and takes the first
 * back end that is available. An emulated device comes after all others: code for the processor is
 * faster than a device that it emulates. An UnsupportedError leads to the next creator; any other
 * error is thrown. Throws UnsupportedError with all reasons where no back end is available; its
 * `cause` is the error of the last creator.
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
        message`no back end is available: ${{ reasons: reasons().join(", ") || "none is named" }}`,
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
