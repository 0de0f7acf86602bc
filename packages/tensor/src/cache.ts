// Caches of programs: bounded, and owned by what can end them.

import type { Backend, Program } from "./backend.ts";
import type { Spec } from "./spec.ts";

/** A graph made a program, with what a caller needs to run it. */
export interface Compiled {
  readonly program: Program;
  readonly outputs: readonly Spec[];
}

/** At most so many entries: a new one replaces the one that was used longest ago. */
export interface Cache<T> {
  get(key: string, make: () => T): T;
  drop(key: string): void;
  clear(): void;
}

/** Makes a {@link Cache}; `release` is given each entry that leaves it. */
export function createCache<T extends object>(limit: number, release: (entry: T) => void): Cache<T> {
  const entries = new Map<string, T>();
  const drop = (key: string) => {
    const entry = entries.get(key);
    entries.delete(key);
    if (entry) release(entry);
  };
  return {
    get(key, make) {
      const known = entries.get(key);
      const entry = known ?? make();
      if (known) entries.delete(key);
      else if (entries.size >= limit) drop(entries.keys().next().value!);
      entries.set(key, entry);
      return entry;
    },
    drop,
    clear: () => [...entries.keys()].forEach(drop),
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
