// The page's side of the worker: one object that renders read, and functions that ask for something.

import { useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { modelNamed } from "./models.ts";
import type { Point, Reply, Request, Sample } from "./protocol.ts";
import { known, readNetwork, type Known, type Network } from "./stages.ts";

export interface Seen {
  /** The picture, 28×28. */
  readonly pixels: Float32Array;
  readonly values: Known;
}

export interface Notice {
  readonly kind: "loaded" | "refused" | "failed";
  readonly text: string;
}

export interface NetworkState {
  readonly ready: { readonly threads: number; readonly heldOut: number; readonly trainCount: number } | null;
  readonly samples: readonly Sample[];
  readonly seen: Seen | null;
  readonly losses: readonly Point[];
  readonly accuracies: readonly { readonly images: number; readonly accuracy: number }[];
  readonly imagesPerSecond: number;
  readonly running: boolean;
  /** Images behind the weights: 0 where they are random, null where they came from a file. */
  readonly images: number | null;
  readonly notice: Notice | null;
}

const START: NetworkState = {
  ready: null,
  samples: [],
  seen: null,
  losses: [],
  accuracies: [],
  imagesPerSecond: 0,
  running: false,
  images: 0,
  notice: null,
};

export interface Client {
  readonly network: Network;
  readonly subscribe: (listener: () => void) => () => void;
  readonly state: () => NetworkState;
  readonly send: (request: Request, transfer?: Transferable[]) => void;
  readonly close: () => void;
}

function createClient(modelName: string): Client {
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
  send({ type: "start", model: modelName, digits: new URL("digits.bin", document.baseURI).href });
  return {
    network,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    state: () => state,
    send,
    close: () => worker.terminate(),
  };
}

function after(state: NetworkState, message: Reply, network: Network): Partial<NetworkState> {
  switch (message.type) {
    case "ready":
      return { ready: message };
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
      // New weights begin a new curve.
      return {
        running: message.running,
        images: message.images,
        ...(message.images ? {} : message.running ? { notice: null } : { losses: [], accuracies: [], imagesPerSecond: 0 }),
      };
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

function download(bytes: Uint8Array, name: string): void {
  const url = URL.createObjectURL(new Blob([new Uint8Array(bytes)], { type: "application/octet-stream" }));
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

const nothing = () => () => {};
const atStart = () => START;

/** The network of that name in a worker of its own; null until it exists. */
export function useNetwork(modelName: string): { client: Client | null; state: NetworkState } {
  const [client, setClient] = useState<Client | null>(null);
  useEffect(() => {
    const made = createClient(modelName);
    setClient(made);
    return () => {
      made.close();
      setClient(null);
    };
  }, [modelName]);
  const state = useSyncExternalStore(client?.subscribe ?? nothing, client?.state ?? atStart);
  return useMemo(() => ({ client, state }), [client, state]);
}
