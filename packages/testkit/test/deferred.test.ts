// The contract carries a device whose memory is elsewhere and whose work is done later.

import { createHost } from "@conv/tensor";
import { deferred, testBackend } from "@conv/testkit";

testBackend("deferred host", () => deferred(createHost()), { every: 8 });
