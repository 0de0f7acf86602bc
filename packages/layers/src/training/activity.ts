// The state of a trainer, a state machine that checks and serializes its calls.

import { message, stateError } from "@conv/tensor";

/**
 * A trainer is idle, training (inside `fit`) or disposed. In the idle state, `update` is the last
 * update by `apply`, which may still run on the device. After a step that diverged or failed the
 * trainer is idle again.
 */
type State =
  | { readonly kind: "idle"; readonly update: Promise<unknown> }
  | { readonly kind: "training" }
  | { readonly kind: "disposed" };

export interface Activity {
  /** Throws an Error if the trainer is disposed. */
  check(): void;
  /**
   * Throws an Error unless the trainer is idle. `call` is the name of the method, for the
   * message.
   */
  checkIdle(call: string): void;
  /**
   * Changes from idle to training. The promise resolves after the last update. Throws an Error
   * unless the trainer is idle.
   */
  begin(): Promise<unknown>;
  /** Changes from training to idle. */
  end(): void;
  /** Registers a running update. */
  updating(update: Promise<unknown>): void;
  /** Changes to disposed. Returns false if the trainer was disposed before. */
  dispose(): boolean;
}

export function createActivity(): Activity {
  const idle: State = { kind: "idle", update: Promise.resolve() };
  let state: State = idle;
  const check = () => {
    if (state.kind === "disposed")
      throw stateError(
        "train",
        "disposed",
        message`the trainer was used after dispose; create a new one`,
      );
  };
  const idleFor = (call: string) => {
    check();
    if (state.kind === "idle") return state;
    throw stateError(
      "train",
      "training",
      call === "fit"
        ? message`${{ call }} is already running`
        : message`fit is running; abort it before ${{ call }}`,
    );
  };
  return {
    check,
    checkIdle: (call) => void idleFor(call),
    begin() {
      const { update } = idleFor("fit");
      state = { kind: "training" };
      return update;
    },
    end() {
      if (state.kind === "training") state = idle;
    },
    updating(update) {
      if (state.kind === "idle") state = { kind: "idle", update };
    },
    dispose() {
      const first = state.kind !== "disposed";
      state = { kind: "disposed" };
      return first;
    },
  };
}
