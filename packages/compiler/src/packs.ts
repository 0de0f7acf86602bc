// Rearranged weights: programs of one back end that rearrange a buffer alike share the result, for
// as long as the buffer lives and one uses it.

/** How a program packs one of its inputs. Equal keys: equal bytes of equal inputs. */
export interface Pack {
  readonly input: number;
  readonly key: string;
  readonly bytes: number;
}

/** Memory that holds the contents of a buffer, packed. */
export interface Packed<B, M> {
  readonly key: string;
  readonly bytes: number;
  readonly memory: M;
  /** The buffer; null once it is freed, and this memory with it. */
  source: B | null;
  /** Which contents of the buffer were packed. */
  version: number;
  /** How many programs use it. */
  users: number;
}

export interface Packs<B, M> {
  /**
   * What is packed of these inputs, for a program that used `before` so far. What no program has
   * packed yet, the caller is to pack: in the memory of `before` if no other program uses that,
   * else in new memory. If `alloc` throws, the program keeps `before`.
   */
  bind(
    wanted: readonly Pack[],
    inputs: readonly B[],
    before: readonly Packed<B, M>[],
  ): readonly Packed<B, M>[];
  /** For a program that ends. */
  drop(packed: readonly Packed<B, M>[]): void;
  /** Frees all that is packed of a buffer, which is about to be freed. */
  forget(source: B): void;
  all(): readonly Packed<B, M>[];
}

export function createPacks<B, M>({
  alloc,
  free,
}: {
  alloc(bytes: number): M;
  free(memory: M): void;
}): Packs<B, M> {
  const packs = new Map<B, readonly Packed<B, M>[]>();
  const leave = (packed: Packed<B, M>) => {
    const rest = packs.get(packed.source!)!.filter((p) => p !== packed);
    if (rest.length) packs.set(packed.source!, rest);
    else packs.delete(packed.source!);
  };
  const drop = (list: readonly Packed<B, M>[]) => {
    for (const packed of list)
      if (packed.source && !--packed.users) {
        leave(packed);
        free(packed.memory);
      }
  };
  const take = (
    { key, bytes }: Pack,
    source: B,
    taken: readonly Packed<B, M>[],
    before?: Packed<B, M>,
  ): Packed<B, M> => {
    const known = packs.get(source)?.find((p) => p.key === key && !taken.includes(p));
    if (known) {
      known.users++;
      return known;
    }
    const own = before?.source && before.users === 1 ? before : null;
    if (own) leave(own);
    const packed = Object.assign(own ?? { key, bytes, memory: alloc(bytes), users: 1 }, {
      source,
      version: -1,
    });
    packs.set(source, [...(packs.get(source) ?? []), packed]);
    return packed;
  };
  return {
    bind(wanted, inputs, before) {
      if (wanted.every(({ input }, k) => before[k]?.source === inputs[input])) return before;
      const found: Packed<B, M>[] = [];
      try {
        wanted.forEach((pack, k) => {
          const [old, source] = [before.at(k), inputs[pack.input]!];
          found.push(old?.source === source ? old : take(pack, source, [...before, ...found], old));
        });
      } catch (error) {
        drop(found.filter((p) => !before.includes(p)));
        throw error;
      }
      drop(before.filter((p) => !found.includes(p)));
      return found;
    },
    drop,
    forget(source) {
      for (const packed of packs.get(source) ?? []) {
        free(packed.memory);
        packed.source = null;
      }
      packs.delete(source);
    },
    all: () => [...packs.values()].flat(),
  };
}
