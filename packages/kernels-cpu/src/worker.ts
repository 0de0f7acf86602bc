// A worker's script, for applications that supply it themselves: createCpu({ worker: () => new Worker(…) }).

import { createMemory, createRuntime, serve } from "./runtime.ts";

serve(createRuntime, createMemory);
