// When a GPU is lost, the browser empties every canvas, and says so of each once it can be drawn on
// again.

import { useSyncExternalStore } from "react";

let restored = 0;
const listeners = new Set<() => void>();

// The event does not bubble, but it is heard on its way down.
document.addEventListener(
  "contextrestored",
  () => (restored++, listeners.forEach((listener) => listener())),
  true,
);

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => void listeners.delete(listener);
};

/** How many canvases were emptied so far: what draws on one draws again when this changes. */
export const useRestored = (): number => useSyncExternalStore(subscribe, () => restored);
