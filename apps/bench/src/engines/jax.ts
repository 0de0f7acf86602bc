// jax-js on its WebAssembly back end. Its operations are lazy: a run is over when the result is ready.

import { shapesOf } from "../layers.ts";
import { importPeer, peerVersion } from "../peers.ts";
import type { Engine } from "../task.ts";

interface JaxArray {
  readonly ref: JaxArray;
  blockUntilReady(): Promise<JaxArray>;
  data(): Promise<Float32Array>;
  dispose(): void;
}
interface Jax {
  init(device: "wasm"): Promise<readonly string[]>;
  defaultDevice(device: "wasm"): string;
  readonly numpy: { array(data: Float32Array, options: { shape: readonly number[] }): JaxArray };
  jit(fn: (x: JaxArray, w: JaxArray) => JaxArray): ((x: JaxArray, w: JaxArray) => JaxArray) & { dispose(): void };
  readonly lax: {
    convGeneralDilated(
      x: JaxArray,
      w: JaxArray,
      strides: readonly number[],
      padding: readonly (readonly [number, number])[],
      options: { rhsDilation: readonly number[]; featureGroupCount: number },
    ): JaxArray;
  };
}

export async function createEngine(threads: number): Promise<Engine> {
  if (threads > 1) throw new Error("jax-js runs on one thread");
  const jax = await importPeer<Jax>("@jax-js/jax/dist/index.js");
  if (!(await jax.init("wasm")).includes("wasm")) throw new Error("jax-js: the wasm back end did not start");
  jax.defaultDevice("wasm");
  return {
    version: await peerVersion("@jax-js/jax"),
    async layer({ direction, geometry: g }, operands) {
      if (direction !== "forward") throw new Error("jax-js is measured forward only");
      const [a, b] = shapesOf(direction, g).operands.map((shape, i) => jax.numpy.array(operands[i], { shape }));
      await Promise.all([a.ref.blockUntilReady(), b.ref.blockUntilReady()]);
      const padding = g.padLo.map((lo, axis) => [lo, g.padHi[axis]] as const);
      const conv = jax.jit((x, w) => jax.lax.convGeneralDilated(x, w, g.stride, padding, { rhsDilation: g.dilation, featureGroupCount: g.groups }));
      let y: JaxArray | undefined;
      const clear = () => {
        y?.dispose();
        y = undefined;
      };
      return {
        async run() {
          y = await conv(a.ref, b.ref).blockUntilReady();
        },
        clear,
        read: async () => y!.ref.data(),
        dispose() {
          clear();
          conv.dispose();
          a.dispose();
          b.dispose();
        },
      };
    },
  };
}
