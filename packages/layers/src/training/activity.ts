// What a trainer is doing: a state machine that every call passes.

import { message, stateError } from "@conv/tensor";

/**
 * A trainer is idle, training (inside `fit`) or disposed. While it is idle, `update` is the last
 * update by given gradients, which may still run on the device. A step that diverged or failed
 * leads back to idle.
 */
type State =
  | { readonly kind: "idle"; readonly update: Promise<unknown> }
  | { readonly kind: "training" }
  | { readonly kind: "disposed" };

export interface Activity {
  /** Throws where the trainer is disposed. */
  check(): void;
  /** Throws unless the trainer is idle; `call` names the call for the message. */
  checkIdle(call: string): void;
  /** From idle to training, once the last update is done. Throws unless the trainer is idle. */
  begin(): Promise<unknown>;
  /** From training to idle. */
  end(): void;
  /** Notes an update that runs. */
  updating(update: Promise<unknown>): void;
  /** To disposed; returns false where the trainer was disposed before. */
  dispose(): boolean;
}

export function createActivity(): Activity {
  const idle: State = { kind: "idle", update: Promise.resolve() };
  let state: State = idle;
  const check = () => {
    if (state.kind === "disposed")
      throw stateError("train", "disposed", message`the trainer was used after dispose`);
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
