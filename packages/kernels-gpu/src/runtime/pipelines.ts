// Pipelines of a device, by their code: compiled in the background, and kept for further programs.

import { message } from "@conv/tensor";
import type { Ending } from "./ending.ts";
import { failed, type Errors } from "./errors.ts";

/** The most pipelines that are kept; the oldest goes first. Programs hold their own. */
const MOST_PIPELINES = 2000;

/** A flag of WebGPU, which Node has not as a global. */
const COMPUTE = 0x4;

export interface Pipeline {
  readonly layout: GPUBindGroupLayout;
  /** Null until it is compiled. */
  pipeline: GPUComputePipeline | null;
  /** Why it cannot be compiled. */
  failure: Error | null;
  readonly ready: Promise<void>;
}

export interface Pipelines {
  /**
   * The pipeline of a shader whose bindings are `reads` buffers that it reads, then `writes`
   * buffers that it writes.
   */
  pipeline(code: string, label: string, reads: number, writes: number): Pipeline;
  clear(): void;
}

export function createPipelines(
  device: GPUDevice,
  { checked }: Errors,
  ending: Ending,
  onProgress: (ready: number, total: number) => void,
): Pipelines {
  const layouts = new Map<string, GPUBindGroupLayout>();
  const pipelines = new Map<string, Pipeline>();
  let [ready, total] = [0, 0];

  const layoutFor = (reads: number, writes: number): GPUBindGroupLayout => {
    const key = `${reads} ${writes}`;
    const known = layouts.get(key);
    if (known) return known;
    const entries = Array.from({ length: reads + writes }, (_, binding) => ({
      binding,
      visibility: COMPUTE,
      buffer: { type: binding < reads ? ("read-only-storage" as const) : ("storage" as const) },
    }));
    const layout = device.createBindGroupLayout({ entries });
    layouts.set(key, layout);
    return layout;
  };

  const compile = (code: string, label: string, layout: GPUBindGroupLayout) =>
    ending.until(
      checked(() =>
        device.createComputePipelineAsync({
          label,
          layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
          compute: { module: device.createShaderModule({ code, label }), entryPoint: "main" },
        }),
      ),
    );

  return {
    pipeline(code, label, reads, writes) {
      const known = pipelines.get(code);
      if (known) return known;
      const layout = layoutFor(reads, writes);
      const compiling = compile(code, label, layout);
      total++;
      const made: Pipeline = {
        layout,
        pipeline: null,
        failure: null,
        ready: compiling.then(
          (pipeline) => {
            made.pipeline = pipeline ?? null;
            onProgress(++ready, total);
          },
          (error: unknown) => {
            const reason = error instanceof Error ? error.message : String(error);
            made.failure = failed(
              "shader-refused",
              message`the device cannot compile the shader of ${{ label }}: ${{ reason }}\n${{ code }}`,
            );
            onProgress(++ready, total);
          },
        ),
      };
      pipelines.set(code, made);
      if (pipelines.size > MOST_PIPELINES) pipelines.delete(pipelines.keys().next().value!);
      return made;
    },
    clear: () => pipelines.clear(),
  };
}
