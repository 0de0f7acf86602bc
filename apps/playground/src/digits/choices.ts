// What the address says of the page of digits besides the digit and the chosen value: the network, where its weights begin, how it learns,
// and whether who made the link had weights that no link carries. Names that are none of ours are as if absent.

import type { Choices } from "./client.ts";
import { isModel, modelNamed, startRateOf } from "./models.ts";
import { DEVICE_NAMES } from "./protocol.ts";
import { OPTIMIZERS, RATES, START_RECIPE } from "./recipe.ts";
import { shippedOf, type Beginning } from "./weights.ts";

/** Weights that a link does not carry: trained where the link was made, or from a file. */
export const OWN = ["trained", "file"] as const;
export type Own = (typeof OWN)[number];

export interface DigitsAddress extends Omit<Choices, "device"> {
  readonly modelName: string;
  /** A name in the address that is no network of this page. */
  readonly unknown: string | null;
  readonly device: (typeof DEVICE_NAMES)[number] | undefined;
  readonly own: Own | null;
}

const MAX_SEED = 999_999;

export function readDigitsAddress(params: ReadonlyMap<string, string>): DigitsAddress {
  const asked = params.get("model");
  const model = modelNamed(asked);
  const rate = Number(params.get("lr"));
  return {
    modelName: model.name,
    unknown: asked !== undefined && !isModel(asked) ? asked : null,
    device: DEVICE_NAMES.find((name) => name === params.get("device")),
    beginning: beginningIn(params, model.name),
    rate: RATES.includes(rate) ? rate : startRateOf(model),
    recipe: {
      optimizer: OPTIMIZERS.find((name) => name === params.get("optimizer")) ?? START_RECIPE.optimizer,
      augment: params.get("augment") === "1",
    },
    own: OWN.find((name) => name === params.get("own")) ?? null,
  };
}

function beginningIn(params: ReadonlyMap<string, string>, model: string): Beginning {
  if (params.get("weights") !== "random" && shippedOf(model)) return { from: "shipped" };
  const seed = Number(params.get("seed") ?? 0);
  return { from: "random", seed: Number.isInteger(seed) && seed >= 0 && seed <= MAX_SEED ? seed : 0 };
}

/** The parameters that say where weights begin; those of the start are absent. */
export const writeBeginning = (beginning: Beginning, model: string): Record<"weights" | "seed", string | null> =>
  beginning.from === "shipped"
    ? { weights: null, seed: null }
    : { weights: shippedOf(model) ? "random" : null, seed: beginning.seed === 0 ? null : `${beginning.seed}` };

export const sameBeginning = (a: Beginning, b: Beginning): boolean => JSON.stringify(a) === JSON.stringify(b);
