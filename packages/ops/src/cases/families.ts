// The families of ops: one line for each file of cases.

export * as conv from "../conv.cases.ts";
export * as pool from "../pool.cases.ts";
export * as elementwise from "../elementwise.cases.ts";
export * as reduce from "../reduce.cases.ts";
export * as move from "../move.cases.ts";
export * as create from "../create.cases.ts";
export * as matmul from "../matmul.cases.ts";
export * as softmax from "../softmax.cases.ts";
export * as resample from "../resample.cases.ts";
export * as gather from "../gather.cases.ts";
export * as cast from "../cast.cases.ts";
export * as compare from "../compare.cases.ts";
