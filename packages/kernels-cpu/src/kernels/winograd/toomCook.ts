// The code that applies the matrices of Winograd's short convolutions.

import { combine as combineFor, type Matrix } from "@conv/compiler";
import type { Caps } from "../../compile/caps.ts";
import { f32x4, type Local } from "../../wasm/asm.ts";
import { madd } from "../../wasm/math.ts";
import type { Func } from "../../wasm/module.ts";

/** Emits matrix · x. */
export const combine = (f: Func, caps: Caps, matrix: Matrix, x: readonly Local[]): Local[] =>
  combineFor<Local>(
    {
      add: (a, b, name) => f.let("v128", name, f32x4.add(a, b)),
      sub: (a, b, name) => f.let("v128", name, f32x4.sub(a, b)),
      begin: (c, v) => f.let("v128", "sum", c === 1 ? v : f32x4.mul(v, c)),
      more(sum, c, v) {
        f.set(
          sum,
          c === 1 ? f32x4.add(sum, v) : c === -1 ? f32x4.sub(sum, v) : madd(caps, v, c, sum),
        );
        return sum;
      },
    },
    matrix,
    x,
  );
