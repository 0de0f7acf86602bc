// Caches of programs: bounded, and owned by what can end them.

import type { Backend, Program } from "./backend.ts";
import { message, stateError } from "./errors.ts";
import type { Spec } from "./spec.ts";

/** A graph made a program, with what a caller needs to run it. */
export interface Compiled {
  readonly program: Program;
  readonly outputs: readonly Spec[];
}

/** At most so many entries: a new one replaces the one that was used longest ago. */
export interface Cache<T> {
  /** Throws an Error after `dispose`: what is made then would belong to nobody. */
  get(key: string, make: () => T): T;
  drop(key: string): void;
  /** Drops all. Does nothing the second time. */
  dispose(): void;
}

/**
 * Makes a {@link Cache}; `release` is given each entry that leaves it. `owner` is named by the
 * error after `dispose`.
 */
export function createCache<T extends object>(
  limit: number,
  release: (entry: T) => void,
  owner = "cache",
): Cache<T> {
  const entries = new Map<string, T>();
  let ended = false;
  const drop = (key: string) => {
    const entry = entries.get(key);
    entries.delete(key);
    if (entry) release(entry);
  };
  return {
    get(key, make) {
      if (ended) throw stateError(owner, "disposed", message`used after dispose`);
      const known = entries.get(key);
      const entry = known ?? make();
      if (known) entries.delete(key);
      else if (entries.size >= limit) drop(entries.keys().next().value!);
      entries.set(key, entry);
      return entry;
    },
    drop,
    dispose() {
      ended = true;
      for (const key of entries.keys()) drop(key);
    },
  };
}

const EAGER = 256; // an eager program is a few kilobytes

const eager = new WeakMap<Backend, Cache<Compiled>>();

/** The programs of single ops on a back end. */
export function eagerPrograms(backend: Backend): Cache<Compiled> {
  let cache = eager.get(backend);
  if (!cache) eager.set(backend, (cache = createCache(EAGER, ({ program }) => program.dispose())));
  return cache;
}

/** For a back end that ends: its programs are gone with it. */
export const forgetEager = (backend: Backend): void => void eager.delete(backend);
