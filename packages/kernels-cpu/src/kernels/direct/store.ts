// The end of kernels that compute neighboring outputs of a row: the epilogue, then stores of whole
// vectors or single lanes.

import type { Caps } from "../../compile/caps.ts";
import type { Epilogue } from "../../compile/code.ts";
import { v128, type Local, type Operand } from "../../wasm/asm.ts";
import type { Func } from "../../wasm/module.ts";
import { emitExpr } from "../elementwise/expr.ts";

export interface Neighbors {
  /** Address of the first output, and constant bytes from there. */
  readonly address: Operand;
  readonly offset: number;
  /** Number of outputs, at most 4, and the elements between them in y. */
  readonly lanes: number;
  readonly step: number;
  /** Operands that have one value for the whole row. */
  readonly perChannel?: ReadonlyMap<string, Local> | undefined;
  /** The address in an operand with a value for each element that corresponds to `address` in y. */
  operandAt(operand: number): Operand;
}

/**
 * A local for each operand of an epilogue that has one value for a channel. `load` loads all of
 * them from the addresses that `at` returns.
 */
export function channelValues(
  f: Func,
  epilogue: Epilogue | null,
): {
  perChannel: Map<string, Local>;
  load(at: (operand: number) => Operand, offset?: number): void;
} {
  const own = (epilogue?.operands ?? []).flatMap(({ name, along }, i) =>
    along === "channel" ? [{ name, i, v: f.local("v128", `${name}_c`) }] : [],
  );
  return {
    perChannel: new Map(own.map(({ name, v }) => [name, v])),
    load: (at, offset) => own.forEach(({ i, v }) => f.set(v, v128.loadSplat(at(i), offset))),
  };
}

/** Emits the epilogue on `r` and the store of the result. */
export function storeNeighbors(
  f: Func,
  caps: Caps,
  epilogue: Epilogue | null,
  r: Local,
  to: Neighbors,
): void {
  const whole = to.lanes === 4 && to.step === 1;
  const at = (lane: number) => to.offset + lane * to.step * 4;
  const values: Record<string, Operand> = { r };
  epilogue?.operands.forEach(({ name }, i) => {
    const known = to.perChannel?.get(name);
    const e =
      known ??
      f.let("v128", name, (whole ? v128.load : v128.loadZero32)(to.operandAt(i), to.offset));
    values[name] = e;
    if (!whole && !known)
      for (let lane = 1; lane < to.lanes; lane++)
        f.set(e, v128.loadLane(to.operandAt(i), e, lane, at(lane)));
  });
  const value = epilogue ? emitExpr(f, caps, epilogue.f, values) : r;
  if (whole) f.store(to.address, value, to.offset);
  else for (let lane = 0; lane < to.lanes; lane++) f.storeLane(to.address, value, lane, at(lane));
}
