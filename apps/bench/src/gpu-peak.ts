// The measured peaks of a WebGPU adapter: independent multiply-adds in registers, in a shader, and
// a shader that copies memory. Runs in Node and in pages.

/** The measured peaks of an adapter. */
export interface GpuPeak {
  /** The adapter, in words. */
  readonly adapter: string;
  readonly gflops: number;
  readonly of: string;
  /** Absent where the adapter has no f16. */
  readonly f16?: { readonly gflops: number; readonly of: string };
  /** GB/s, read and written. */
  readonly bandwidth: number;
}

type Scalar = "f32" | "f16";
interface Shape {
  readonly scalar: Scalar;
  /** Lanes of a vector; 1 for scalars. */
  readonly lanes: 1 | 2 | 4;
  readonly accumulators: number;
  /** `fma(a, b, c)`, or a · b + c, which some compilers contract. */
  readonly fused: boolean;
}

const WORKGROUP = 128;
const UNROLL = 8;
/** Enough invocations for every unit of a large device, several times over. */
const MOST_WORKGROUPS = 8192;
/** More turns than any device completes in that time. */
const MOST_TURNS = 2 ** 24;
/**
 * The length of a dispatch: long enough that its overhead hardly counts, short enough that some
 * dispatches find a busy machine idle.
 */
const LONG_MS = 5;
/**
 * Each shader is repeated for so long, and the best of them and the copy once more; the shortest
 * time counts.
 */
const [SOME_MS, MORE_MS] = [100, 800];
/** Bytes of the copy: more than the caches of a large device hold. */
const COPIED = 64 * 2 ** 20;

/**
 * `accumulators` independent chains of UNROLL multiply-adds per turn, for `turns[0]` turns.
 */
export function peakShader({ scalar, lanes, accumulators, fused }: Shape): string {
  const type = lanes === 1 ? scalar : `vec${lanes}<${scalar}>`;
  const each = (line: (acc: string, i: number) => string) =>
    Array.from({ length: accumulators }, (_, i) => line(`acc${i}`, i)).join("\n");
  const step = each(
    (acc) => `    ${acc} = ${fused ? `fma(${acc}, scale, shift)` : `${acc} * scale + shift`};`,
  );
  return `${scalar === "f16" ? "enable f16;\n" : ""}
@group(0) @binding(0) var<storage, read_write> numbers: array<${scalar}>;
@group(0) @binding(1) var<storage, read> turns: array<u32>;

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let scale = ${type}(numbers[0]);
  let shift = ${type}(numbers[1]);
${each((acc, i) => `  var ${acc} = ${type}(numbers[${i}u + id.x % 4u]);`)}
  for (var turn = 0u; turn < turns[0]; turn++) {
${Array.from({ length: UNROLL }, () => step).join("\n")}
  }
  let sum = ${Array.from({ length: accumulators }, (_, i) => `acc${i}`).join(" + ")};
  numbers[64u + id.x % 64u] = ${lanes === 1 ? "sum" : "sum.x + sum.y"};
}
`;
}

/** Each invocation copies four numbers. */
const copyShader = `
@group(0) @binding(0) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> target_: array<vec4<f32>>;

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * ${WORKGROUP}u;
  target_[i] = source[i];
}
`;

/**
 * Throws an Error of one line where there is no adapter. On a software adapter, one shape is
 * measured briefly.
 */
export async function measureGpuPeak(gpu: GPU | undefined): Promise<GpuPeak> {
  const adapter = await gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter)
    throw new Error(
      "no WebGPU here: there is no adapter (a GPU and its driver of Vulkan, Metal or Direct3D 12)",
    );
  const half = adapter.features.has("shader-f16");
  const { maxStorageBufferBindingSize, maxBufferSize } = adapter.limits;
  const device = await adapter.requestDevice({ requiredFeatures: half ? ["shader-f16"] : [] });
  const imitated =
    adapter.info.isFallbackAdapter || /swiftshader|llvmpipe/i.test(wordsOf(adapter.info));
  const best = async (shapes: readonly Shape[]) => {
    let found = { gflops: 0, shape: shapes[0] };
    for (const shape of imitated ? shapes.slice(0, 1) : shapes) {
      const gflops = await measureFlops(device, shape, SOME_MS);
      if (gflops > found.gflops) found = { gflops, shape };
    }
    const again = imitated ? 0 : await measureFlops(device, found.shape, MORE_MS);
    const { fused, scalar } = found.shape;
    return {
      gflops: Math.max(found.gflops, again),
      of: `${fused ? "fma" : "multiply and add"} in registers, ${scalar}`,
    };
  };
  const shapes = (scalar: Scalar, lanes: Shape["lanes"], accumulators: number): Shape[] =>
    [true, false].map((fused) => ({ scalar, lanes, accumulators, fused }));
  try {
    const f32 = await best([
      ...shapes("f32", 1, 16),
      ...shapes("f32", 2, 8),
      ...shapes("f32", 4, 8),
      ...shapes("f32", 4, 16),
    ]);
    const f16 = half
      ? await best([...shapes("f16", 2, 16), ...shapes("f16", 4, 8), ...shapes("f16", 4, 16)])
      : undefined;
    const bandwidth = await measureCopy(
      device,
      Math.min(COPIED, maxStorageBufferBindingSize, maxBufferSize),
      imitated ? SOME_MS : MORE_MS,
    );
    return { adapter: wordsOf(adapter.info), ...f32, f16, bandwidth };
  } finally {
    device.destroy();
  }
}

