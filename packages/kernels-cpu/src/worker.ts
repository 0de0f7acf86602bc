// A worker's script, for applications that supply it themselves: createCpu({ worker: () => new
// Worker(…) }).

import { createMemory, createRuntime, createWatch, serve } from "./runtime/runtime.ts";

serve(createRuntime, createMemory, createWatch);
