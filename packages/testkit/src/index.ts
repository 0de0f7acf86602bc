// @conv/testkit: one call tests a back end.

export { check, difference, judge, runOnce } from "./check.ts";
export { draw, drawAll } from "./data.ts";
export { deferred } from "./deferred.ts";
export { failEach } from "./failing.ts";
export { evaluateBounded } from "./roundoff.ts";
export { SUM_FACTOR, ULP, type Bounded } from "@conv/ops/cases";
export { share } from "./suite/device.ts";
export { testBackend, type SuiteName } from "./test-backend.ts";