/** The model of the adapter where it is known, else vendor and architecture; then the driver. */
function wordsOf({ vendor, architecture, device, description }: GPUAdapterInfo): string {
  const model = device.startsWith("0x") ? "" : device;
  const name = (model || `${vendor} ${architecture}`).replaceAll("-", " ").trim();
  return [name, description].filter(Boolean).join(", ");
}

async function measureFlops(device: GPUDevice, shape: Shape, forMs: number): Promise<number> {
  const bytes = shape.scalar === "f16" ? 2 : 4;
  // In half precision 1.0 is 0x3c00; factors of 1 and shifts of 0 keep all numbers finite for any
  // number of turns.
  const one = shape.scalar === "f16" ? 0x3c00 : 0x3f800000;
  const numbers = upload(
    device,
    bytes === 2
      ? Uint16Array.of(one, ...new Array(127).fill(0))
      : Uint32Array.of(one, ...new Array(127).fill(0)),
  );
  const turns = upload(device, Uint32Array.of(1));
  const dispatch = prepare(device, peakShader(shape), [numbers, turns]);
  let [groups, count] = [16, 16];
  let ms = await timed(device, () => dispatch(groups));
  while (ms < LONG_MS) {
    if (count > MOST_TURNS)
      throw new Error(
        "this WebGPU computes nothing: it is done in no time, however much it is given",
      );
    const factor = Math.min(16, Math.max(2, Math.ceil((1.2 * LONG_MS) / ms)));
    if (groups < MOST_WORKGROUPS) groups = Math.min(MOST_WORKGROUPS, groups * factor);
    else count *= factor;
    device.queue.writeBuffer(turns, 0, Uint32Array.of(count));
    ms = await timed(device, () => dispatch(groups));
  }
  ms = await least(ms, forMs, () => timed(device, () => dispatch(groups)));
  [numbers, turns].forEach((buffer) => buffer.destroy());
  return (2 * groups * WORKGROUP * count * UNROLL * shape.accumulators * shape.lanes) / ms / 1e6;
}

/** The shortest time of calls that are repeated for so long. */
async function least(ms: number, forMs: number, call: () => Promise<number>): Promise<number> {
  for (const end = performance.now() + forMs; performance.now() < end;)
    ms = Math.min(ms, await call());
  return ms;
}

async function measureCopy(device: GPUDevice, size: number, forMs: number): Promise<number> {
  const groups = Math.floor(size / 16 / WORKGROUP);
  const width = Math.min(groups, device.limits.maxComputeWorkgroupsPerDimension);
  const height = Math.floor(groups / width);
  const bytes = width * height * WORKGROUP * 16;
  const buffers = [0, 1].map(() =>
    device.createBuffer({ size: bytes, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST }),
  );
  const dispatch = prepare(device, copyShader, buffers);
  const copies = (count: number) => timed(device, () => dispatch(width, height, count));
  let count = 1;
  let ms = await copies(count);
  while (ms < LONG_MS) ms = await copies((count *= 2));
  ms = await least(ms, forMs, () => copies(count));
  buffers.forEach((buffer) => buffer.destroy());
  return (2 * bytes * count) / ms / 1e6;
}

function upload(
  device: GPUDevice,
  data: Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
): GPUBuffer {
  const buffer = device.createBuffer({
    size: data.byteLength,
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
  });
  device.queue.writeBuffer(buffer, 0, data);
  return buffer;
}

/** A shader on its buffers, as a call that submits dispatches of it. */
function prepare(
  device: GPUDevice,
  code: string,
  buffers: readonly GPUBuffer[],
): (x: number, y?: number, times?: number) => void {
  const pipeline = device.createComputePipeline({
    layout: "auto",
    compute: { module: device.createShaderModule({ code }) },
  });
  const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
  const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
  return (x, y = 1, times = 1) => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    for (let i = 0; i < times; i++) pass.dispatchWorkgroups(x, y);
    pass.end();
    device.queue.submit([encoder.finish()]);
  };
}

async function timed(device: GPUDevice, submit: () => void): Promise<number> {
  await device.queue.onSubmittedWorkDone();
  const start = performance.now();
  submit();
  await device.queue.onSubmittedWorkDone();
  return performance.now() - start;
}
