// Convolution and its gradient to the input as products of matrices that are never laid out: each
// slice of x is gathered on its way into workgroup memory. The gradient with stride s is one
// product for each remainder by s, so that no work is done on zeros.

import { CONV } from "./product.ts";
import { tiledKernel } from "./tiles.ts";

export const igemm = tiledKernel("igemm", CONV);
