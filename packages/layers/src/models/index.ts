// @conv/layers/models: the networks, each a function that returns its description.

import type { Model } from "../layer.ts";
import { lenet5 } from "./lenet5.ts";

export { lenet5 };

/** All networks by name. */
export const models: Readonly<Record<string, () => Model>> = { lenet5 };
