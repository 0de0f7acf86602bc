// The back end that the commands compute on.

import { createCpu } from "@conv/kernels-cpu";
import type { Backend } from "@conv/tensor";

/** WebAssembly on all cores, or on as many as are asked for. */
export const openBackend = (threads?: number): Promise<Backend> => createCpu(threads === undefined ? {} : { threads });
