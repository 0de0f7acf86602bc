// The page's side of the worker: one object that renders read, and functions that ask for something.

import { useSyncExternalStore } from "react";
import { modelNamed } from "./models.ts";
import type { DeviceChoice, DeviceInfo, DeviceName, Point, Reply, Request, Sample } from "./protocol.ts";
import { START_RECIPE, type Recipe } from "./recipe.ts";
import { known, readNetwork, type Known, type Network } from "./stages.ts";

export interface Seen {
  /** The picture, 28×28. */
  readonly pixels: Float32Array;
  readonly values: Known;
}

export interface Notice {
  readonly kind: "loaded" | "refused" | "failed" | "notGpu" | "lost";
  readonly text: string;
}

export interface NetworkState {
  readonly ready: { readonly heldOut: number; readonly trainCount: number } | null;
  /** What it computes on; null until that is known. */
  readonly device: DeviceInfo | null;
  /** What was asked for and is not there yet. */
  readonly moving: DeviceName | null;
  /** Why it is not the GPU although that would be preferred, where nothing was asked for. */
  readonly notGpu: string | null;
  /** Shaders compiled of those that are needed now; null when there is nothing to wait for. */
  readonly compiling: { readonly ready: number; readonly total: number } | null;
  readonly samples: readonly Sample[];
  readonly seen: Seen | null;
  readonly losses: readonly Point[];
  readonly accuracies: readonly { readonly images: number; readonly accuracy: number }[];
  readonly imagesPerSecond: number;
  readonly running: boolean;
  readonly learningRate: number;
  readonly recipe: Recipe;
  /** Images behind the weights: 0 where they are random, null where they came from a file. */
  readonly images: number | null;
  readonly notice: Notice | null;
}

const START: NetworkState = {
  ready: null,
  device: null,
  moving: null,
  notGpu: null,
  compiling: null,
  samples: [],
  seen: null,
  losses: [],
  accuracies: [],
  imagesPerSecond: 0,
  running: false,
  learningRate: 1e-3,
  recipe: START_RECIPE,
  images: 0,
  notice: null,
};

export interface Client {
  readonly network: Network;
  readonly subscribe: (listener: () => void) => () => void;
  readonly state: () => NetworkState;
  readonly send: (request: Request, transfer?: Transferable[]) => void;
  /** Takes effect at the next step. */
  readonly setLearningRate: (value: number) => void;
  /** Pauses the training. */
  readonly setRecipe: (recipe: Recipe) => void;
  /** Moves the network, with all it has learned. */
  readonly setDevice: (device: DeviceName) => void;
}

function createClient(modelName: string, device: DeviceChoice): Client {
  const network = readNetwork(modelNamed(modelName));
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "network" });
  const listeners = new Set<() => void>();
  let state = START;
  const set = (changes: Partial<NetworkState>) => {
    state = { ...state, ...changes };
    for (const listener of listeners) listener();
  };
  worker.addEventListener("message", ({ data }: MessageEvent<Reply>) => set(after(state, data, network)));
  worker.addEventListener("error", (e) => set({ notice: { kind: "failed", text: e.message }, running: false }));
  const send = (request: Request, transfer: Transferable[] = []) => worker.postMessage(request, transfer);
  send({ type: "start", model: modelName, digits: new URL("digits.bin", document.baseURI).href, device });
  return {
    network,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    state: () => state,
    send,
    setLearningRate: (value) => {
      set({ learningRate: value });
      send({ type: "rate", value });
    },
    setRecipe: (recipe) => {
      set({ recipe });
      send({ type: "recipe", recipe });
    },
    setDevice: (to) => {
      if (to === (state.moving ?? state.device?.name)) return;
      set({ moving: to });
      send({ type: "device", device: to });
    },
  };
}

function after(state: NetworkState, message: Reply, network: Network): Partial<NetworkState> {
  switch (message.type) {
    case "ready":
      return { ready: message };
    case "device":
      return deviceAfter(state, message);
    case "compiling":
      return { compiling: message.ready < message.total ? message : null };
    case "samples":
      return { samples: message.samples };
    case "seen":
      return { seen: { pixels: message.pixels, values: known(network, message.x, message.parameters, message.probes) } };
    case "progress":
      return {
        losses: [...state.losses, ...message.points],
        images: message.points.at(-1)?.images ?? state.images,
        imagesPerSecond: message.imagesPerSecond,
      };
    case "accuracy":
      return { accuracies: [...state.accuracies, message] };
    case "training":
      if (message.running) return { running: true, images: message.images, notice: null };
      return { running: false, images: message.images, ...(message.fresh ? { losses: [], accuracies: [], imagesPerSecond: 0, notice: null } : {}) };
    case "weights":
      download(message.bytes, `${network.model.name}.safetensors`);
      return {};
    case "loaded":
      return { notice: { kind: "loaded", text: message.name } };
    case "refused":
      return { notice: { kind: "refused", text: message.message } };
    case "failed":
      return { notice: { kind: "failed", text: message.message }, running: false };
  }
}

function deviceAfter(state: NetworkState, { device, notGpu, lost }: Extract<Reply, { type: "device" }>): Partial<NetworkState> {
  const base = { device, moving: null, notGpu, compiling: null };
  if (lost !== null) return { ...base, notice: { kind: "lost", text: lost } };
  // At the start the reason is a note beside the device; to who asked for the GPU it is an answer.
  if (notGpu !== null && state.moving === "gpu") return { ...base, notice: { kind: "notGpu", text: notGpu } };
  return state.moving ? { ...base, notice: null } : base;
}

function download(bytes: Uint8Array, name: string): void {
  const url = URL.createObjectURL(new Blob([new Uint8Array(bytes)], { type: "application/octet-stream" }));
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

// Networks live as long as the page: what one has learned is still there when the reader comes back to it.
const clients = new Map<string, Client>();

/** The network of that name, in a worker of its own, which begins on that device. */
export function useNetwork(modelName: string, device: DeviceChoice): { client: Client; state: NetworkState } {
  let client = clients.get(modelName);
  if (!client) clients.set(modelName, (client = createClient(modelName, device)));
  return { client, state: useSyncExternalStore(client.subscribe, client.state) };
}
