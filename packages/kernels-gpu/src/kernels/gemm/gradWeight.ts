// The gradient of convolution to the weight as a product: rows of dy with what each tap sees of x,
// summed over batch and positions. That sum is long and its outputs are few, so that it is split
// among workgroups.

import { GRAD_WEIGHT } from "./product.ts";
import { tiledKernel } from "./tiles.ts";

export const gradWeight = tiledKernel("gradWeight", GRAD_WEIGHT);
