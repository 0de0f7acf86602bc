// The speed of each tile of a product in workgroup memory on an adapter, and the prediction of the
// model that chooses among them, in order to fit that model to a device.

import { createGpu } from "@conv/kernels-gpu";
import {
  DEPTHS,
  GROUPS_PER_AXIS,
  SHAPES,
  shaderOf,
  tiledCode,
  tileFor,
  threadsOf,
  workgroupBytes,
  productsOf,
  type GpuCode,
  type Task,
  type Tile,
} from "@conv/kernels-gpu/tuning";
import { convGradWeightOp, convOp } from "@conv/ops";
import { sizeOf, spec } from "@conv/tensor";
import { macsOf, shapesOf, type LayerCase } from "./layers.ts";

export interface TileTime {
  readonly layer: string;
  readonly direction: "forward" | "gradWeight";
  readonly tile: Tile;
  /** Whether the model chooses it. */
  readonly chosen: boolean;
  readonly seconds: number;
  readonly gflops: number;
}

/**
 * Dispatches are repeated until they take so long together, so many times; the shortest time
 * counts.
 */
const [LONG_MS, TIMES] = [5, 3];

/**
 * Measures one layer after another until the time is over. Throws UnsupportedError where there is
 * no adapter.
 */
export async function* measureTiles(
  gpu: GPU,
  layers: readonly LayerCase[],
  seconds: number,
): AsyncGenerator<TileTime> {
  const end = performance.now() + 1000 * seconds;
  const backend = await createGpu({ gpu });
  const { caps } = backend;
  backend.dispose();
  const adapter = (await gpu.requestAdapter({ powerPreference: "high-performance" }))!;
  const {
    maxBufferSize,
    maxStorageBufferBindingSize,
    maxComputeWorkgroupStorageSize,
    maxComputeInvocationsPerWorkgroup,
  } = adapter.limits;
  const device = await adapter.requestDevice({
    requiredLimits: {
      maxBufferSize,
      maxStorageBufferBindingSize,
      maxComputeWorkgroupStorageSize,
      maxComputeInvocationsPerWorkgroup,
    },
  });
  try {
    for (const { name, geometry } of layers)
      for (const direction of ["forward", "gradWeight"] as const) {
        const { operands, result } = shapesOf(direction, geometry);
        const task: Task = {
          op: direction === "forward" ? convOp : convGradWeightOp,
          params: geometry,
          inputs: operands.map((shape) => spec(shape)),
          outputs: [spec(result)],
          cost: { macs: 0, flops: 0, bytesRead: 0, bytesWritten: 0 },
          epilogue: null,
        };
        const { tile: chosen } = tileFor(productsOf(task)!.products[0], true, caps);
        const make = (shape: readonly number[]) => storage(device, 4 * sizeOf(shape));
        const [inputs, output] = [operands.map(make), make(result)];
        for (const tile of tilesToTry(chosen)) {
          if (performance.now() > end) return;
          if (workgroupBytes(tile) > caps.workgroupBytes || threadsOf(tile) > caps.threads)
            continue;
          if (4 * tile.splits * sizeOf(result) > caps.bindingBytes) continue;
          const took = await timeOf(
            device,
            tiledCode("tile", task, caps, { tile }),
            inputs,
            output,
          );
          yield {
            layer: name,
            direction,
            tile,
            chosen: JSON.stringify(tile) === JSON.stringify(chosen),
            seconds: took,
            gflops: (2 * macsOf(geometry)) / took / 1e9,
          };
        }
        for (const buffer of [...inputs, output]) buffer.destroy();
      }
  } finally {
    device.destroy();
  }
}

/**
 * The choice of the model, then every shape at every depth with the sum unsplit, split as chosen,
 * and split twice as often.
 */
function tilesToTry(chosen: Tile): Tile[] {
  const { splits, half } = chosen;
  const all = SHAPES.flatMap(({ rows, columns, threadRows, threadColumns }) =>
    DEPTHS.flatMap((depth) =>
      ([2, 1] as const).flatMap((buffers) =>
        [...new Set([1, splits, 2 * splits])].map((n): Tile => ({
          rows,
          columns,
          threadRows,
          threadColumns,
          depth,
          splits: n,
          buffers,
          half,
        })),
      ),
    ),
  );
  return [chosen, ...all.filter((tile) => JSON.stringify(tile) !== JSON.stringify(chosen))];
}

const storage = (device: GPUDevice, bytes: number): GPUBuffer =>
  device.createBuffer({
    size: Math.max(16, Math.ceil(bytes / 16) * 16),
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
  });

/** Seconds of the stages that a tile leads to. */
async function timeOf(
  device: GPUDevice,
  { stages, scratch }: GpuCode,
  inputs: readonly GPUBuffer[],
  output: GPUBuffer,
): Promise<number> {
  const between = scratch.map(({ bytes }) => storage(device, bytes));
  const buffers = { in: inputs, out: [output], scratch: between };
  const prepared = await Promise.all(
    stages.map(async (stage) => {
      const bindings = [...stage.reads, ...stage.writes];
      const code = shaderOf(
        stage,
        bindings.map(() => "f32"),
      );
      const pipeline = await device.createComputePipelineAsync({
        layout: "auto",
        compute: { module: device.createShaderModule({ code }) },
      });
      const entries = bindings.map(({ place }, binding) => ({
        binding,
        resource: { buffer: buffers[place.of][place.index] },
      }));
      return {
        pipeline,
        group: device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }),
        groups: stage.groups,
      };
    }),
  );
  const run = async (times: number): Promise<number> => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (let i = 0; i < times; i++)
      for (const { pipeline, group, groups } of prepared) {
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, group);
        pass.dispatchWorkgroups(
          Math.min(groups, GROUPS_PER_AXIS),
          Math.ceil(groups / GROUPS_PER_AXIS),
        );
      }
    pass.end();
    await device.queue.onSubmittedWorkDone();
    const start = performance.now();
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
    return performance.now() - start;
  };
  let [times, ms] = [1, await run(1)];
  while (ms < LONG_MS) ms = await run((times *= 2));
  for (let i = 1; i < TIMES; i++) ms = Math.min(ms, await run(times));
  for (const buffer of between) buffer.destroy();
  return ms / times / 1000;
}
