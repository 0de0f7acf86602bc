// Tensors and operations: a convolution that runs at once, and a function that is compiled as a
// whole.

import { add, conv, relu, reshape } from "@conv/ops";
import { jit, tensor, type Backend } from "@conv/tensor";

export async function main(backend: Backend): Promise<number[]> {
  const x = tensor(
    backend,
    Array.from({ length: 2 * 36 }, (_, i) => (i % 7) - 3),
    [1, 2, 6, 6],
  );
  const w = tensor(
    backend,
    Array.from({ length: 3 * 2 * 9 }, (_, i) => (i % 5) - 2),
    [3, 2, 3, 3],
  );
  const b = tensor(backend, [1, -2, 3]);
  const layer = jit((image, kernel, bias) =>
    relu(add(conv(image, kernel, { stride: 2, padding: 1 }), reshape(bias, [1, 3, 1, 1]))),
  );
  const results = [conv(x, w), layer(x, w, b)];
  return (await Promise.all(results.map((y) => y.read()))).flatMap((y) => [...y]);
}
