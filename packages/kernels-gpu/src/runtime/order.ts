// The order of calls: each runs after all calls before it, also where one has to wait for
// pipelines.

import type { Ending } from "./ending.ts";
import type { Errors } from "./errors.ts";

export interface Order {
  /** See `Runtime.later`. */
  later(go: () => void, until?: Promise<void> | null): Promise<void>;
  /** Ends all waits with a reason. Waiting calls do nothing then, and later ones neither. */
  close(reason: string): void;
  isClosed(): boolean;
}

export function createOrder({ checked, fail }: Errors, ending: Ending): Order {
  const queue: { go(): void; done(): void; until: Promise<void> | null }[] = [];
  let closed = false;
  const turn = () => {
    while (queue.length) {
      const { go, done, until } = queue[0];
      if (until && !ending.hasEnded()) {
        queue[0].until = null;
        void ending.until(until).then(turn, turn);
        return;
      }
      queue.shift();
      try {
        if (!closed) checked(go);
      } catch (error) {
        fail(error);
      }
      done();
    }
  };
  return {
    later: (go, until = null) =>
      new Promise((done) => {
        queue.push({ go, done, until });
        if (queue.length === 1) turn();
      }),
    close(reason) {
      closed = true;
      ending.end(reason);
      turn();
    },
    isClosed: () => closed,
  };
}
