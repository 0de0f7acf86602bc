// @conv/tensor: the graph and everything that knows no op by name.

// Types of `using`, which projects for the browsers of today do not list.
/// <reference lib="esnext.disposable" preserve="true" />

export { apply, jit, type Arg, type Jitted, type Results } from "./apply.ts";
export type { Backend, Buffer, Kernel, MemoryInfo, Program, Step } from "./backend.ts";
export { createCache, type Cache } from "./cache.ts";
export { manageBackend, type Driver, type Managed } from "./driver.ts";
export {
  checkOptions,
  complaint,
  FileError,
  fileError,
  isConvError,
  kindOf,
  message,
  nearest,
  rangeError,
  ShapeError,
  shapeError,
  stateError,
  unsupported,
  UnsupportedError,
  type ConvError,
  type Facts,
  type Message,
} from "./errors.ts";
export {
  constant,
  constantsOf,
  costOf,
  dependents,
  freeInputs,
  graphOf,
  input,
  isConstant,
  node,
  trace,
  within,
  type Constant,
  type Graph,
} from "./graph.ts";
export { exactly, keyOfOp } from "./identity.ts";
export { arrayOf, createHost, evaluate, hostArray } from "./host.ts";
export type { Bytes } from "./bytes.ts";
export {
  isOp,
  Value,
  type Cost,
  type Cotangents,
  type HostArray,
  type Node,
  type Op,
  type Window,
} from "./op.ts";
export { optimize } from "./optimize.ts";
export { printable, quoted } from "./printable.ts";
export {
  bytesOf,
  formatShape,
  sameShape,
  sizeOf,
  spec,
  stridesOf,
  type Spec,
  mustBeDType,
} from "./spec.ts";
export {
  decodeElements,
  dtypeNames,
  dtypes,
  encodeElements,
  infoOf,
  isFloating,
  roundTo,
  type DType,
  type Elements,
} from "./dtypes.ts";
export { allocate, dispose, scope, Tensor, tensor } from "./tensor.ts";
export { vjp } from "./vjp.ts";
