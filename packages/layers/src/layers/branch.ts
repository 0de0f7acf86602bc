// Layers that split and meet again: residual sums and branches side by side.

import { add, concat } from "@conv/ops";
import { named, type Parts } from "./basic.ts";
import type { Layer } from "./layer.ts";

/**
 * main(x) + shortcut(x), the shortcut being x itself where absent (He, Zhang, Ren and Sun 2016).
 * Both run under the name of the whole, so the names of their parts must differ. Throws ShapeError
 * where the two shapes do not broadcast.
 */
export const residual = (main: Layer, shortcut?: Layer): Layer => ({
  type: "residual",
  forward: (x, ctx) => add(main.forward(x, ctx), shortcut ? shortcut.forward(x, ctx) : x),
});

/**
 * All parts on the same input, their results joined along the channels: x (n, c, …) → (n, Σ
 * channels, …). Throws ShapeError where other sizes differ.
 */
export const branches = (parts: Parts): Layer => ({
  type: "branches",
  forward: (x, ctx) =>
    concat(
      named(parts).map(([name, layer]) => ctx.child(name, layer, x)),
      1,
    ),
});

/**
 * As {@link branches}, but all under the name of the whole, so that the names of their parts must
 * differ.
 */
export const parallel = (...layers: readonly Layer[]): Layer => ({
  type: "parallel",
  forward: (x, ctx) =>
    concat(
      layers.map((layer) => layer.forward(x, ctx)),
      1,
    ),
});
