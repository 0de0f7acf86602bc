// Giving way: a back end that computes on the calling thread would otherwise keep messages, signals
// and paint waiting.

const PATIENCE = 20; // ms; a frame and a bit, so that a page that shares the thread stays usable

/** A function to await between pieces of work: now and then it lets the event loop turn once. */
export function breather(): () => Promise<void> | undefined {
  let last = performance.now();
  return () => {
    if (performance.now() - last < PATIENCE) return undefined;
    // A message comes back at once; timers are held back to 4 ms in browsers.
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
