// Prints the peak of WebGPU in Node, on the driver that the process finds, as JSON; or the reason
// why there is none, in one line.

import { defineGpu } from "./dawn.ts";
import { measureGpuPeak } from "./gpu-peak.ts";

const peak = await defineGpu()
  .then(measureGpuPeak)
  .catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
if (peak instanceof Error) process.stderr.write(`${peak.message.split("\n")[0]}\n`);
else process.stdout.write(JSON.stringify(peak));
process.exitCode = Number(peak instanceof Error);
