// Prints the speed of each tile of a product on the GPU of this machine, layer by layer, and marks
// those that the model chooses; see gpu-tiles.ts. node apps/bench/src/gpu-tiles-main.ts [--batch
// 32] [--seconds 120] [--filter <text>]

import { parseArgs } from "node:util";
import { defineGpu } from "./dawn.ts";
import { measureTiles } from "./gpu-tiles.ts";
import { layerCases } from "./layers.ts";

const { values } = parseArgs({
  options: {
    batch: { type: "string", default: "32" },
    seconds: { type: "string", default: "120" },
    filter: { type: "string", default: "" },
  },
});
const layers = layerCases("resnet", { batch: Number(values.batch), filter: values.filter });
for await (const { layer, direction, tile, chosen, seconds, gflops } of measureTiles(
  await defineGpu(),
  layers,
  Number(values.seconds),
)) {
  const { rows, columns, depth, threadRows, threadColumns, buffers, splits } = tile;
  const name = `${rows}×${columns}×${depth} ${threadRows}×${threadColumns} buffers ${buffers} splits ${splits}`;
  console.log(
    // prettier-ignore
    [layer.padEnd(24), direction.padEnd(10), chosen ? ">" : " ", name.padEnd(44), `${(1e6 * seconds).toFixed(0)} µs`.padStart(10), `${gflops.toFixed(0)} GFLOP/s`.padStart(16)].join(" "),
  );
}
process.exit(0); // with Dawn's threads
