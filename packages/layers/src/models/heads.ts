// Networks with auxiliary heads: parts one after the other, and heads on what some of them make, which only training sees.

import type { Layer } from "../layer.ts";

/** Something that training holds against the labels too. */
export interface Head {
  /** The part whose output it sees, before it in the list. */
  readonly on: string;
  readonly head: Layer;
  /** What its loss counts for. */
  readonly weight: number;
}

/** All parts one after the other. The heads' tensors always belong to the network, in the order of the list; their outputs only training uses. */
export const withHeads = (parts: readonly (readonly [string, Layer | Head])[]): Layer => ({
  type: "withHeads",
  forward(x, ctx) {
    const made = new Map<string, typeof x>();
    let value = x;
    for (const [name, part] of parts) {
      if ("forward" in part) made.set(name, (value = ctx.child(name, part, value)));
      else {
        const output = ctx.child(name, part.head, made.get(part.on) ?? x);
        if (ctx.training) ctx.auxiliary(output, part.weight);
      }
    }
    return value;
  },
});
