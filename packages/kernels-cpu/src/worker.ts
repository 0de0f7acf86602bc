// The script of a worker, for applications that supply it: createCpu({ worker: () => new Worker(…)
// }).

import { createMemory, createRuntime, createWatch, serve } from "./runtime/runtime.ts";

serve(createRuntime, createMemory, createWatch);
