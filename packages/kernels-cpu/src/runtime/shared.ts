// Memory that the programs of one back end share: an arena, since no two run at the same time, and
// packed weights.

import { createPacks, type Packs } from "@conv/compiler";
import type { Buffer } from "@conv/tensor";
import { allocated, type Heap } from "./memory.ts";

/** A buffer of this back end. `version` names its contents: no two contents have the same. */
export interface CpuBuffer extends Buffer {
  readonly address: number;
  version: number;
}

export interface Shared {
  /** Where the arena lies. It moves when programs come and go. */
  readonly arena: number;
  /**
   * Makes the arena large enough. Throws RangeError, and changes nothing, where there is no room.
   */
  claim(bytes: number): void;
  /** Ends a claim of so many bytes. */
  release(bytes: number): void;
  readonly packs: Packs<CpuBuffer, number>;
  /** Bytes that programs need of the arena, and of all that is packed. */
  bytes(): number;
}

export function createShared(heap: Heap): Shared {
  const claims: number[] = [];
  const packs = createPacks<CpuBuffer, number>(heap);
  let [arena, room] = [0, 0];
  const need = () => Math.max(0, ...claims);
  const put = (size: number) => ([arena, room] = [size && heap.alloc(size), size]);
  return {
    get arena() {
      return arena;
    },
    claim(bytes) {
      if (bytes > room) {
        if (room) heap.free(arena); // nothing in it outlasts a run
        // Half as much again leaves holes of twice its size at most where it grew; where that does
        // not fit, what is needed; else what was there.
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
    packs,
    bytes: () => packs.all().reduce((sum, p) => sum + allocated(p.bytes), need()),
  };
}
