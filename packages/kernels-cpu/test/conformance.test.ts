// Everything that the contract of a back end promises, on one thread; and a share of the cases where the same kernels run on two, or off the
// calling thread.

import { testBackend } from "@conv/testkit";
import { createCpu } from "../src/index.ts";

testBackend("cpu, 1 thread", () => createCpu({ threads: 1 }));
testBackend("cpu, 2 threads", () => createCpu({ threads: 2 }), { every: 3 });
testBackend("cpu, off thread, 1 thread", () => createCpu({ threads: 1, offThread: true }), { every: 8 });
testBackend("cpu, off thread, 2 threads", () => createCpu({ threads: 2, offThread: true }), { every: 8 });
