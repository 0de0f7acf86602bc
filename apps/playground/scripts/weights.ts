// Packs what `conv train` saved as the trained weights of the page, and writes down how many
// held-out digits they read:
//   node scripts/weights.ts lenet5.safetensors resnet8.safetensors …
// The network is that of the file's name; its epochs are those that the file says.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { loadDigits } from "@conv/cli/digits";
import { createCpu } from "@conv/kernels-cpu";
import { createTrainer, decodeSafetensors, sgd, type State } from "@conv/layers";
import { digitDataset, unpackDigits } from "../src/digits/data.ts";
import { MODEL_NAMES, modelNamed, viewOf } from "../src/digits/models.ts";
import { packWeights, unpackWeights, type Shipped } from "../src/digits/weights.ts";
import { packDigits } from "./digits.ts";

const path = (file: string): string => fileURLToPath(new URL(`../${file}`, import.meta.url));
const list = path("src/digits/shipped.json");

const digits = unpackDigits(packDigits(loadDigits()));
const testCount = digits.count - digits.trainCount;
const known: Record<string, Shipped> = JSON.parse(readFileSync(list, "utf8"));
mkdirSync(path("public/weights"), { recursive: true });
const backend = await createCpu();
for (const source of process.argv.slice(2)) {
  const model = modelNamed(basename(source, ".safetensors"));
  const { state, metadata } = decodeSafetensors(readFileSync(source));
  const bytes = packWeights(model, state);
  // Measured with the weights as they are shipped, on the digits as the page has them.
  const shipped: State = unpackWeights(model, bytes);
  const trainer = createTrainer({ backend, model, optimizer: sgd({ lr: 0 }), state: shipped });
  const { accuracy } = await trainer.evaluate(
    digitDataset(digits, viewOf(model), digits.trainCount, testCount),
  );
  trainer.dispose();
  const file = `weights/${model.name}.bin`;
  writeFileSync(path(`public/${file}`), bytes);
  const integrity = `sha256-${createHash("sha256").update(bytes).digest("base64")}`;
  const epochs = epochsOf(metadata);
  known[model.name] = {
    file,
    integrity,
    accuracy,
    testCount,
    epochs,
    trainCount: digits.trainCount,
  };
  console.log(
    `${file}: ${bytes.length} bytes, ${(accuracy * 100).toFixed(2)} % of ${testCount} digits`,
  );
}
backend.dispose();
const sorted = Object.fromEntries(
  MODEL_NAMES.flatMap((name) => (Object.hasOwn(known, name) ? [[name, known[name]]] : [])),
);
writeFileSync(list, `${JSON.stringify(sorted, null, 2)}\n`);

/** The length of the history that `conv train` keeps in its files. */
function epochsOf(metadata: Readonly<Record<string, string>>): number {
  const { history } = JSON.parse(metadata.conv ?? "{}");
  if (!Array.isArray(history)) throw new Error("weights: the file does not say how it was trained");
  return history.length;
}
