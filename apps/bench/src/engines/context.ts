// What an engine is given: the device it is to run on, the libraries as they are loaded here (a process of Node or a page), and Conv's back end.

import type { Backend, Buffer, Graph, Program } from "@conv/tensor";

/** Where all competitors of a run compute. */
export type Device = "cpu" | "gpu";

/** How the installed libraries are reached, each seen through the few members that are used of it. */
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

/** Conv's back end. The programs of some are ready only after a while, and tell seconds by the clock of the device. */
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
  /** Conv's own; `storage` is what the programs of a GPU keep between their steps. */
  backend(storage: "float32" | "float16"): Promise<OwnBackend>;
}
