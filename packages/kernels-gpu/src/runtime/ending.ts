// The end of a device: when it is lost, or the back end is disposed, all waits end.

export interface Ending {
  /**
   * The promise, resolved by the end: some implementations never settle promises of a lost device.
   */
  until<R>(promise: Promise<R>): Promise<R | void>;
  /** Ends all waits, now and later. */
  end(reason: string): void;
  hasEnded(): boolean;
  /** Resolves with the reason. */
  readonly reason: Promise<string>;
}

export function createEnding(): Ending {
  /** Resolves each wait; null after the end. */
  let waiting: Set<() => void> | null = new Set();
  const { promise: reason, resolve } = withResolvers<string>();
  return {
    until: (promise) =>
      new Promise((settle, reject) => {
        const stop = () => settle();
        if (waiting) waiting.add(stop);
        else stop();
        void promise.then(settle, reject).then(() => waiting?.delete(stop));
      }),
    end(text) {
      const all = waiting ?? [];
      waiting = null;
      resolve(text);
      for (const stop of all) stop();
    },
    hasEnded: () => waiting === null,
    reason,
  };
}

/** Waits so many milliseconds, or until the end. */
export async function waitFor(ending: Ending, ms: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  await ending.until(new Promise<void>((resolve) => (timer = setTimeout(resolve, ms))));
  clearTimeout(timer);
}

/** A promise with the function that resolves it (`Promise.withResolvers` needs Node 22). */
function withResolvers<T>(): { readonly promise: Promise<T>; resolve(value: T): void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((settle) => (resolve = settle));
  return { promise, resolve };
}
