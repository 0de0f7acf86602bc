// What an engine is given: the device it is to run on, the libraries as they are loaded here (a
// process of Node or a page), and Conv's back end.

import type { Backend, Buffer, Graph, Program } from "@conv/tensor";

/** Where all competitors of a run compute. */
export type Device = "cpu" | "gpu";

/**
 * How the installed libraries are reached, each seen through the few members that are used of it.
 */
export interface Peers {
  load<T>(name: PeerPackage): Promise<T>;
  version(name: PeerPackage): Promise<string>;
  /** The URL, or in Node the path, of a folder of a package, with a slash at its end. */
  folder(path: string): string;
}

export type PeerPackage =
  | "onnxruntime-web"
  | "onnxruntime-web/webgpu"
  | "onnxruntime-node"
  | "@tensorflow/tfjs-core"
  | "@tensorflow/tfjs-backend-wasm"
  | "@tensorflow/tfjs-backend-webgpu"
  | "@tensorflow/tfjs-gradients"
  | "@jax-js/jax";

/**
 * Conv's back end. The programs of some are ready only after a while, and tell seconds by the clock
 * of the device.
 */
export interface OwnBackend extends Backend {
  /** What the device has; `timestamps` among it. */
  readonly caps?: object;
  compile(graph: Graph): OwnProgram;
}
export interface OwnProgram extends Program {
  readonly ready?: Promise<void>;
  time?(inputs: readonly Buffer[], outputs: readonly Buffer[]): Promise<readonly number[]>;
}

export interface Context {
  readonly device: Device;
  readonly threads: number;
  readonly peers: Peers;
  /** Conv's own; `half` asks a GPU for float16, in arithmetic and between the steps of programs. */
  backend(half: boolean): Promise<OwnBackend>;
}

/** What Conv's back end of a GPU is given where float16 is asked for. */
export const HALF = { storage: "float16", precision: "fast" } as const;
