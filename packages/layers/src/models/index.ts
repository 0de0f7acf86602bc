// @conv/layers/models: the networks, each a function that returns its description.

import type { Model } from "../layer.ts";
import { digitCodes } from "./digits.ts";
import { lenet5 } from "./lenet5.ts";
import { c3Table, lenet5_1998, maximumAPosteriori } from "./lenet5_1998.ts";

export { c3Table, digitCodes, lenet5, lenet5_1998, maximumAPosteriori };

/** All networks by name. */
export const models: Readonly<Record<string, () => Model>> = { lenet5, lenet5_1998 };
