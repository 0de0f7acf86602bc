// Networks with auxiliary heads: parts one after the other, and heads on what some of them make,
// which only training sees.

import { message, shapeError, type Value } from "@conv/tensor";
import type { Layer } from "../layers/layer.ts";

/** Something that training holds against the labels too. */
export interface Head {
  /** The part whose output it sees, before it in the list. */
  readonly on: string;
  readonly head: Layer;
  /** What its loss counts for. */
  readonly weight: number;
}

/**
 * All parts one after the other. The heads' tensors always belong to the network, in the order of
 * the list; their outputs only training uses. Throws ShapeError where a head stands on no part
 * before it.
 */
export const withHeads = (parts: readonly (readonly [string, Layer | Head])[]): Layer => ({
  type: "withHeads",
  forward(x, ctx) {
    const made = new Map<string, Value>();
    let value = x;
    for (const [name, part] of parts) {
      if ("forward" in part) made.set(name, (value = ctx.child(name, part, value)));
      else {
        const seen = made.get(part.on);
        if (!seen)
          throw shapeError(
            "withHeads",
            "no-such-part",
            message`${{ name }} reads ${{ on: part.on }}, which is not a part before it`,
          );
        const output = ctx.child(name, part.head, seen);
        if (ctx.training) ctx.auxiliary(output, part.weight);
      }
    }
    return value;
  },
});
