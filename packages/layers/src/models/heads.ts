// Networks with auxiliary heads: parts in sequence, and heads on outputs of some of them, which are
// used in training only.

import { message, shapeError, type Value } from "@conv/tensor";
import type { Layer } from "../layers/layer.ts";

/** An auxiliary head: an output that training compares with the labels too. */
export interface Head {
  /** The part whose output it reads; it comes before the head in the list. */
  readonly on: string;
  readonly head: Layer;
  /** Factor of its loss. */
  readonly weight: number;
}

/**
 * Parts in sequence. The tensors of the heads always belong to the network, in the order of the
 * list; their outputs are used in training only. Throws ShapeError for a head on a part that does
 * not come before it.
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
