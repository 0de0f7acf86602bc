// Everything the contract of a back end promises, on one thread and on two.

import { testBackend } from "@conv/testkit";
import { createCpu } from "../src/index.ts";

testBackend("cpu, 1 thread", () => createCpu({ threads: 1 }));
testBackend("cpu, 2 threads", () => createCpu({ threads: 2 }));
testBackend("cpu, off thread, 1 thread", () => createCpu({ threads: 1, offThread: true }));
testBackend("cpu, off thread, 2 threads", () => createCpu({ threads: 2, offThread: true }));
