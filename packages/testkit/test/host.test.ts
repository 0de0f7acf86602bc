// The host is a back end like any other.

import { createHost } from "@conv/tensor";
import { testBackend } from "@conv/testkit";

testBackend("host", createHost);
