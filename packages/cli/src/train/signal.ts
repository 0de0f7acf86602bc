// Ctrl-C and its like, which end a training after the current step.

import { constants } from "node:os";

const NAMES = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Aborts on the first signal that asks to end; a second one ends the process. `code` is the exit
 * code that shells use, 128 + n.
 */
export function endBySignal() {
  const stop = new AbortController();
  const ending = {
    signal: stop.signal,
    name: null as string | null,
    code: 0,
    release: () => NAMES.forEach((name) => process.off(name, end)),
  };
  const end = (name: NodeJS.Signals) => {
    ending.release();
    ending.name = name;
    ending.code = 128 + constants.signals[name];
    stop.abort();
  };
  NAMES.forEach((name) => process.on(name, end));
  return ending;
}
