// The page's side of the worker: a state object for rendering, and functions that send requests.

import { useSyncExternalStore } from "react";
import { failureOf, UNEXPECTED, type Failure } from "../failure.ts";
import { modelNamed } from "./models.ts";
import type {
  DeviceChoice,
  DeviceInfo,
  DeviceName,
  NotGpu,
  Point,
  Refusal,
  Reply,
  Request,
  Sample,
  Weights,
} from "./protocol.ts";
import { START_RECIPE, type Recipe } from "./recipe.ts";
import { known, readNetwork, type Known, type Network } from "./stages.ts";
import { shippedOf, type Beginning } from "./weights.ts";

export interface Seen {
  /** The digit, 28×28. */
  readonly pixels: Float32Array;
  readonly values: Known;
}

export type Notice =
  | { readonly kind: "loaded" | "lost"; readonly text: string }
  | { readonly kind: "failed"; readonly failure: Failure }
  | { readonly kind: "notGpu"; readonly reason: NotGpu }
  | { readonly kind: "refused"; readonly refusal: Refusal };

export interface NetworkState {
  readonly ready: { readonly testCount: number; readonly trainCount: number } | null;
  /** The device; null until it is known. */
  readonly device: DeviceInfo | null;
  /** The device that is being opened. */
  readonly moving: DeviceName | null;
  /** Why the device is not the GPU, where that was preferred or requested. */
  readonly notGpu: NotGpu | null;
  /** Shaders compiled, of those needed now; null when none is being compiled. */
  readonly compiling: { readonly ready: number; readonly total: number } | null;
  readonly samples: readonly Sample[];
  readonly seen: Seen | null;
  readonly losses: readonly Point[];
  readonly accuracies: readonly { readonly images: number; readonly accuracy: number }[];
  /** Measured training time per image on this device; null before the measurement. */
  readonly secondsPerImage: number | null;
  /** Images until the end of the training; null before its first report. */
  readonly left: number | null;
  readonly running: boolean;
  readonly learningRate: number;
  readonly recipe: Recipe;
  /** Origin of the weights; null until it is known. */
  readonly weights: Weights | null;
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
  secondsPerImage: null,
  left: null,
  running: false,
  learningRate: 1e-3,
  recipe: START_RECIPE,
  weights: null,
  notice: null,
};

export interface Client {
  readonly network: Network;
  readonly subscribe: (listener: () => void) => () => void;
  readonly state: () => NetworkState;
  readonly send: (request: Request, transfer?: Transferable[]) => void;
  /** Takes effect at the next step. */
  readonly setLearningRate: (value: number) => void;
  /** Takes effect at once; a running training continues. */
  readonly setRecipe: (recipe: Recipe) => void;
  /** Moves the network with its weights and optimizer state. */
  readonly setDevice: (device: DeviceName) => void;
  /** Replaces the weights. */
  readonly begin: (beginning: Beginning) => void;
  /** The initial weights. */
  readonly beginning: () => Beginning;
  readonly dismiss: () => void;
}

/** The initial settings of a network, from the address. */
export interface Choices {
  readonly device: DeviceChoice;
  readonly beginning: Beginning;
  readonly rate: number;
  readonly recipe: Recipe;
}

