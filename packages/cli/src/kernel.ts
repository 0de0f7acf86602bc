// The kernel argument of the commands that describe one convolution.

import { UserError } from "./errors.ts";

/**
 * The kernel size of each spatial axis. Throws UserError unless it has one size, or one for each.
 */
export function kernelSizes(kernel: readonly number[], input: readonly number[]): number[] {
  const rank = input.length - 1;
  if (kernel.length !== 1 && kernel.length !== rank)
    throw new UserError(
      `the kernel ${kernel.join("x")} has ${kernel.length} sizes, the input ${input.join("x")} has ` +
        `${rank} besides its channels`,
    );
  return Array.from({ length: rank }, (_, a) => kernel[kernel.length === 1 ? 0 : a]);
}
