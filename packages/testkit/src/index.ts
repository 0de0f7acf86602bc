// @conv/testkit: one call tests a back end.

export { check, difference, judge, runOnce } from "./check.ts";
export { draw, drawAll } from "./data.ts";
export { deferred } from "./deferred.ts";
export { failEach } from "./failing.ts";
export { evaluateBounded, SUM_FACTOR, type Bounded } from "./roundoff.ts";
export { ULP } from "./roundoff-expr.ts";
export { share } from "./suite/device.ts";
export { testBackend, type SuiteName } from "./test-backend.ts";