function createClient(modelName: string, choices: Choices): Client {
  const network = readNetwork(modelNamed(modelName));
  const worker = new Worker(new URL("./worker.ts", import.meta.url), {
    type: "module",
    name: "network",
  });
  const listeners = new Set<() => void>();
  let { beginning } = choices;
  let state: NetworkState = { ...START, learningRate: choices.rate, recipe: choices.recipe };
  const set = (changes: Partial<NetworkState>) => {
    state = { ...state, ...changes };
    for (const listener of listeners) listener();
  };
  worker.addEventListener("message", ({ data }: MessageEvent<Reply>) => {
    set(after(state, data, network));
    if (data.type === "seen")
      requestAnimationFrame(() => setTimeout(() => send({ type: "shown" })));
  });
  worker.addEventListener("error", (e) =>
    set({ notice: { kind: "failed", failure: failureOf(e.message) }, running: false }),
  );
  const send = (request: Request, transfer: Transferable[] = []) =>
    worker.postMessage(request, transfer);
  send({
    type: "start",
    model: modelName,
    folder: new URL(".", document.baseURI).href,
    ...choices,
  });
  return {
    network,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    state: () => state,
    send,
    setLearningRate: (value) => {
      if (value === state.learningRate) return;
      set({ learningRate: value });
      send({ type: "rate", value });
    },
    setRecipe: (recipe) => {
      if (recipe.optimizer === state.recipe.optimizer && recipe.augment === state.recipe.augment)
        return;
      set({ recipe });
      send({ type: "recipe", recipe });
    },
    setDevice: (to) => {
      if (to === (state.moving ?? state.device?.name)) return;
      set({ moving: to });
      send({ type: "device", device: to });
    },
    begin: (next) => {
      beginning = next;
      send({ type: "begin", beginning });
    },
    beginning: () => beginning,
    dismiss: () => state.notice && set({ notice: null }),
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
      return {
        seen: {
          pixels: message.pixels,
          values: known(network, message.x, message.parameters, message.probes),
        },
      };
    case "progress":
      return {
        losses: [...state.losses, ...message.points],
        weights: state.weights && { ...state.weights, images: message.images },
        left: message.left,
      };
    case "pace":
      return { secondsPerImage: message.secondsPerImage };
    case "accuracy":
      return { accuracies: [...state.accuracies, message] };
    case "training":
      return trainingAfter(state, message);
    case "weights":
      download(message.bytes, `${network.model.name}.safetensors`);
      return {};
    case "loaded":
      return { notice: { kind: "loaded", text: message.name } };
    case "refused":
      return { notice: { kind: "refused", refusal: message.refusal } };
    case "failed":
      // The page may have no words for it in the reader's language.
      if (message.failure.code === UNEXPECTED) console.error(message.failure.text);
      return { notice: { kind: "failed", failure: message.failure }, running: false, moving: null };
  }
}

function trainingAfter(
  { notice }: NetworkState,
  { running, weights, fresh }: Extract<Reply, { type: "training" }>,
): Partial<NetworkState> {
  if (running) return { running, weights, notice: null };
  if (!fresh) return { running, left: null, weights };
  // The message that pretrained weights could not be loaded stays with the random ones.
  const stays = notice?.kind === "refused" && weights.from === "random";
  return {
    running,
    left: null,
    weights,
    losses: [],
    accuracies: [],
    notice: stays ? notice : null,
  };
}

function deviceAfter(
  state: NetworkState,
  { device, notGpu, lost }: Extract<Reply, { type: "device" }>,
): Partial<NetworkState> {
  // Another device has another speed.
  const base = {
    device,
    moving: null,
    notGpu,
    compiling: null,
    ...(device.name === state.device?.name ? {} : { secondsPerImage: null }),
  };
  if (lost !== null) return { ...base, notice: { kind: "lost", text: lost } };
  // At the start the reason is a note next to the device; after a request for the GPU, a notice.
  if (notGpu !== null && state.moving === "gpu")
    return { ...base, notice: { kind: "notGpu", reason: notGpu } };
  return state.moving ? { ...base, notice: null } : base;
}

function download(bytes: Uint8Array, name: string): void {
  const url = URL.createObjectURL(
    new Blob([new Uint8Array(bytes)], { type: "application/octet-stream" }),
  );
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

// Networks live as long as the page, so that a network keeps its training when the reader returns
// to it.
const clients = new Map<string, Client>();

/** The last measured test accuracy; for pretrained weights the known one. */
export const accuracyOf = (
  { accuracies, weights }: NetworkState,
  model: string,
): number | undefined =>
  accuracies.at(-1)?.accuracy ??
  (weights?.from === "shipped" && weights.images === 0 ? shippedOf(model)?.accuracy : undefined);

const SMOOTHING = 0.06; // weight of a new loss in the running mean

/**
 * The exponential moving average of the losses, with bias correction for the first ones.
 */
export function smoothed(losses: readonly Point[]): number[] {
  let [mean, weight] = [0, 0];
  return losses.map(({ loss }) => {
    mean += (loss - mean) * SMOOTHING;
    weight += (1 - weight) * SMOOTHING;
    return mean / weight;
  });
}

/** The network of that name, in its worker, with those initial settings. */
export function useNetwork(
  modelName: string,
  choices: Choices,
): { client: Client; state: NetworkState } {
  let client = clients.get(modelName);
  if (!client) clients.set(modelName, (client = createClient(modelName, choices)));
  return { client, state: useSyncExternalStore(client.subscribe, client.state) };
}
