// Forward passes for the page: a program that returns every value, and their order while the digit
// and the weights change. Each is called a look.

import { bytesOf, type Backend, type Buffer } from "@conv/tensor";
import type { Network } from "./stages.ts";

/** Runs the network on one prepared image and returns the values of all probes. */
export type Eye = (x: Float32Array, parameters: readonly Float32Array[]) => Promise<Float32Array[]>;

/** Compiles the network for a back end, with all probes as outputs. */
export function createEye(backend: Backend, { graph }: Network): Eye {
  const program = backend.compile(graph);
  const inputs = graph.inputs.map((v) => backend.alloc(bytesOf(v.spec)));
  const outputs = graph.outputs.map((v) => backend.alloc(bytesOf(v.spec)));
  const read = async (buffer: Buffer) => new Float32Array(await backend.read(buffer));
  return async (x, parameters) => {
    [x, ...parameters].forEach((data, i) => backend.write(inputs[i], data));
    program.run(inputs, outputs);
    return Promise.all(outputs.map(read));
  };
}

type Work =
  | { readonly state: "idle" }
  /** `again`: something has changed since this look started, so another one follows. */
  | { readonly state: "looking"; readonly done: Promise<void>; again: boolean };

export interface Looker {
  /** Looks at this image, or at the last one again. Returns at once while a look is running. */
  look(pixels?: Float32Array): Promise<void>;
  /** Waits until no look is running. */
  settled(): Promise<void>;
}

/** One look at a time, always at the latest image. `draw` must not reject. */
export function createLooker(draw: (pixels: Float32Array) => Promise<void>): Looker {
  let latest: Float32Array | null = null;
  let work: Work = { state: "idle" };
  const looker: Looker = {
    async look(pixels) {
      latest = pixels ?? latest;
      if (work.state === "looking") work.again = true;
      else if (latest) {
        const now: Work = { state: "looking", done: draw(latest), again: false };
        work = now;
        await now.done;
        work = { state: "idle" };
        if (now.again) await looker.look();
      }
    },
    async settled() {
      while (work.state === "looking") await work.done;
    },
  };
  return looker;
}
