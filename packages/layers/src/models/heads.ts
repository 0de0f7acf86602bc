// Networks with auxiliary heads: layers in sequence, and heads on the outputs of some of them,
// which are used in training only.

import { message, shapeError, type Value } from "@conv/tensor";
import type { Layer } from "../layers/layer.ts";

/** An auxiliary head, whose loss is added in training. */
export interface Head {
  /** Name of the part whose output it reads; it must come before the head in the list. */
  readonly on: string;
  readonly head: Layer;
  /** Factor of its loss. */
  readonly weight: number;
}

/**
 * Parts in sequence, with auxiliary heads. The tensors of the heads are always part of the model,
 * in the order of the list; their outputs are used in training only. Throws ShapeError if a head
 * names a part that does not come before it.
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
            message`${{ name }} reads ${{ on: part.on }}, which is not the name of a part before it in the list`,
          );
        const output = ctx.child(name, part.head, seen);
        if (ctx.training) ctx.auxiliary(output, part.weight);
      }
    }
    return value;
  },
});
