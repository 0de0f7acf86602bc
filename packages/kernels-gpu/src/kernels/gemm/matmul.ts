// Matrix product of any aspect, batched, either side stored transposed, by tiles in workgroup
// memory.

import { MATMUL } from "./product.ts";
import { tiledKernel } from "./tiles.ts";

export const matmul = tiledKernel("matmul", MATMUL);
