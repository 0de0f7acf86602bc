// Yields to the event loop, because a back end that computes on the calling thread would block
// messages, signals and painting.

const PATIENCE = 20; // ms, a guess: little more than a frame of 16.7 ms, so that a page stays responsive

/**
 * Returns a function to await between pieces of work. At most every 20 ms it waits for one turn of
 * the event loop.
 */
export function breather(): () => Promise<void> | undefined {
  let last = performance.now();
  return () => {
    if (performance.now() - last < PATIENCE) return undefined;
    // A message arrives in the next turn; browsers delay nested timers by at least 4 ms.
    return new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel();
      port1.addEventListener(
        "message",
        () => {
          port1.close();
          last = performance.now();
          resolve();
        },
        { once: true },
      );
      port1.start();
      port2.postMessage(null);
    });
  };
}
