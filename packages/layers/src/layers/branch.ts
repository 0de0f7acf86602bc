// Layers with parallel branches: residual sums and concatenation.

import { add, concat } from "@conv/ops";
import { named, type Parts } from "./basic.ts";
import type { Layer } from "./layer.ts";

/**
 * main(x) + shortcut(x), by default main(x) + x (He, Zhang, Ren and Sun 2016). Both run under the
 * name of this layer, so the names of their parts must differ. Throws ShapeError if the two shapes
 * do not broadcast.
 */
export const residual = (main: Layer, shortcut?: Layer): Layer => ({
  type: "residual",
  forward: (x, ctx) => add(main.forward(x, ctx), shortcut ? shortcut.forward(x, ctx) : x),
});

/**
 * Applies all parts to the same input and concatenates the results along the channels: x (n, c, …)
 * → (n, Σ channels, …). Throws ShapeError if other sizes differ.
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
 * {@link branches} whose layers all run under the name of this layer, so the names of their parts
 * must differ.
 */
export const parallel = (...layers: readonly Layer[]): Layer => ({
  type: "parallel",
  forward: (x, ctx) =>
    concat(
      layers.map((layer) => layer.forward(x, ctx)),
      1,
    ),
});
