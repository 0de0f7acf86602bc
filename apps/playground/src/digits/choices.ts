// The settings of the Digits page in the address: the network, its initial weights, how it is
// trained, and whether the sender of the link had weights that a link does not contain. Values that
// are not valid count as absent, and are reported.

import { reader, wholeBelow, type Unused } from "../parameters.ts";
import type { Choices } from "./client.ts";
import { isModel, modelNamed, startRateOf } from "./models.ts";
import { DEVICE_NAMES } from "./protocol.ts";
import { OPTIMIZERS, RATES, START_RECIPE } from "./recipe.ts";
import { shippedOf, type Beginning } from "./weights.ts";

/** Weights that a link does not contain: trained by its sender, or from a file. */
export const OWN = ["trained", "file"] as const;
export type Own = (typeof OWN)[number];

export interface DigitsAddress extends Omit<Choices, "device"> {
  readonly modelName: string;
  /** The name in the address, where there is no such network. */
  readonly unknown: string | null;
  readonly device: (typeof DEVICE_NAMES)[number] | undefined;
  readonly own: Own | null;
  readonly unused: readonly Unused[];
}

const MAX_SEED = 999_999;

const oneOf =
  <T extends string>(...names: readonly T[]) =>
  (text: string): T | undefined =>
    names.find((name) => name === text);

export function readDigitsAddress(params: ReadonlyMap<string, string>): DigitsAddress {
  const asked = params.get("model");
  const model = modelNamed(asked);
  const { read, unused } = reader(params);
  const { optimizer } = START_RECIPE;
  const rate = startRateOf(model);
  const shipped = shippedOf(model.name) !== null;
  const weights = read("weights", oneOf("random"), undefined, shipped ? "trained" : "random");
  const seed = read("seed", wholeBelow(MAX_SEED + 1), 0, "0");
  return {
    modelName: model.name,
    unknown: asked !== undefined && !isModel(asked) ? asked : null,
    device: read("device", oneOf(...DEVICE_NAMES), undefined),
    beginning: shipped && !weights ? { from: "shipped" } : { from: "random", seed },
    rate: read("lr", (text) => RATES.find((known) => known === Number(text)), rate, `${rate}`),
    recipe: {
      optimizer: read("optimizer", oneOf(...OPTIMIZERS), optimizer, optimizer),
      augment: read("augment", oneOf("0", "1"), "0", "0") === "1",
    },
    own: read<Own | null>("own", oneOf(...OWN), null),
    unused,
  };
}

/** The parameters for initial weights; default values are absent. */
export const writeBeginning = (
  beginning: Beginning,
  model: string,
): Record<"weights" | "seed", string | null> =>
  beginning.from === "shipped"
    ? { weights: null, seed: null }
    : {
        weights: shippedOf(model) ? "random" : null,
        seed: beginning.seed === 0 ? null : `${beginning.seed}`,
      };

export const sameBeginning = (a: Beginning, b: Beginning): boolean =>
  JSON.stringify(a) === JSON.stringify(b);
