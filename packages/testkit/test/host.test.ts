// The host is a back end like any other. Its results are those of the references themselves, so a
// share of the cases is enough.

import { createHost } from "@conv/tensor";
import { testBackend } from "@conv/testkit";

testBackend("host", createHost, { every: 4 });
