// jax-js in WebAssembly or on WebGPU. Its operations are lazy: a run is over when its result is
// ready, and a result that is dropped before is never made.

import { shapesOf } from "../layers.ts";
import type { Engine } from "../task.ts";
import type { Context } from "./context.ts";

type Platform = "wasm" | "webgpu";
interface JaxArray {
  readonly ref: JaxArray;
  blockUntilReady(): Promise<JaxArray>;
  data(): Promise<Float32Array>;
  dispose(): void;
}
interface Jax {
  init(platform: Platform): Promise<readonly string[]>;
  defaultDevice(platform: Platform): string;
  readonly numpy: { array(data: Float32Array, options: { shape: readonly number[] }): JaxArray };
  jit(
    fn: (x: JaxArray, w: JaxArray) => JaxArray,
  ): ((x: JaxArray, w: JaxArray) => JaxArray) & { dispose(): void };
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

export async function createEngine({ device, threads, peers }: Context): Promise<Engine> {
  if (threads > 1) throw new Error("jax-js runs on one thread");
  const platform = device === "gpu" ? "webgpu" : "wasm";
  const jax = await peers.load<Jax>("@jax-js/jax");
  if (!(await jax.init(platform)).includes(platform))
    throw new Error(`jax-js: the ${platform} back end did not start`);
  jax.defaultDevice(platform);
  return {
    version: await peers.version("@jax-js/jax"),
    async layer({ direction, geometry: g }, operands) {
      if (direction !== "forward") throw new Error("jax-js is measured forward only");
      const [a, b] = shapesOf(direction, g).operands.map((shape, i) =>
        jax.numpy.array(operands[i], { shape }),
      );
      await Promise.all([a.ref.blockUntilReady(), b.ref.blockUntilReady()]);
      const padding = g.padLo.map((lo, axis) => [lo, g.padHi[axis]] as const);
      const conv = jax.jit((x, w) =>
        jax.lax.convGeneralDilated(x, w, g.stride, padding, {
          rhsDilation: g.dilation,
          featureGroupCount: g.groups,
        }),
      );
      let made: JaxArray[] = [];
      const clear = () => {
        made.forEach((y) => y.dispose());
        made = [];
      };
      return {
        run: () => void made.push(conv(a.ref, b.ref)),
        finish: async () => void (await Promise.all(made.map((y) => y.blockUntilReady()))),
        clear,
        read: async () => made.at(-1)!.ref.data(),
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
