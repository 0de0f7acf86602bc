// What the programs of one back end share: memory to work in, since no two run at the same time, and weights that they pack alike.

import { allocated, type Heap } from "./memory.ts";
import type { CpuBuffer } from "./program.ts";

/** Memory that holds the contents of a buffer, packed. */
export interface Packed {
  readonly key: string;
  readonly bytes: number;
  readonly address: number;
  /** The buffer; null once it is freed, and this memory with it. */
  source: CpuBuffer | null;
  /** Which contents of the buffer were packed. */
  version: number;
  /** How many programs use it. */
  users: number;
}

export interface Shared {
  /** Where the arena lies. It moves when programs come and go. */
  readonly arena: number;
  /** Makes the arena large enough. Throws RangeError, and changes nothing, where there is no room. */
  claim(bytes: number): void;
  /** Ends a claim of so many bytes. */
  release(bytes: number): void;
  /**
   * What is packed of the buffer by this key and is none of `taken`. If there is none, the caller is to pack it: in the memory of `before`,
   * if no other program uses that, else in new memory.
   */
  take(key: string, bytes: number, source: CpuBuffer, taken: readonly Packed[], before?: Packed): Packed;
  drop(packed: Packed): void;
  /** Frees all that is packed of a buffer, which is about to be freed. */
  forget(source: CpuBuffer): void;
  /** Bytes that programs need of the arena, and of all that is packed. */
  bytes(): number;
}

export function createShared(heap: Heap): Shared {
  const claims: number[] = [];
  const packs = new Map<CpuBuffer, readonly Packed[]>();
  let [arena, room] = [0, 0];
  const need = () => Math.max(0, ...claims);
  const put = (size: number) => ([arena, room] = [size && heap.alloc(size), size]);
  const leave = (packed: Packed) => {
    const rest = packs.get(packed.source!)!.filter((p) => p !== packed);
    if (rest.length) packs.set(packed.source!, rest);
    else packs.delete(packed.source!);
  };
  return {
    get arena() {
      return arena;
    },
    claim(bytes) {
      if (bytes > room) {
        if (room) heap.free(arena); // nothing in it outlasts a run
        // Half as much again leaves holes of twice its size at most where it grew; where that does not fit, what is needed; else what was there.
        let failure: unknown;
        for (const size of [Math.max(bytes, 1.5 * room), bytes, room])
          try {
            put(size);
            break;
          } catch (error) {
            failure = error;
          }
        if (bytes > room) throw failure;
      }
      claims.push(bytes);
    },
    release(bytes) {
      claims.splice(claims.indexOf(bytes), 1);
      if (2 * need() >= room) return;
      heap.free(arena);
      put(need());
    },
    take(key, bytes, source, taken, before) {
      const known = packs.get(source)?.find((p) => p.key === key && !taken.includes(p));
      if (known) {
        known.users++;
        return known;
      }
      const own = before?.source && before.users === 1 ? before : null;
      if (own) leave(own);
      const packed = Object.assign(own ?? { key, bytes, address: heap.alloc(bytes), users: 1 }, { source, version: -1 });
      packs.set(source, [...(packs.get(source) ?? []), packed]);
      return packed;
    },
    drop(packed) {
      if (!packed.source || --packed.users) return;
      leave(packed);
      heap.free(packed.address);
    },
    forget(source) {
      for (const packed of packs.get(source) ?? []) {
        heap.free(packed.address);
        packed.source = null;
      }
      packs.delete(source);
    },
    bytes: () => [...packs.values()].flat().reduce((sum, p) => sum + allocated(p.bytes), need()),
  };
}
