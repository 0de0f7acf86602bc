// When a GPU is lost, the browser clears every canvas, and fires an event once it can be drawn on
// again.

import { useSyncExternalStore } from "react";

let restored = 0;
const listeners = new Set<() => void>();

// The event does not bubble, so it is captured.
document.addEventListener(
  "contextrestored",
  () => (restored++, listeners.forEach((listener) => listener())),
  true,
);

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => void listeners.delete(listener);
};

/** The number of canvases that were cleared so far: components draw again when it changes. */
export const useRestored = (): number => useSyncExternalStore(subscribe, () => restored);
