// @conv/layers/models: functions that return the models.

import type { Model } from "../layers/layer.ts";
import * as networks from "./networks.ts";

export { digitCodes } from "./digits.ts";
export type { AuxiliaryOptions, ClassifierOptions } from "./imagenet.ts";
export { c3Table, maximumAPosteriori } from "./lenet5_1998.ts";
export * from "./networks.ts";
export type { UnetModelOptions } from "./unet.ts";

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]) =>
  a.localeCompare(b, "en", { numeric: true });

/** All networks by name. */
export const models: Readonly<Record<string, () => Model>> = /* @__PURE__ */ Object.fromEntries(
  /* @__PURE__ */ Object.entries(networks).sort(byName),
);
