// One WebAssembly memory for all buffers and programs, and the free list that divides it.

const PAGE = 65536;
const ALIGN = 64; // a cache line; also what vector code may read and write past the end of a buffer
/** The first bytes hold the thread pool's words (see pool.ts); address 0 stays unused. */
export const RESERVED = 1024;
/** Vector loads may run past the end of the last buffer by this much. */
const SLACK = 1024;

export interface Heap {
  readonly memory: WebAssembly.Memory;
  /** The most pages the memory can grow to. */
  readonly maximum: number;
  /** Address of at least `bytes` bytes, 64-byte aligned. Throws RangeError when there is no room. */
  alloc(bytes: number): number;
  free(address: number): void;
  /** A view of the bytes as they are now; not to be kept, since growth may replace the buffer. */
  bytes(address: number, length: number): Uint8Array;
}

/** What a piece of so many bytes takes of the heap. */
export const allocated = (n: number): number => Math.max(ALIGN, Math.ceil(n / ALIGN) * ALIGN);

/** Tries the largest address space first: 4 GiB, then halves; engines on small devices refuse the large ones. */
export function createMemory(shared: boolean): { memory: WebAssembly.Memory; maximum: number } {
  for (let maximum = 65536; ; maximum /= 2) {
    try {
      return { memory: new WebAssembly.Memory({ initial: 16, maximum, shared }), maximum };
    } catch (error) {
      if (maximum <= 1024) throw error;
    }
  }
}

export function createHeap(memory: WebAssembly.Memory, maximum: number): Heap {
  // Free ranges by address, never adjacent; first fit keeps long-lived buffers low.
  let free: { address: number; size: number }[] = [];
  const sizes = new Map<number, number>();
  let top = RESERVED;
  return {
    memory,
    maximum,
    alloc(bytes) {
      const size = allocated(bytes);
      let address: number;
      const i = free.findIndex((r) => r.size >= size);
      if (i >= 0) {
        const range = free[i]!;
        address = range.address;
        if (range.size === size) free.splice(i, 1);
        else free[i] = { address: address + size, size: range.size - size };
      } else {
        const needed = top + size + SLACK - memory.buffer.byteLength;
        if (needed > 0) {
          const limit = maximum * PAGE;
          if (top + size + SLACK > limit) throw new RangeError(`cpu: ${bytes} bytes do not fit: ${top} of ${limit} bytes are in use`);
          // Growing by an eighth at least keeps the number of growths small.
          const pages = Math.min(maximum - memory.buffer.byteLength / PAGE, Math.ceil(Math.max(needed, memory.buffer.byteLength / 8) / PAGE));
          try {
            memory.grow(pages);
          } catch {
            throw new RangeError(
              `cpu: ${bytes} bytes do not fit: the engine refuses to grow the memory from ${memory.buffer.byteLength} by ${pages * PAGE} bytes`,
            );
          }
        }
        address = top;
        top += size;
      }
      sizes.set(address, size);
      return address;
    },
    free(address) {
      const size = sizes.get(address);
      if (size === undefined) return;
      sizes.delete(address);
      free.push({ address, size });
      free.sort((a, b) => a.address - b.address);
      free = free.reduce<typeof free>((merged, r) => {
        const last = merged.at(-1);
        if (last && last.address + last.size === r.address) last.size += r.size;
        else merged.push({ ...r });
        return merged;
      }, []);
      const last = free.at(-1);
      if (last && last.address + last.size === top) {
        top = last.address;
        free.pop();
      }
    },
    bytes: (address, length) => new Uint8Array(memory.buffer, address, length),
  };
}
